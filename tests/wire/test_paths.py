"""The bare path and what flows through the guard: bodies, streams, cancellation."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastmcp import Client, Context, FastMCP

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import WELL_KNOWN, Site, load_guard, raw_status, site, stateless_app

cancelled: list[str] = []


def streaming_app(guard: ModuleType) -> FastAPI:
    server: FastMCP[Any] = FastMCP("Slow")

    @server.tool
    async def count(ctx: Context) -> str:
        for step in range(3):
            await ctx.report_progress(step, 3)
            await asyncio.sleep(0.2)
        return "counted"

    mcp_app = server.http_app(path="/")

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def endless(request: Request) -> StreamingResponse:
        async def ticks() -> Any:
            try:
                while True:
                    yield b"tick\n"
                    await anyio.sleep(0.02)
            finally:
                cancelled.append("endless")

        return StreamingResponse(ticks())

    mcp_app.add_route("/echo", echo, methods=["POST"])
    mcp_app.add_route("/endless", endless)
    mcp_app.add_route(WELL_KNOWN, echo)
    app = FastAPI(lifespan=mcp_app.lifespan)
    guard.add_protected_resource_metadata(app)
    guard.answer_bare_path(app, "/mcp/")
    app.mount("/mcp", guard.ScalekitAuthMiddleware(mcp_app))
    return app


@pytest.fixture(scope="module")
def streaming(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "streaming", scalekit, streaming_app) as one:
        yield one


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_progress_arrives_while_the_tool_runs(streaming: Site, path: str) -> None:
    arrived: list[float] = []

    async def progress(*_: Any) -> None:
        arrived.append(time.monotonic())

    async def call() -> float:
        url, token = streaming.url + path, streaming.scalekit.token()
        async with Client(url, auth=token) as client:
            await client.call_tool("count", progress_handler=progress)
            return time.monotonic()

    ended = asyncio.run(call())
    assert len(arrived) == 3
    assert ended - arrived[0] > 0.3


def test_body_comes_through_whole(streaming: Site) -> None:
    body = bytes(range(256)) * 8192
    answer = streaming.http.post("/mcp/echo", content=body, headers=streaming.bearer())
    assert answer.content == body


def test_client_that_leaves_cancels_the_stream(streaming: Site) -> None:
    cancelled.clear()
    with streaming.http.stream("GET", "/mcp/endless", headers=streaming.bearer()) as answer:
        assert next(answer.iter_raw()).startswith(b"tick")
    deadline = time.monotonic() + 5
    while not cancelled and time.monotonic() < deadline:
        time.sleep(0.02)
    assert cancelled == ["endless"]


def test_bare_path_keeps_the_query_and_the_raw_path(folder: Path, scalekit: Standin) -> None:
    seen: list[tuple[str, bytes, bytes]] = []

    def build(guard: ModuleType) -> FastAPI:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope["path"], scope["raw_path"], scope["query_string"]))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        app = FastAPI()
        guard.answer_bare_path(app, "/mcp")
        app.mount("/mcp", inner)
        return app

    with site(folder / "raw", scalekit, build) as one:
        for target in ("/mcp?a=b", "/mcp/?a=b", "/%6dcp?a=b"):
            assert raw_status(one, target) == 204
    assert [path for path, _, _ in seen] == ["/mcp/"] * 3
    assert [raw for _, raw, _ in seen] == [b"/mcp/", b"/mcp/", b"/%6dcp/"]
    assert [query for _, _, query in seen] == [b"a=b"] * 3


def test_metadata_paths_below_the_mount_are_guarded(streaming: Site) -> None:
    """What lies below the mount is the MCP app's own, whatever its path looks like."""
    path = "/mcp" + WELL_KNOWN
    assert streaming.http.get(path).status_code == 404
    assert streaming.http.get(path, headers=streaming.bearer()).status_code == 200


@pytest.mark.parametrize("path", ["", "/"])
def test_answer_bare_path_does_nothing_for_a_root_mount(tmp_path: Path, path: str) -> None:
    app = FastAPI()
    before = list(app.routes)
    load_guard(tmp_path, {}).answer_bare_path(app, path)
    assert app.routes == before


def test_deeper_mount_path(folder: Path, scalekit: Standin) -> None:
    with site(
        folder / "deeper",
        scalekit,
        lambda guard: stateless_app(guard, "/tools/box"),
        resource="/tools/box",
    ) as one:
        for path in ("/tools/box", "/tools/box/"):
            assert one.http.get(WELL_KNOWN + path).status_code == 200
            assert one.post(path, {}).status_code == 401
            assert one.post(path, one.bearer()).status_code == 200


def test_no_redirect_is_left_on_the_bare_path(mounted: Site) -> None:
    with httpx.Client(base_url=mounted.url, follow_redirects=False, trust_env=False) as client:
        for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"):
            assert client.request(method, "/mcp").status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "/%6dcp",
        "/%6dcp/",
        "/mcp%2f",
        "/mcp%2F",
        "/mcp//",
        "//mcp",
        "/./mcp/",
        "/x/../mcp/",
        "/mcp/../mcp/",
        "/mcp/%2e%2e/mcp/",
        "/mcp/..;/mcp/",
        "/mcp;x/",
        "/MCP/",
        "/mcp%00/",
        "/mcp/?/health",
        "/mcp#/health",
        "/mcp\\",
        "/health/../mcp/",
        f"{WELL_KNOWN}/../../mcp/",
        f"/mcp/..{WELL_KNOWN}",
        "http://localhost/mcp/",
        "mcp/",
    ],
)
def test_no_spelling_of_the_path_opens_mcp(mounted: Site, at_root: Site, target: str) -> None:
    """400: no request that the server takes; 404: a path that is not the MCP server's."""
    assert raw_status(mounted, target) in (400, 401, 404)
    assert raw_status(at_root, target) in (400, 401, 404)


def test_every_endpoint_has_a_name(tmp_path: Path, scalekit: Standin) -> None:
    """slowapi, and many an access log, ask `route.endpoint.__name__` of whatever is matched."""
    guard = load_guard(tmp_path, scalekit.settings("http://localhost:3002/mcp"))
    app = stateless_app(guard)
    app.add_route("/own", guard.ScalekitAuthMiddleware(app))
    endpoints = [getattr(route, "endpoint", None) for route in app.routes]
    names = [endpoint.__name__ for endpoint in endpoints if endpoint is not None]
    assert {"protected_resource_metadata", "with_slash", "scalekit_auth"} <= set(names)
