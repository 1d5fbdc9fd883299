"""JUDGE: one module a rule, over the wiring that was read."""
