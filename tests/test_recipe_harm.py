"""What the published recipe's own lines do: the harm behind docs/recipe.md, run.

Each defect is shown alone, on an app in the recipe's order with the rest mended as far as needed.
"""

import asyncio
import importlib
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response, WebSocket
from fastmcp import Client, Context, FastMCP
from fastmcp.server.dependencies import get_access_token
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import INITIALIZE, MCP_HEADERS, WELL_KNOWN, WHO

AUDIENCE = "http://localhost:3002/"

EVIL = "https://evil.example"
CORS: dict[str, Any] = {
    "allow_origins": ["*"],
    "allow_credentials": True,
    "allow_methods": ["GET", "POST", "OPTIONS"],
    "allow_headers": ["*"],
}


@pytest.fixture(autouse=True, scope="session")
def _sdk() -> None:
    """Imported here: it takes two seconds, and warns fifty times of its own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("scalekit.client")


@pytest.fixture
def own() -> Iterator[Standin]:
    """A stand-in whose switches the test may turn."""
    with Standin() as scalekit:
        yield scalekit


def recipes_app(scalekit: Standin, *, piece: int = 1, env_url: str = "", **options: Any) -> FastAPI:
    """The recipe's middlewares in its order, with a route to reach.

    `piece` is the part of the split header that counts as the token: 0 in the recipe. 1 is the
    mended line, without which no other defect shows. `options` replace what the SDK is to check.
    """
    sdk: Any = importlib.import_module("scalekit.client")
    env_url = env_url or scalekit.url
    client = sdk.ScalekitClient(env_url, scalekit.client_id, scalekit.client_secret)
    checked = {"issuer": env_url, "audience": [AUDIENCE], **options}
    app = FastAPI()
    app.add_middleware(CORSMiddleware, **CORS)

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.url.path not in ("/health", WELL_KNOWN):
            field = request.headers.get("authorization", "")
            if not field.startswith("Bearer "):
                return Response(status_code=401)
            token = field.split("Bearer ", 1)[piece]
            if not client.validate_access_token(token, sdk.TokenValidationOptions(**checked)):
                return Response(status_code=401)
        return await call_next(request)

    app.get("/health")(lambda: "healthy")
    app.get("/private")(lambda: "private")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("private")
        await socket.close()

    return app


def bearer(scalekit: Standin, scheme: str = "Bearer", **claims: Any) -> dict[str, str]:
    """Headers with a token that the recipe, its split mended, accepts: the older issuer."""
    token = scalekit.token(**{"iss": scalekit.url, "aud": [AUDIENCE], **claims})
    return {"authorization": f"{scheme} {token}"}


def status(app: FastAPI, headers: dict[str, str]) -> int:
    status: int = TestClient(app).get("/private", headers=headers).status_code
    return status


def test_fastmcp_refuses_the_recipes_keyword() -> None:
    keyword: dict[str, Any] = {"stateless_http": True}
    with pytest.raises(TypeError, match="stateless_http"):
        FastMCP("recipe", **keyword)


def test_the_recipes_split_refuses_every_token(standin: Standin) -> None:
    assert status(recipes_app(standin, piece=0), bearer(standin)) == 401
    assert status(recipes_app(standin), bearer(standin)) == 200  # the mended line: see below


def test_the_recipes_guard_refuses_preflights(standin: Standin) -> None:
    client = TestClient(recipes_app(standin))
    asks = {"origin": "http://localhost:6274", "access-control-request-method": "POST"}
    for answer in (client.options("/private", headers=asks), client.get("/private", headers=asks)):
        assert answer.status_code == 401
        assert "access-control-allow-origin" not in answer.headers


def test_the_recipes_cors_lets_any_page_in_and_hides_what_it_needs(standin: Standin) -> None:
    """Any origin may read with the user's cookies; DELETE and the session's id are withheld."""
    client = TestClient(recipes_app(standin))
    for cookie in ({}, {"cookie": "session=1"}):
        answer = client.get("/health", headers={"origin": EVIL, **cookie})
        assert answer.headers["access-control-allow-origin"] == EVIL
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "access-control-expose-headers" not in answer.headers
    alone = TestClient(CORSMiddleware(FastAPI(), **CORS))
    asks = {"origin": EVIL, "access-control-request-method": "DELETE"}
    assert alone.options("/", headers=asks).status_code == 400


def test_the_recipe_leaves_websockets_open(standin: Standin) -> None:
    with TestClient(recipes_app(standin)).websocket_connect("/live") as socket:
        assert socket.receive_text() == "private"


def test_the_recipe_wants_a_capital(standin: Standin) -> None:
    assert status(recipes_app(standin), bearer(standin, "bearer")) == 401


def test_the_recipes_check_freezes_the_loop(own: Standin) -> None:
    own.delay = 0.5
    transport = httpx.ASGITransport(recipes_app(own))

    async def ask() -> float:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            began = time.perf_counter()
            first = asyncio.create_task(client.get("/private", headers=bearer(own)))
            await asyncio.sleep(0)
            await client.get("/health")
            waited = time.perf_counter() - began
            assert (await first).status_code == 200
            return waited

    assert asyncio.run(ask()) >= 0.5


def test_the_recipes_client_signs_in_as_it_is_made(own: Standin) -> None:
    recipes_app(own)
    assert own.sign_ins == 1
    own.fail_sign_in = 401
    errors = importlib.import_module("scalekit.common.exceptions")
    with pytest.raises(errors.ScalekitUnauthorizedException):
        recipes_app(own)
    with pytest.raises(errors.ScalekitException):
        recipes_app(own, env_url="http://127.0.0.1:9")  # nobody listens there


def test_the_recipes_client_fails_on_an_empty_address(standin: Standin) -> None:
    sdk = importlib.import_module("scalekit.client")
    errors = importlib.import_module("scalekit.common.exceptions")
    with pytest.raises(errors.ScalekitException):
        sdk.ScalekitClient("", standin.client_id, standin.client_secret)


def test_the_recipe_keeps_keys_for_ever(own: Standin) -> None:
    app, withdrawn, old = recipes_app(own), own.kid, bearer(own)
    assert status(app, old) == 200
    own.rotate()
    own.withdraw(withdrawn)
    assert (status(app, old), status(app, bearer(own))) == (200, 401)
    assert own.fetches == 1


def test_the_recipe_takes_an_outage_for_a_bad_token(own: Standin) -> None:
    own.fail = 500
    assert status(recipes_app(own), bearer(own)) == 401


Claims = Callable[[Standin], dict[str, Any]]
MISTAKEN: dict[str, tuple[Claims, dict[str, Any], int]] = {
    "13: an empty issuer takes any": (lambda _: {"iss": EVIL}, {"issuer": ""}, 200),
    "13: no audience takes any": (lambda _: {"aud": EVIL}, {"audience": []}, 200),
    "13: an audience of None takes any": (lambda _: {"aud": EVIL}, {"audience": None}, 200),
    "13: an empty audience takes none": (lambda _: {}, {"audience": [""]}, 401),
    "15: no exp": (lambda _: {"exp": None}, {}, 200),
    "15: no sub": (lambda _: {"sub": None}, {}, 200),
    "16: the newer issuer": (lambda one: {"iss": one.issuer}, {}, 401),
    "18: a scope in a string": (lambda _: {"scopes": "admin"}, {"required_scopes": ["a"]}, 200),
    "18: the claim scope": (lambda _: {"scope": "a b"}, {"required_scopes": ["a"]}, 401),
    "18: the claim scp": (lambda _: {"scp": ["a"]}, {"required_scopes": ["a"]}, 401),
}


@pytest.mark.parametrize("defect", MISTAKEN)
def test_the_recipe_mistakes_tokens(standin: Standin, defect: str) -> None:
    claims, options, expected = MISTAKEN[defect]
    assert status(recipes_app(standin, **options), bearer(standin, **claims(standin))) == expected


def test_the_recipe_is_strict_about_a_slash(standin: Standin) -> None:
    assert status(recipes_app(standin, env_url=standin.url + "/"), bearer(standin)) == 401


def test_the_recipe_knows_public_paths_in_one_form(standin: Standin) -> None:
    app = recipes_app(standin)
    assert TestClient(app).get("/health").status_code == 200
    assert TestClient(app, root_path="/api").get("/api/health").status_code == 401
    assert TestClient(app).get(WELL_KNOWN + "/mcp").status_code == 401


def test_the_recipe_lends_a_session_to_anybody(standin: Standin) -> None:
    """And the tool does not learn who calls it."""
    server: FastMCP[Any] = FastMCP("recipe")
    server.tool(lambda: f"called by {get_access_token()}", name="who")
    app, mcp_app = recipes_app(standin), server.http_app(path="/")
    app.router.lifespan_context = mcp_app.lifespan
    app.mount("/mcp", mcp_app)
    with TestClient(app) as client:
        alice = client.post("/mcp/", json=INITIALIZE, headers={**MCP_HEADERS, **bearer(standin)})
        bob = {**MCP_HEADERS, **bearer(standin, sub="usr_bob")}
        bob["mcp-session-id"] = alice.headers["mcp-session-id"]
        answer = client.post("/mcp/", json=WHO, headers=bob)
    assert answer.status_code == 200
    assert "called by None" in answer.text


def test_the_recipes_startup_is_gone() -> None:
    router: Any = FastMCP("recipe").http_app(path="/").router
    with pytest.raises(AttributeError, match="startup"):
        router.startup()


def answer_of(server: FastMCP[Any], tool: str, **arguments: Any) -> tuple[bool, list[str]]:
    """Whether a tool failed, and the texts that a client gets."""

    async def ask() -> tuple[bool, list[str]]:
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            return result.is_error, [getattr(part, "text", "") for part in result.content]

    return asyncio.run(ask())


def test_the_recipes_tools_fail_or_wrap_twice() -> None:
    server: FastMCP[Any] = FastMCP("recipe")
    server.tool(lambda: {"content": [{"type": "text", "text": "hi"}]}, name="wrapped")

    @server.tool
    def token(ctx: Context) -> str:
        asked: Any = ctx
        return str(asked.request.state.token)

    failed, texts = answer_of(server, "token")
    assert failed
    assert "no attribute 'request'" in texts[0]
    assert answer_of(server, "wrapped")[1][0].startswith('{"content":')


def test_the_recipes_root_mount_swallows_them() -> None:
    app = FastAPI()
    app.get("/notes")(lambda: [])
    app.mount("/", FastMCP("recipe").http_app(path="/"))
    client = TestClient(app, follow_redirects=False)
    for method, path in (("POST", "/notes"), ("HEAD", "/notes"), ("GET", "/notes/")):
        assert client.request(method, path).status_code == 404  # 405, 405 and 307 without it


def test_the_recipes_two_paths_add_up() -> None:
    mcp_app = FastMCP("recipe").http_app(path="/mcp")
    app = FastAPI(lifespan=mcp_app.lifespan)
    app.mount("/mcp", mcp_app)
    with TestClient(app) as client:
        for path, expected in (("/mcp", 404), ("/mcp/mcp", 200)):
            assert client.post(path, json=INITIALIZE, headers=MCP_HEADERS).status_code == expected
