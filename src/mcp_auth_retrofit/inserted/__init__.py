"""The code that users receive: real modules, read as files and never kept as strings of code."""
