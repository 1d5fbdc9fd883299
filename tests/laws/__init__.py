"""The laws: what holds for every case, in its text and when it runs."""
