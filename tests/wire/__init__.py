"""The inserted code on the wire: real FastAPI, FastMCP, Scalekit SDK and uvicorn on loopback."""
