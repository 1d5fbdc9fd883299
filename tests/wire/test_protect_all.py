"""`--protect all`: the same guard around the whole app, with exact public paths."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient

from mcp_auth_retrofit.verify.standin import Standin
from wire.test_websockets import handshake
from wire.world import WELL_KNOWN, WHO, Site, challenge, demo_server, load_guard, raw_status, site


def whole_app(guard: ModuleType) -> FastAPI:
    mcp_app = demo_server().http_app(path="/", stateless_http=True, json_response=True)
    app = FastAPI(lifespan=mcp_app.lifespan)
    guard.add_protected_resource_metadata(app)
    app.user_middleware.append(Middleware(guard.ScalekitAuthMiddleware, public=("/health",)))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.websocket("/health")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    @app.get("/orders")
    def orders() -> dict[str, int]:
        return {"orders": 3}

    @app.get("/health/details")
    @app.get("/.well-known/security.txt")
    def details() -> dict[str, str]:
        return {"secret": "details"}

    guard.answer_bare_path(app, "/mcp")
    app.mount("/mcp", mcp_app)
    return app


@pytest.fixture(scope="module")
def whole(folder: Path, scalekit: Standin) -> Iterator[Site]:
    with site(folder / "whole", scalekit, whole_app) as one:
        yield one


@pytest.mark.parametrize(
    "path", ["/orders", "/docs", "/openapi.json", "/redoc", "/unknown", "/", "/mcp", "/mcp/"]
)
def test_everything_needs_a_token(whole: Site, path: str) -> None:
    answer = whole.http.get(path)
    assert answer.status_code == 401
    assert challenge(answer)["resource_metadata"] == f"{whole.url}{WELL_KNOWN}/mcp"


def test_with_a_token_everything_answers_as_before(whole: Site) -> None:
    token = whole.bearer()
    assert whole.http.get("/orders", headers=token).json() == {"orders": 3}
    assert whole.http.get("/unknown", headers=token).json() == {"detail": "Not Found"}
    assert whole.http.get("/.well-known/security.txt", headers=token).status_code == 200
    for path in ("/mcp", "/mcp/"):
        answer = whole.post(path, token, WHO)
        assert answer.json()["result"]["structuredContent"]["subject"] == "usr_alice"


@pytest.mark.parametrize("form", ["", "/", "/mcp", "/mcp/"])
def test_metadata_and_health_stay_public(whole: Site, form: str) -> None:
    assert whole.http.get("/health").json() == {"status": "healthy"}
    assert whole.http.get(WELL_KNOWN + form).json()["resource"] == whole.url + "/mcp"


BYPASSES = [
    "//health",
    "/health/",
    "/health//",
    "/HEALTH",
    "/Health",
    "/health/details",
    "/health/../orders",
    "/health/..%2forders",
    "/health%2f",
    "/health%2fdetails",
    "/health%00",
    "/health%0a",
    "/health%20",
    "/health;x",
    "/health;/orders",
    "/health\\",
    "/./health",
    "/x/../health",
    "/%2fhealth",
    "/orders?/health",
    "/orders#/health",
    "/orders/health",
    "/%6frders",
    "/health%3f",
    "health",
    "http://localhost/orders",
    f"{WELL_KNOWN}/../../orders",
    f"{WELL_KNOWN}x",
    f"{WELL_KNOWN}/mcp/deeper",
    f"/mcp{WELL_KNOWN}",
    f"/orders{WELL_KNOWN}",
    f"//{WELL_KNOWN}",
    f"{WELL_KNOWN}/MCP",
    "/.well-known/security.txt",
    "/.well-known/",
]


@pytest.mark.parametrize("target", BYPASSES)
def test_nothing_slips_past(whole: Site, target: str) -> None:
    # 400: not a request that the server takes; 404: the guard's own for unknown well-known paths.
    assert raw_status(whole, target) in (400, 401, 404)
    if not target.lstrip("/").startswith(".well-known") and target.startswith("/"):
        assert raw_status(whole, target) == 401


def test_percent_encoded_health_is_the_same_path(whole: Site) -> None:
    """The server decodes before anyone compares, and routes by the decoded path."""
    assert raw_status(whole, "/%68ealth") == 200


def test_websocket_on_a_public_path_needs_a_token(whole: Site) -> None:
    assert handshake(whole, {}, "/health").status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_methods_on_a_public_path_are_the_apps(whole: Site, method: str) -> None:
    assert whole.http.request(method, "/health").status_code == 405


def test_one_public_path_may_stand_alone(tmp_path: Path) -> None:
    """`public=("/health")`, without the comma, is a text and no tuple: its letters are no paths."""
    guard = load_guard(tmp_path, {})
    app = FastAPI()
    app.add_middleware(guard.ScalekitAuthMiddleware, public="/health")
    client: Any = TestClient(app)
    assert client.get("/health").status_code == 404
    for path in ("/", "/h"):
        assert client.get(path).status_code == 503


def test_public_paths_hold_under_root_path(folder: Path, scalekit: Standin) -> None:
    with site(
        folder / "whole_api", scalekit, whole_app, resource="/api/mcp", root_path="/api"
    ) as one:
        assert one.http.get("/health").status_code == 200
        assert one.http.get("/api/health").status_code == 401
        assert one.http.get("/orders").status_code == 401
        for form in ("", "/mcp", "/api/mcp"):
            assert one.http.get(WELL_KNOWN + form).status_code == 200
        answer = one.post("/mcp", {})
        assert challenge(answer)["resource_metadata"] == f"{one.url}/api{WELL_KNOWN}/mcp"
        assert one.post("/mcp", one.bearer()).status_code == 200


def test_cors_of_the_app_stays_outside(folder: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = whole_app(guard)
        app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
        return app

    with site(folder / "whole_cors", scalekit, build) as one:
        origin = {"origin": "https://app.example"}
        preflight = one.http.options("/orders", headers={**origin, **ASKS})
        assert preflight.status_code == 200
        refused = one.http.get("/orders", headers=origin)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example"


ASKS = {"access-control-request-method": "GET"}


def test_without_settings_nothing_opens(tmp_path: Path) -> None:
    """A bare test client: no start, so nothing has refused it yet."""
    client: Any = TestClient(whole_app(load_guard(tmp_path, {})))
    assert client.get("/health").status_code == 200
    assert client.get("/orders").status_code == 503
    for form, status in (("", 500), ("x", 503), ("/mcp", 503), ("/../orders", 503)):
        assert client.get(WELL_KNOWN + form).status_code == status
