"""What people and programs get to see: diff, text, JSON."""
