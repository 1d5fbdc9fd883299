"""Sites to ask: an app guarded by a copy of the inserted file, served by uvicorn in a thread."""

import contextlib
import http.client
import importlib.util
import itertools
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastmcp import FastMCP
from fastmcp.server.dependencies import get_access_token

import mcp_auth_retrofit.inserted
from mcp_auth_retrofit.verify.standin import Standin

INSERTED = Path(mcp_auth_retrofit.inserted.__file__).with_name("scalekit_auth.py")
WELL_KNOWN = "/.well-known/oauth-protected-resource"
MCP_HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    },
}
WHO: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "who", "arguments": {}},
}

_copies = itertools.count()


@dataclass(frozen=True)
class Site:
    """An app that answers at `url`, with the guard module that it uses."""

    url: str
    guard: ModuleType
    scalekit: Standin
    http: httpx.Client

    def bearer(self, **token: Any) -> dict[str, str]:
        """Headers with a token; without arguments a good one."""
        return {"authorization": f"Bearer {self.scalekit.token(**token)}"}

    def post(
        self, path: str, headers: Mapping[str, str], body: Mapping[str, Any] = INITIALIZE
    ) -> httpx.Response:
        return self.http.post(path, json=body, headers={**MCP_HEADERS, **headers})


def status(one: Site, headers: dict[str, str]) -> int:
    """What a call of MCP is answered with."""
    return one.post("/mcp", headers).status_code


class Clock:
    """Stands in for the guard's `time`: ten minutes pass at once, or none at all."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.stopped: float | None = None

    def stop(self) -> None:
        self.stopped = time.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() if self.stopped is None else self.stopped) + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead


def raw_status(site: Site, target: str, field: str | None = None) -> int:
    """The status of a GET whose target and Authorization go out as they are written.

    httpx would straighten the target, and will not send a field that ends in a space.
    """
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", target, headers={"authorization": field} if field else {})
        return connection.getresponse().status


def load_guard(folder: Path, settings: Mapping[str, str]) -> ModuleType:
    """The inserted file as a user has it: a copy, with the settings in a .env file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}='{value}'\n" for name, value in settings.items()]
    (folder / ".env").write_text("".join(lines), encoding="utf-8")
    copy = Path(shutil.copy(INSERTED, folder))
    # A name of its own for each copy: each has settings and keys of its own.
    spec = importlib.util.spec_from_file_location(f"scalekit_auth_{next(_copies)}", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def serve(app: Any, listener: socket.socket, root_path: str = "") -> Iterator[None]:
    """Serve `app` on a bound socket until the block ends."""
    config = uvicorn.Config(
        app, log_level="critical", root_path=root_path, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the app did not start"
        assert time.monotonic() < deadline, "the app took too long to start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def site(
    folder: Path,
    scalekit: Standin,
    build: Callable[[ModuleType], Any],
    *,
    resource: str = "/mcp",
    root_path: str = "",
    **settings: str,
) -> Iterator[Site]:
    """Build an app with a guard of its own and serve it; `resource` is the path of its URL."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        guard = load_guard(folder, {**scalekit.settings(url + resource), **settings})
        with (
            serve(build(guard), listener, root_path),
            httpx.Client(base_url=url, trust_env=False, timeout=20) as http,
        ):
            yield Site(url, guard, scalekit, http)


def demo_server() -> FastMCP[Any]:
    """A server with one tool that says who calls it."""
    server: FastMCP[Any] = FastMCP("Demo")

    @server.tool
    def who() -> dict[str, Any]:
        token = get_access_token()
        assert token is not None
        return token.model_dump()

    return server


def demo_app(guard: ModuleType, mount: str = "/mcp", **http_app: Any) -> FastAPI:
    """The shape that an entrypoint has after the retrofit."""
    mcp_app = demo_server().http_app(path="/", **http_app)
    app = FastAPI(lifespan=mcp_app.lifespan)
    guard.add_protected_resource_metadata(app)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/orders")
    def orders() -> dict[str, int]:
        return {"orders": 3}

    guard.answer_bare_path(app, mount)
    app.mount(mount, guard.ScalekitAuthMiddleware(mcp_app))
    return app


def stateless_app(guard: ModuleType, mount: str = "/mcp") -> FastAPI:
    return demo_app(guard, mount, stateless_http=True, json_response=True)


def challenge(response: httpx.Response) -> dict[str, str]:
    """The parameters of the one WWW-Authenticate field, in their order."""
    (field,) = response.headers.get_list("www-authenticate")
    scheme, _, rest = field.partition(" ")
    assert scheme == "Bearer"
    given = dict(part.split("=", 1) for part in rest.split(", "))
    assert all(v.startswith('"') and v.endswith('"') for v in given.values())
    return {name: value[1:-1] for name, value in given.items()}
