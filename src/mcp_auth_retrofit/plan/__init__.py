"""DECIDE: an entrypoint and what the user asked for, to an ordered plan or a refusal."""
