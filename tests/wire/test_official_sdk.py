"""A server of the official SDK alone: tools know the caller there too, without FastMCP."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from mcp import server as sdk
from mcp.server.auth.middleware.auth_context import get_access_token

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import WHO, Site, site

FASTMCP = "fastmcp.server.auth.auth"
"""The module of FastMCP's own access token."""


def sdk_server() -> tuple[Any, Any]:
    """The SDK's server and its HTTP app, in the spelling of the version that is installed."""
    settings: dict[str, Any] = {
        "streamable_http_path": "/",
        "json_response": True,
        "stateless_http": True,
    }
    made: Any = sdk  # mcp 1 has the one class, mcp 2 the other
    if hasattr(made, "MCPServer"):
        server = made.MCPServer("official")
        return server, lambda: server.streamable_http_app(**settings)
    server = made.FastMCP("official", **settings)
    return server, server.streamable_http_app


def official_app(guard: ModuleType) -> FastAPI:
    server, make = sdk_server()

    def who() -> dict[str, Any]:
        """Who calls."""
        caller = get_access_token()
        assert caller is not None
        return {"subject": caller.subject, "token": caller.token, "scopes": caller.scopes}

    server.tool()(who)
    mcp_app = make()
    app = FastAPI(lifespan=mcp_app.router.lifespan_context)
    guard.add_protected_resource_metadata(app)
    guard.answer_bare_path(app, "/mcp")
    app.mount("/mcp", guard.ScalekitAuthMiddleware(mcp_app))
    return app


@pytest.fixture(scope="module")
def official(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "official", scalekit, official_app) as one:
        yield one


@pytest.fixture(params=["FastMCP is there too", "FastMCP is not there"])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FASTMCP in sys.modules
    if request.param == "FastMCP is not there":
        monkeypatch.delitem(sys.modules, FASTMCP)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_without_a_token_it_is_shut(official: Site, path: str) -> None:
    assert official.post(path, {}).status_code == 401


@pytest.mark.usefixtures("_either")
def test_a_tool_asks_the_sdk_who_calls(official: Site) -> None:
    token = official.bearer(sub="usr_bob", scope="a b")
    answered = official.post("/mcp", token, WHO)
    assert answered.json()["result"]["structuredContent"] == {
        "subject": "usr_bob",
        "token": hashlib.sha256(token["authorization"].split()[1].encode()).hexdigest(),
        "scopes": ["a", "b"],
    }
