"""The files around the source: .env.example and the list of requirements."""
