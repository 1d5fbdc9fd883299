"""REWRITE: one module an edit, on LibCST. A transform touches its own lines and decides nothing."""
