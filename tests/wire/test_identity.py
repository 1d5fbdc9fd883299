"""Who calls: tools see it, and a session belongs to its user (MCP, "Session Hijacking")."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import fastmcp
import pytest
from fastapi import FastAPI, Response
from fastmcp import Client
from fastmcp.server.middleware.caching import ResponseCachingMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import WHO, Site, demo_app, demo_server, site, stateless_app


@pytest.fixture(scope="module")
def stateful(folder: Path, scalekit: Standin) -> Iterator[Site]:
    """Sessions and event streams, FastMCP's default."""
    with site(folder / "stateful", scalekit, demo_app) as one:
        yield one


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_tool_call_with_the_fastmcp_client(stateful: Site, path: str) -> None:
    async def call() -> tuple[list[str], Any]:
        async with Client(stateful.url + path, auth=stateful.scalekit.token()) as client:
            tools = [tool.name for tool in await client.list_tools()]
            return tools, (await client.call_tool("who")).data

    tools, data = asyncio.run(call())
    assert tools == ["who"]
    assert data["subject"] == "usr_alice"


def test_get_access_token_gives_claims_to_a_tool_but_not_the_token(mounted: Site) -> None:
    token = mounted.bearer(sub="usr_bob", client_id="cli", scope="a b", org="acme")
    seen = mounted.post("/mcp", token, WHO).json()["result"]["structuredContent"]
    assert seen["token"] == hashlib.sha256(token["authorization"].split()[1].encode()).hexdigest()
    assert seen["subject"] == "usr_bob"
    assert seen["client_id"] == "cli"
    assert seen["scopes"] == ["a", "b"]
    assert seen["claims"]["org"] == "acme"
    assert seen["expires_at"] == seen["claims"]["exp"]


@pytest.mark.skipif(
    int(fastmcp.__version__[0]) < 3, reason="FastMCP 2's cache knows no users, whoever guards it"
)
def test_answers_that_fastmcp_keeps_are_not_another_users(folder: Path, scalekit: Standin) -> None:
    """Its cache tells users apart by the text of their access token."""

    def build(guard: ModuleType) -> FastAPI:
        server = demo_server()
        server.add_middleware(ResponseCachingMiddleware())
        mcp_app = server.http_app(path="/", stateless_http=True, json_response=True)
        app = FastAPI(lifespan=mcp_app.lifespan)
        app.mount("/mcp", guard.ScalekitAuthMiddleware(mcp_app))
        return app

    with site(folder / "cached", scalekit, build) as one:
        for user in ("usr_alice", "usr_bob", "usr_alice"):
            answer = one.post("/mcp/", one.bearer(sub=user), WHO)
            assert answer.json()["result"]["structuredContent"]["subject"] == user


@pytest.mark.parametrize("name", ["a cut emoji \ud83d", float("nan"), 10**400])
def test_claims_that_no_json_text_can_hold_reach_the_tool(
    folder: Path, scalekit: Standin, name: Any
) -> None:
    seen: list[Any] = []

    def build(guard: ModuleType) -> FastAPI:
        async def look(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["user"].access_token.claims["name"])
            await Response("seen")(scope, receive, send)

        app = FastAPI()
        app.mount("/mcp", guard.ScalekitAuthMiddleware(look))
        return app

    with site(folder / "odd_claims", scalekit, build) as one:
        assert one.http.get("/mcp/", headers=one.bearer(name=name)).status_code == 200
    assert repr(seen) == repr([name])


@pytest.mark.parametrize(
    ("claims", "client_id"),
    [({"azp": "party"}, "party"), ({}, "usr_alice")],
    ids=["azp", "sub"],
)
def test_client_id_falls_back(mounted: Site, claims: dict[str, str], client_id: str) -> None:
    token = mounted.bearer(client_id=None, **claims)
    seen = mounted.post("/mcp", token, WHO).json()["result"]["structuredContent"]
    assert seen["client_id"] == client_id


def open_session(one: Site, **token: Any) -> dict[str, str]:
    answer = one.post("/mcp", one.bearer(**token))
    assert answer.status_code == 200
    session = {
        "mcp-session-id": answer.headers["mcp-session-id"],
        "mcp-protocol-version": "2025-06-18",
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert one.post("/mcp", {**session, **one.bearer(**token)}, ready).status_code == 202
    return session


def test_session_of_another_user_is_404(stateful: Site) -> None:
    session = open_session(stateful)
    bob = {**session, **stateful.bearer(sub="usr_bob")}
    assert stateful.post("/mcp", bob, WHO).status_code == 404
    assert stateful.http.delete("/mcp", headers=bob).status_code == 404
    assert stateful.post("/mcp", session, WHO).status_code == 401
    alice = {**session, **stateful.bearer()}
    assert stateful.post("/mcp", alice, WHO).status_code == 200


def test_get_and_delete_reach_the_session_of_their_own_user(stateful: Site) -> None:
    session = {**open_session(stateful), **stateful.bearer()}
    stream = {**session, "accept": "text/event-stream"}
    with stateful.http.stream("GET", "/mcp", headers=stream) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
    assert stateful.http.delete("/mcp", headers=session).status_code == 200
    assert stateful.post("/mcp", session, WHO).status_code == 404


def test_renewed_token_keeps_the_session(stateful: Site) -> None:
    session = open_session(stateful, jti="one")
    later = {**session, **stateful.bearer(jti="two", scope="more")}
    answer = stateful.post("/mcp", later, WHO)
    assert answer.status_code == 200
    assert '"more"' in answer.text  # and the tool sees the new token


def test_requests_are_not_mixed_up(stateful: Site) -> None:
    async def ask(name: str) -> str:
        token = stateful.scalekit.token(sub=name)
        async with Client(stateful.url + "/mcp", auth=token) as client:
            return str((await client.call_tool("who")).data["subject"])

    async def both() -> list[str]:
        return await asyncio.gather(*(ask(f"usr_{number}") for number in range(8)))

    assert asyncio.run(both()) == [f"usr_{number}" for number in range(8)]


def test_identity_stays_inside_the_guard(folder: Path, scalekit: Standin) -> None:
    """The app's own authentication may use scope["user"] as well."""
    seen: list[Any] = []

    class Outside:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    seen.append(scope["user"])
                await send(message)

            if scope["type"] == "http":
                scope["user"] = "the app's own"
            await self.app(scope, receive, watched)

    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.add_middleware(Outside)
        return app

    with site(folder / "outside", scalekit, build) as one:
        for path in ("/mcp", "/mcp/"):
            assert one.post(path, one.bearer(), WHO).status_code == 200
        assert seen == ["the app's own"] * 2
