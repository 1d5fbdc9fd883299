"""READ: standard-library ast in, frozen dataclasses out. Knows nothing of edits."""
