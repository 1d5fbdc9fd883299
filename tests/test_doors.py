"""No rewrite may leave another way to the MCP server: what can't be closed is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options

HEAD = """\
from fastapi import FastAPI
from fastmcp import FastMCP
from starlette.middleware import Middleware
from things import tools_asgi
mcp = FastMCP("x")
mcp_app = mcp.http_app(path="/")
app = FastAPI(lifespan=mcp_app.lifespan)
"""
MOUNT = 'app.mount("/mcp", mcp_app)\n'
SIBLING = """\
from fastmcp import FastMCP
tools_asgi = FastMCP("y").http_app(path="/")
"""

OTHER_WAYS = {
    "a second app of the server": (
        MOUNT + 'other = mcp.http_app(path="/")\napp.add_route("/b", other)\n',
        "mcp-app-used-otherwise",
    ),
    "a second server": (
        MOUNT + 'two = FastMCP("z")\nb = two.http_app(path="/")\napp.host("b", b)\n',
        "mcp-app-used-otherwise",
    ),
    "an alias of the server": (
        MOUNT + 's = mcp\napp.add_route("/b", s.http_app())\n',
        "mcp-app-used-otherwise",
    ),
    "its routes": (
        MOUNT + "app.router.routes.extend(mcp_app.routes)\n",
        "mcp-app-used-otherwise",
    ),
    "its router's routes": (
        MOUNT + "app.router.routes += mcp_app.router.routes\n",
        "mcp-app-used-otherwise",
    ),
    "a default argument": (
        MOUNT + 'def wire(api, mcp_app=mcp_app):\n    api.add_route("/b", mcp_app)\nwire(app)\n',
        "mcp-app-used-otherwise",
    ),
    "an app made in another module": (
        MOUNT + 'app.add_route("/tools", tools_asgi)\n',
        "mcp-app-used-otherwise",
    ),
    "a namesake of the guard": (
        "from my_scalekit_auth import ScalekitAuthMiddleware\n"
        'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))\n',
        "wrapped-mount",
    ),
    "a namesake in another package": (
        "from vendor.scalekit_auth import ScalekitAuthMiddleware\n"
        'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))\n',
        "wrapped-mount",
    ),
    "the guard's name bound twice": (
        "from scalekit_auth import ScalekitAuthMiddleware\n"
        "from vendor import ScalekitAuthMiddleware\n"
        'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))\n',
        "wrapped-mount",
    ),
    "a guard with a public path": (
        "from scalekit_auth import ScalekitAuthMiddleware\n"
        'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app, public=("/",)))\n',
        "wrapped-mount",
    ),
}


def outcome(folder: Path, source: str, options: Options) -> str:
    (folder / "things.py").write_text(SIBLING)
    entry = folder / "main.py"
    entry.write_text(source)
    result = prepare(entry, replace(options, project_files=False))
    return result.reason.code if result.reason else result.status


@pytest.mark.parametrize(("source", "code"), OTHER_WAYS.values(), ids=OTHER_WAYS)
def test_another_way_to_mcp_is_refused(tmp_path: Path, source: str, code: str) -> None:
    assert outcome(tmp_path, HEAD + source, Options()) == code


def test_the_plain_mount_is_not(tmp_path: Path) -> None:
    assert outcome(tmp_path, HEAD + MOUNT, Options()) == "changed"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/deeper"])
def test_mcp_cannot_be_public(tmp_path: Path, path: str) -> None:
    options = Options(protect="all", public=(path,))
    assert outcome(tmp_path, HEAD + MOUNT, options) == "public-mcp"


def test_a_root_mount_cannot_be_public(tmp_path: Path) -> None:
    options = Options(protect="all", public=("/",))
    assert outcome(tmp_path, HEAD + 'app.mount("/", mcp_app)\n', options) == "public-mcp"


@pytest.mark.parametrize(
    "line",
    ["app.user_middleware.clear()", "app.user_middleware = []", "app.user_middleware.pop()"],
)
def test_middleware_that_is_rewritten_is_refused(tmp_path: Path, line: str) -> None:
    whole = Options(protect="all")
    assert outcome(tmp_path, f"{HEAD}{MOUNT}{line}\n", whole) == "middleware-rewritten"
    assert outcome(tmp_path, f"{HEAD}{MOUNT}{line}\n", Options()) == "changed"


def test_a_guard_that_may_not_run_is_none(tmp_path: Path) -> None:
    """In an `if`, or in a function, the whole-app guard is not taken for one."""
    guard = "app.user_middleware.append(Middleware(ScalekitAuthMiddleware))"
    source = (
        f"{HEAD}from scalekit_auth import ScalekitAuthMiddleware\nif mcp:\n    {guard}\n{MOUNT}"
    )
    entry = tmp_path / "main.py"
    entry.write_text(source)
    result = prepare(entry, Options(project_files=False))
    assert result.protect == "mcp"
    assert b"ScalekitAuthMiddleware(mcp_app)" in result.writes[-1].after


def test_a_server_behind_a_star_is_not_doubled(tmp_path: Path) -> None:
    source = "from fastapi import FastAPI\nfrom things import *\napp = FastAPI()\n"
    assert outcome(tmp_path, source, Options()) == "mcp-elsewhere"


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ('mcp.run(transport="http")', True),
        ('mcp.run("sse")', True),
        ("mcp.run()", False),
        ('mcp.run(transport="stdio")', False),
    ],
)
def test_a_server_that_is_run_alone_is_told(tmp_path: Path, line: str, warned: bool) -> None:
    entry = tmp_path / "main.py"
    entry.write_text(f"{HEAD}{MOUNT}if __name__ == '__main__':\n    {line}\n")
    result = prepare(entry, Options(project_files=False))
    assert ("server-runs-alone" in {w.code for w in result.warnings}) is warned


def test_a_lifespan_that_only_tells_of_mcp_is_merged(tmp_path: Path) -> None:
    entry = tmp_path / "main.py"
    life = "async def life(app):\n    print(mcp_app.lifespan)\n    yield\n"
    head = HEAD.replace(
        "app = FastAPI(lifespan=mcp_app.lifespan)", f"{life}app = FastAPI(lifespan=life)"
    )
    entry.write_text(head + MOUNT)
    result = prepare(entry, Options(project_files=False))
    assert b"merge_lifespans(life, mcp_app.lifespan)" in result.writes[-1].after


@pytest.mark.parametrize(
    "head",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fastapi import FastAPI\n",
        "from fastapi import FastAPI as F\n",
    ],
    ids=["for the type checker", "an alias, in quotes"],
)
def test_an_app_that_is_handed_is_called_so(tmp_path: Path, head: str) -> None:
    name = "F" if " as F" in head else "FastAPI"
    path = tmp_path / "main.py"
    path.write_text(
        f'{head}from fastmcp import FastMCP\ndef add(app: "{name}"):\n    mcp = FastMCP("x")\n'
        "    app.mount('/mcp', mcp.http_app())\n"
    )
    reason = prepare(path, Options()).reason
    assert reason is not None
    assert reason.code == "app-is-parameter"
