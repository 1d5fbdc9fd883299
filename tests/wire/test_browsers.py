"""Browsers: which origins may ask (MCP Streamable HTTP, "Security & Endpoint"), and CORS."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import WHO, Site, site, stateless_app

LOCAL = "http://localhost:6274"
ELSE = "https://else.example"
NEEDED_HEADERS = {
    "authorization",
    "content-type",
    "mcp-protocol-version",
    "mcp-session-id",
    "mcp-method",
    "mcp-name",
    "last-event-id",
}


def preflight(site: Site, path: str, origin: str) -> Any:
    return site.http.options(
        path,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
        },
    )


def words(field: str) -> set[str]:
    return {word.strip().lower() for word in field.split(",")}


def assert_readable(headers: Mapping[str, str], origin: str) -> None:
    assert headers["access-control-allow-origin"] == origin
    assert words(headers["access-control-expose-headers"]) == {"www-authenticate", "mcp-session-id"}
    assert "origin" in words(headers["vary"])
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_preflight_is_answered_without_credentials(mounted: Site, path: str) -> None:
    answer = preflight(mounted, path, LOCAL)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == LOCAL
    assert words(answer.headers["access-control-allow-methods"]) == {
        "get",
        "post",
        "delete",
        "options",
    }
    assert words(answer.headers["access-control-allow-headers"]) == NEEDED_HEADERS
    assert "origin" in words(answer.headers["vary"])
    assert "access-control-allow-credentials" not in answer.headers


def test_preflight_of_a_root_mount(at_root: Site) -> None:
    assert preflight(at_root, "/", LOCAL).status_code == 204


def test_preflight_from_another_origin_is_403(mounted: Site) -> None:
    answer = preflight(mounted, "/mcp", ELSE)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_options_that_is_no_preflight_needs_a_token(mounted: Site) -> None:
    assert mounted.http.options("/mcp", headers={"origin": LOCAL}).status_code == 401


def test_only_options_is_a_preflight(mounted: Site) -> None:
    asks = {"origin": LOCAL, "access-control-request-method": "POST"}
    assert mounted.post("/mcp", {**asks, **mounted.bearer()}).status_code == 200


def test_browser_can_read_the_challenge(mounted: Site) -> None:
    answer = mounted.post("/mcp", {"origin": LOCAL})
    assert answer.status_code == 401
    assert_readable(answer.headers, LOCAL)


def test_browser_can_read_every_refusal_and_the_answer(mounted: Site, scoped: Site) -> None:
    local = {"origin": LOCAL}
    bad = mounted.post("/mcp", {**local, **mounted.bearer(aud="x")})
    lacking = scoped.post("/mcp", {**local, **scoped.bearer()})
    twice = mounted.post("/mcp?access_token=x", {**local, **mounted.bearer()})
    good = mounted.post("/mcp", {**local, **mounted.bearer()}, WHO)
    assert [a.status_code for a in (bad, lacking, twice, good)] == [401, 403, 400, 200]
    for answer in (bad, lacking, twice, good):
        assert_readable(answer.headers, LOCAL)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:1",
        "https://localhost:6274",
        "http://127.0.0.1:8000",
        "http://[::1]:3000",
        "HTTP://LocalHost:3000",
    ],
)
def test_loopback_origins_are_allowed_by_default(mounted: Site, origin: str) -> None:
    assert mounted.post("/mcp", {"origin": origin, **mounted.bearer()}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        ELSE,
        "null",
        "",
        "*",
        "http://localhost.evil.example",
        "http://evil.example:80/localhost",
        "http://localhost:1@evil.example",
        "http://127.0.0.1.evil.example",
        "http://xlocalhost",
        "file://",
        "ftp://localhost",
    ],
)
def test_origin_not_allowed_is_403_even_with_a_good_token(mounted: Site, origin: str) -> None:
    answer = mounted.post("/mcp", {"origin": origin, **mounted.bearer()})
    assert answer.status_code == 403
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_requests_of_other_programs_get_no_cors_headers(mounted: Site) -> None:
    answer = mounted.post("/mcp", mounted.bearer())
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_own_routes_get_no_cors_headers(mounted: Site) -> None:
    answer = mounted.http.get("/health", headers={"origin": LOCAL})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture(scope="module")
def public_resource(folder: Path, scalekit: Standin) -> Iterator[Site]:
    """A site whose registered URL is not the address it listens on."""
    settings = scalekit.settings("https://MCP.example:8443/mcp")
    with site(folder / "public_resource", scalekit, stateless_app, **settings) as one:
        yield one


@pytest.mark.parametrize(
    ("resource", "origin"),
    [
        ("https://mcp.example:443/mcp", "https://mcp.example"),
        ("http://localhost:80/mcp", "http://localhost"),
    ],
)
def test_browsers_leave_the_default_port_out(
    tmp_path: Path, scalekit: Standin, resource: str, origin: str
) -> None:
    settings = {**scalekit.settings(resource), "MCP_ALLOWED_ORIGINS": "https://else.example"}
    with site(tmp_path, scalekit, stateless_app, **settings) as one:
        assert one.post("/mcp", {"origin": origin, **one.bearer()}).status_code == 200


def test_the_resources_own_origin_is_allowed(public_resource: Site) -> None:
    token = public_resource.bearer()
    for origin, status in (
        ("https://mcp.example:8443", 200),
        ("https://mcp.example", 403),
        ("http://mcp.example:8443", 403),
        ("https://mcpxexample:8443", 403),
    ):
        assert public_resource.post("/mcp", {"origin": origin, **token}).status_code == status


@pytest.fixture(scope="module")
def listed(folder: Path, scalekit: Standin) -> Iterator[Site]:
    origins = "https://one.example, https://TWO.example:444/ http://localhost:* https://a.box"
    with site(folder / "listed", scalekit, stateless_app, MCP_ALLOWED_ORIGINS=origins) as one:
        yield one


@pytest.mark.parametrize(
    "origin",
    [
        "https://one.example",
        "https://two.example:444",
        "http://localhost",
        "http://localhost:6274",
        "https://a.box",
    ],
)
def test_listed_origins_are_allowed(listed: Site, origin: str) -> None:
    answer = listed.post("/mcp", {"origin": origin, **listed.bearer()})
    assert answer.status_code == 200
    assert_readable(answer.headers, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:6274",
        "https://localhost:6274",
        "http://localhost:x",
        "http://localhost:*",
        "https://two.example",
        "https://one.example.evil",
        "https://oneXexample",
        "https://three.example",
    ],
)
def test_a_list_takes_the_place_of_the_default(listed: Site, origin: str) -> None:
    assert listed.post("/mcp", {"origin": origin, **listed.bearer()}).status_code == 403


def test_a_list_never_shuts_out_the_servers_own_origin(listed: Site) -> None:
    assert listed.post("/mcp", {"origin": listed.url, **listed.bearer()}).status_code == 200


@pytest.fixture(scope="module")
def open_to_all(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "open", scalekit, stateless_app, MCP_ALLOWED_ORIGINS="*") as one:
        yield one


@pytest.mark.parametrize("origin", [ELSE, "null", LOCAL])
def test_star_allows_every_origin_without_credentials(open_to_all: Site, origin: str) -> None:
    answer = open_to_all.post("/mcp", {"origin": origin, **open_to_all.bearer()})
    assert answer.status_code == 200
    assert_readable(answer.headers, origin)
    assert preflight(open_to_all, "/mcp", origin).headers["access-control-allow-origin"] == origin


class OwnCORS(CORSMiddleware):
    """People subclass it, and some keep the origins in there."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        origins = ["https://app.example", "https://more.example"]
        super().__init__(app, allow_origins=origins, **options)


def app_with_cors(guard: ModuleType) -> FastAPI:
    app = stateless_app(guard)
    own: Any = OwnCORS  # Starlette's types know no keywords of a subclass
    app.add_middleware(
        own,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Own"],
    )
    return app


@pytest.fixture(scope="module")
def with_cors(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "cors", scalekit, app_with_cors) as one:
        yield one


def test_cors_of_the_app_keeps_answering_browsers(with_cors: Site) -> None:
    answer = preflight(with_cors, "/mcp", "https://app.example")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    refused = with_cors.post("/mcp", {"origin": "https://app.example"})
    assert refused.status_code == 401
    assert refused.headers.get_list("access-control-allow-origin") == ["https://app.example"]
    assert refused.headers.get_list("access-control-expose-headers") == ["X-Own"]


@pytest.mark.parametrize(
    ("origin", "status", "readable"),
    [
        ("https://app.example", 200, True),
        ("https://more.example", 200, True),
        (LOCAL, 200, False),
        (ELSE, 403, False),
    ],
)
def test_listed_origins_of_the_apps_cors_are_allowed(
    with_cors: Site, origin: str, status: int, readable: bool
) -> None:
    answer = with_cors.post("/mcp", {"origin": origin, **with_cors.bearer()})
    assert answer.status_code == status
    assert ("access-control-allow-origin" in answer.headers) == readable


def test_preflight_that_the_apps_cors_does_not_see_is_answered(
    folder: Path, scalekit: Standin
) -> None:
    """The guard around the whole app, added last: the CORS middleware is inside."""

    def build(guard: ModuleType) -> FastAPI:
        app = FastAPI()
        app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
        app.add_middleware(guard.ScalekitAuthMiddleware)
        return app

    with site(folder / "inside", scalekit, build) as one:
        answer = preflight(one, "/mcp", "https://app.example")
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_star_of_the_apps_cors_does_not_open_mcp(folder: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
        return app

    with site(folder / "star", scalekit, build) as one:
        answer = one.post("/mcp", {"origin": ELSE, **one.bearer()})
        assert answer.status_code == 403
        assert one.http.get(one.url + "/health", headers={"origin": ELSE}).status_code == 200


@pytest.mark.parametrize("pattern", [".*", "https?://.*"])
def test_a_pattern_for_everybody_does_not_open_mcp(
    tmp_path: Path, scalekit: Standin, pattern: str
) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.add_middleware(CORSMiddleware, allow_origin_regex=pattern, allow_credentials=True)
        return app

    with site(tmp_path, scalekit, build) as one:
        assert one.post("/mcp", {"origin": ELSE, **one.bearer()}).status_code == 403


class Looped:
    """A middleware that leads back to itself, and would have an app like that searched for ever."""

    def __init__(self, app: ASGIApp) -> None:
        self.inner, self.app = app, self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.inner(scope, receive, send)


def test_middleware_that_leads_nowhere_is_no_cors(tmp_path: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.add_middleware(Looped)
        return app

    with site(tmp_path, scalekit, build) as one:
        answer = one.post("/mcp", {"origin": LOCAL, **one.bearer()})
        assert answer.status_code == 200
        assert_readable(answer.headers, LOCAL)


def test_an_answer_without_headers_gets_them(mounted: Site) -> None:
    """ASGI lets an app leave them out."""
    sent: list[Any] = []

    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})

    async def send(message: Any) -> None:
        sent.append(message)

    bearer = mounted.bearer()["authorization"].encode()
    headers = [(b"origin", LOCAL.encode()), (b"authorization", bearer)]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    guard = mounted.guard.ScalekitAuthMiddleware(bare)
    asyncio.run(guard(scope, None, send))
    assert (b"access-control-allow-origin", LOCAL.encode()) in sent[0]["headers"]


def test_cors_inside_the_mcp_app_is_not_doubled(folder: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        mcp_app = app.routes[-1].app.app  # type: ignore[attr-defined]  # the mount's guard's app
        mcp_app.add_middleware(
            CORSMiddleware, allow_origins=[LOCAL], expose_headers=["Mcp-Session-Id"]
        )
        return app

    with site(folder / "inner", scalekit, build) as one:
        answer = one.post("/mcp", {"origin": LOCAL, **one.bearer()})
        assert answer.status_code == 200
        assert answer.headers.get_list("access-control-allow-origin") == [LOCAL]


def test_a_pattern_of_the_apps_own_cors_counts(tmp_path: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.add_middleware(CORSMiddleware, allow_origin_regex=r"https://\w+\.b\.example")
        return app

    with site(tmp_path, scalekit, build) as made:
        asked = {"origin": "https://x.b.example", **made.bearer()}
        assert made.post("/mcp", asked).status_code == 200
        for stranger in ("https://x.b.example.evil", "https://evil.example"):
            refused = made.post("/mcp", {**asked, "origin": stranger})
            assert refused.status_code == 403
