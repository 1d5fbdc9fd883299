"""Meeting rooms: what is free, and who has booked what."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastmcp import FastMCP

ROOMS = {"Aalto": 4, "Eames": 8, "Noguchi": 20}  # seats


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.bookings = sqlite3.connect(":memory:", check_same_thread=False)
    app.state.bookings.execute("create table bookings (room text, person text)")
    print("bookings open")
    yield
    app.state.bookings.close()
    print("bookings closed")


mcp = FastMCP("Meeting rooms")

app = FastAPI(
    title="Meeting rooms",
    lifespan=lifespan,  # the bookings live as long as the app
)
app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://rooms.example"],
    allow_methods=["GET", "POST", "DELETE"],
    allow_headers=["authorization", "content-type", "mcp-session-id", "mcp-protocol-version"],
    expose_headers=["WWW-Authenticate", "Mcp-Session-Id"],
)
app.mount("/mcp", mcp.http_app(path="/"))  # for the assistants


@mcp.tool
def rooms_for(people: int) -> list[str]:
    """Rooms with a seat for everyone."""
    return [room for room, seats in ROOMS.items() if seats >= people]


@app.get("/rooms")
def rooms() -> dict[str, int]:
    return ROOMS


@app.post("/rooms/{room}/bookings", status_code=201)
def book(room: str, person: str, request: Request) -> dict[str, str]:
    if room not in ROOMS:
        raise HTTPException(404, f"no room is called {room}")
    request.app.state.bookings.execute("insert into bookings values (?, ?)", (room, person))
    return {"room": room, "person": person}


@app.get("/mcp/about")
def about() -> dict[str, str]:
    return {"about": "Connect an assistant to /mcp and ask it for a room."}
