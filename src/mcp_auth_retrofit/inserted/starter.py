"""An MCP server behind Scalekit sign-in. Start it with `python main.py`."""

import os

import uvicorn
from dotenv import load_dotenv
from fastapi import FastAPI

app = FastAPI(title="MCP server")

if __name__ == "__main__":
    load_dotenv()
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "3002")))
