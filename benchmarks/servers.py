"""The servers that are compared: one FastAPI app each, with the same routes and the same MCP tool.

    python servers.py VARIANT FILE_DESCRIPTOR

`/light` answers at once, `/stream` sends many chunks, `/mcp/` is the MCP server, `/open` is a route
that nobody guards, and `/cpu` tells how much CPU the process has used. Settings come from the
environment, as an app's do.
"""

import functools
import importlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastmcp import FastMCP
from fastmcp.server.auth import JWTVerifier
from fastmcp.server.auth.providers.scalekit import ScalekitProvider

VARIANTS = ("open", "open again", "guard", "recipe", "recipe in threads", "provider", "verifier")
UNGUARDED = ("/open", "/cpu")
CHUNKS = 4000
"""How many chunks `/stream` sends."""


def app_of(variant: str) -> Any:
    """The app of one variant."""
    mcp: FastMCP[Any] = FastMCP("Bench", auth=_auth(variant))

    @mcp.tool
    def add(first: int, second: int) -> int:
        return first + second

    mcp_app = mcp.http_app(path="/", stateless_http=True, json_response=True)
    app = FastAPI(lifespan=mcp_app.lifespan)
    if variant == "guard":
        guard = _guard()
        guard.add_protected_resource_metadata(app)
        app.add_middleware(guard.ScalekitAuthMiddleware, public=UNGUARDED)
    elif variant.startswith("recipe"):
        _add_recipe(app, in_threads=variant.endswith("threads"))

    @app.get("/light")
    async def light() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/open")
    async def unguarded() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/cpu")
    async def cpu() -> PlainTextResponse:
        return PlainTextResponse(str(time.process_time()))

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_chunks(), media_type="text/event-stream")

    app.mount("/mcp", mcp_app)
    return app


async def _chunks() -> AsyncIterator[str]:
    for number in range(CHUNKS):
        yield f"data: {number}\n\n"


def _auth(variant: str) -> Any:
    url, resource = os.environ["SK_ENV_URL"], os.environ["EXPECTED_AUDIENCE"]
    if variant == "provider":
        return ScalekitProvider(
            environment_url=url, resource_id=os.environ["RESOURCE_ID"], base_url=resource
        )
    if variant == "verifier":
        issuer = f"{url}/resources/{os.environ['RESOURCE_ID']}"
        return JWTVerifier(
            jwks_uri=f"{url}/keys", issuer=issuer, audience=os.environ["RESOURCE_ID"]
        )
    return None


def _guard() -> Any:
    """The inserted file, as it ships."""
    return importlib.import_module("mcp_auth_retrofit.inserted.scalekit_auth")


def _add_recipe(app: FastAPI, *, in_threads: bool) -> None:
    """The recipe, mended so that it accepts a token at all; `in_threads` keeps the loop free."""
    from scalekit import ScalekitClient  # noqa: PLC0415  takes seconds, and the others need it not
    from scalekit.common.scalekit import TokenValidationOptions  # noqa: PLC0415

    url, audience = os.environ["SK_ENV_URL"], os.environ["RESOURCE_ID"]
    client = ScalekitClient(url, os.environ["SK_CLIENT_ID"], os.environ["SK_CLIENT_SECRET"])
    issuer = f"{url}/resources/{audience}"

    def is_good(token: str) -> bool:
        options = TokenValidationOptions(issuer=issuer, audience=[audience])
        return bool(client.validate_access_token(token, options=options))

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        if request.url.path in UNGUARDED:
            response: Response = await call_next(request)
            return response
        header = request.headers.get("authorization")
        if not header or not header.startswith("Bearer "):
            return _refusal("Missing Bearer token")
        token = header.split("Bearer ", 1)[1].strip()
        if in_threads:
            good = await anyio.to_thread.run_sync(functools.partial(is_good, token))
        else:
            good = is_good(token)
        if not good:
            return _refusal("Token validation failed")
        answer: Response = await call_next(request)
        return answer


def _refusal(error: str) -> Response:
    return Response(json.dumps({"error": error}), 401, media_type="application/json")


if __name__ == "__main__":
    listener = socket.socket(fileno=int(sys.argv[2]))
    # Without httptools and uvloop, whoever has them installed: one and the same server for all.
    config = uvicorn.Config(app_of(sys.argv[1]), log_level="critical", http="h11", loop="asyncio")
    uvicorn.Server(config).run(sockets=[listener])
