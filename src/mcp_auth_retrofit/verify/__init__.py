"""PROVE: a stand-in Scalekit, booting the app, asking it."""
