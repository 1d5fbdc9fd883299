"""WebSockets under the guard are guarded, too: HTTP middleware never sees them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import Site, site, stateless_app


async def say_who(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.user.access_token.claims["sub"])
    await socket.close()


def app_with_websocket(guard: ModuleType) -> FastAPI:
    app = stateless_app(guard)
    inner = app.routes[-1].app.app  # type: ignore[attr-defined]  # the mount's guard's app
    inner.router.routes.insert(0, WebSocketRoute("/ws", say_who))
    return app


@pytest.fixture(scope="module")
def sockets(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "sockets", scalekit, app_with_websocket) as one:
        yield one


def handshake(one: Site, headers: dict[str, str], path: str = "/mcp/ws") -> Any:
    """The refusing HTTP answer, or the first message."""
    try:
        with connect(one.url.replace("http", "ws", 1) + path, additional_headers=headers) as socket:
            return socket.recv(5)
    except InvalidStatus as refused:
        return refused.response


def test_websocket_with_a_token_opens_and_knows_the_user(sockets: Site) -> None:
    assert handshake(sockets, sockets.bearer()) == "usr_alice"


def test_websocket_without_a_token_is_refused(sockets: Site) -> None:
    answer = handshake(sockets, {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="OAuth", resource_metadata=')


def test_websocket_with_a_bad_token_is_refused(sockets: Site) -> None:
    answer = handshake(sockets, sockets.bearer(aud="https://else.example"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_websocket_with_its_token_in_the_query_is_refused(sockets: Site) -> None:
    path = f"/mcp/ws?access_token={sockets.scalekit.token()}"
    assert handshake(sockets, {}, path).status_code == 401


def test_websocket_from_another_origin_is_refused(sockets: Site) -> None:
    headers = {**sockets.bearer(), "origin": "https://else.example"}
    assert handshake(sockets, headers).status_code == 403
    assert handshake(sockets, {**headers, "origin": "http://localhost:1"}) == "usr_alice"


def test_websocket_is_closed_where_the_server_knows_no_other_refusal(sockets: Site) -> None:
    sent: list[Any] = []

    async def reached(*_: Any) -> None:
        sent.append("reached the app")

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    guard = sockets.guard.ScalekitAuthMiddleware(reached)
    scope = {"type": "websocket", "path": "/ws", "headers": []}
    extensions: dict[str, Any]
    for extensions in ({}, {"extensions": None}, {"extensions": {}}):
        asyncio.run(guard({**scope, **extensions}, receive, send))
        assert sent.pop() == {"type": "websocket.close", "code": 1008}
        assert sent == []
