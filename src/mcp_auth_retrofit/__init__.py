"""Puts Scalekit sign-in in front of the MCP server of an existing FastAPI app."""

__version__ = "0.1.0"
