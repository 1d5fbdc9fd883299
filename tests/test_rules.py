"""Each rule: what it finds, and as many cases in which it rightly keeps quiet."""

import ast
from pathlib import Path

import pytest

from mcp_auth_retrofit.rules import all_rules
from mcp_auth_retrofit.wiring.read import survey

HEAD = """\
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from fastmcp import FastMCP
import os
from elsewhere import install, Wrapper
mcp = FastMCP("x")
mcp_app = mcp.http_app(path="/")
app = FastAPI(lifespan=mcp_app.lifespan)
"""
MOUNT = 'app.mount("/mcp", mcp_app)\n'
ROUTE = '@app.get("/a")\ndef a(): ...\n'
BELOW = '@app.get("/mcp/a")\ndef below(): ...\n'
CATCH_ALL = '@app.get("/{path:path}")\ndef page(path): ...\n'

LOUD = {
    "MAR001": {
        "route below the prefix": MOUNT + BELOW,
        "any route behind a root mount": 'app.mount("/", mcp_app)\n' + ROUTE,
        "websocket": MOUNT + '@app.websocket("/mcp/ws")\nasync def ws(socket): ...\n',
        "mount": MOUNT + 'app.mount("/mcp/files", StaticFiles(directory="."))\n',
        "router of this file": MOUNT
        + 'r = APIRouter(prefix="/mcp")\n@r.get("/x")\ndef x(): ...\napp.include_router(r)\n',
        "add_api_route": MOUNT + 'app.add_api_route("/mcp/b", lambda: 1)\n',
        "in a function of this file": MOUNT
        + 'def more(api):\n    @api.get("/mcp/c")\n    def c(): ...\nmore(app)\n',
        "unknown router behind a root mount": 'app.mount("/", mcp_app)\n'
        "from elsewhere import r\napp.include_router(r)\n",
        "under another name": MOUNT + 'api = app\napi.add_api_route("/mcp/g", lambda: 1)\n',
        "on its router": MOUNT + 'r = app.router\n@r.get("/mcp/h")\ndef h(): ...\n',
        "both inside one if": "if os.getenv('A'):\n    "
        + MOUNT
        + "    app.add_route('/mcp/d', 1)\n",
    },
    "MAR002": {
        "a route behind": MOUNT + ROUTE,
        "an unknown router behind, with a prefix": MOUNT
        + "from elsewhere import r\napp.include_router(r, prefix='/api')\n",
        "in an if": "if os.getenv('A'):\n    " + MOUNT + ROUTE,
        "before a main guard": MOUNT + ROUTE + 'if __name__ == "__main__":\n    print()\n',
    },
    "MAR003": {
        "catch-all": CATCH_ALL + MOUNT,
        "slug": '@app.get("/{slug}")\ndef slug(slug): ...\n' + MOUNT,
        "static files at the root": 'app.mount("/", StaticFiles(directory="."))\n' + MOUNT,
        "root mount": 'app.mount("", FastAPI())\n' + MOUNT,
        "same prefix": 'app.mount("/mcp", FastAPI())\n' + MOUNT,
        "POST at the root": '@app.post("/")\ndef hook(): ...\napp.mount("/", mcp_app)\n',
    },
}
QUIET = {
    "MAR001": {
        "behind, not below": MOUNT + ROUTE,
        "same beginning, other segment": MOUNT + '@app.get("/mcpx")\ndef x(): ...\n',
        "the bare path": MOUNT + '@app.get("/mcp")\ndef bare(): ...\n',
        "before": BELOW + MOUNT,
        "other branch": "if os.getenv('A'):\n    "
        + MOUNT
        + "else:\n    app.add_api_route('/mcp/e', lambda: 1)\n",
        "main guard": MOUNT + 'if __name__ == "__main__":\n    app.add_route("/mcp/f", print)\n',
        "a function never called": MOUNT
        + 'def more(api):\n    @api.get("/mcp/c")\n    def c(): ...\n',
        "middleware": 'app.mount("/", mcp_app)\n@app.middleware("http")\nasync def m(r, n): ...\n',
        "unknown call behind a prefix": MOUNT + "install(app)\n",
    },
    "MAR002": {
        "an unknown router behind": MOUNT + "from elsewhere import r\napp.include_router(r)\n",
        "last": ROUTE + MOUNT,
        "before a catch-all": ROUTE + MOUNT + CATCH_ALL,
        "before static files at the root": MOUNT + 'app.mount("/", StaticFiles(directory="."))\n',
        "before an unknown call": MOUNT + "install(app)\n" + ROUTE,
        "before the app is wrapped": MOUNT + "served = Wrapper(app)\n",
        "functions behind": MOUNT + "def helper(): ...\n",
        "another MCP mount behind": MOUNT + 'app.mount("/two", mcp.http_app(path="/"))\n',
    },
    "MAR003": {
        "catch-all behind": MOUNT + CATCH_ALL,
        "other prefix": 'app.mount("/files", StaticFiles(directory="."))\n' + MOUNT,
        "GET at the root": '@app.get("/")\ndef home(): ...\napp.mount("/", mcp_app)\n',
        "integers": '@app.get("/{number:int}")\ndef n(number): ...\n' + MOUNT,
        "the bare path, GET": '@app.get("/mcp")\ndef bare(): ...\n' + MOUNT,
        "unknown call": "install(app)\n" + MOUNT,
    },
}
NO_LIFESPAN = HEAD.replace("lifespan=mcp_app.lifespan", "")
WHOLE = {
    "MAR004": (
        {
            "none": NO_LIFESPAN + MOUNT,
            "inline": NO_LIFESPAN + 'app.mount("/mcp", mcp.http_app(path="/"))\n',
            "own, without MCP": HEAD.replace(
                "app = FastAPI(lifespan=mcp_app.lifespan)",
                "async def life(app):\n    yield\napp = FastAPI(lifespan=life)",
            )
            + MOUNT,
            "startup handlers": NO_LIFESPAN + '@app.on_event("startup")\ndef up(): ...\n' + MOUNT,
        },
        {
            "given": HEAD + MOUNT,
            "entered by hand": HEAD.replace(
                "app = FastAPI(lifespan=mcp_app.lifespan)",
                "async def life(app):\n    async with mcp_app.lifespan(app):\n        yield\n"
                "app = FastAPI(lifespan=life)",
            )
            + MOUNT,
            "keywords unseen": HEAD.replace("lifespan=mcp_app.lifespan", "**KEYWORDS") + MOUNT,
            "lifespan from elsewhere": HEAD.replace("=mcp_app.lifespan", "=install") + MOUNT,
            "unknown call": NO_LIFESPAN + MOUNT + "install(app)\n",
            "assigned": NO_LIFESPAN + "app.router.lifespan_context = mcp_app.lifespan\n" + MOUNT,
        },
    ),
    "MAR005": (
        {
            "open": HEAD + MOUNT,
            "inline": HEAD + 'app.mount("/mcp", mcp.http_app(path="/"))\n',
            "auth=None": HEAD.replace('FastMCP("x")', 'FastMCP("x", auth=None)') + MOUNT,
            "CORS is no guard": HEAD
            + "from fastapi.middleware.cors import CORSMiddleware\n"
            + 'app.add_middleware(CORSMiddleware, allow_headers=["authorization"])\n'
            + MOUNT,
        },
        {
            "ours": HEAD
            + "from scalekit_auth import ScalekitAuthMiddleware\n"
            + 'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))\n',
            "ours, relative and renamed": HEAD
            + "from .scalekit_auth import ScalekitAuthMiddleware as Guard\n"
            + 'app.mount("/mcp", Guard(mcp_app))\n',
            "ours everywhere": HEAD
            + "from scalekit_auth import ScalekitAuthMiddleware\n"
            + "from starlette.middleware import Middleware\n"
            + "app.user_middleware.append(Middleware(ScalekitAuthMiddleware))\n"
            + MOUNT,
            "FastMCP's own": HEAD.replace('FastMCP("x")', 'FastMCP("x", auth=provider)') + MOUNT,
            "wrapped": HEAD + 'app.mount("/mcp", Wrapper(mcp_app))\n',
            "a middleware that asks": HEAD
            + '@app.middleware("http")\nasync def check(request, go):\n'
            + '    return await go(request) if request.headers.get("x-api-key") else None\n'
            + MOUNT,
        },
    ),
}


def codes(source: str) -> list[str]:
    entries = survey(Path("main.py"), ast.parse(source))
    return [rule.code for entry in entries for rule in all_rules() for _ in rule.find(entry)]


def mutated(source: str) -> list[str]:
    """The same app under other names, other imports, and inside a factory."""
    renamed = source.replace("app.", "site.").replace("app =", "site =").replace("(app)", "(site)")
    renamed = renamed.replace("= app\n", "= site\n")
    renamed = renamed.replace("mcp_site", "mcp_app")
    aliased = source.replace("import APIRouter, FastAPI", "import APIRouter, FastAPI as Api")
    aliased = aliased.replace("= FastAPI(", "= Api(").replace(", FastAPI()", ", Api()")
    body = "".join(f"    {line}\n" for line in source.splitlines())
    factory = "def make():\n" + body + "    return app\n"
    return [renamed, aliased, factory]


def flat(table: dict[str, dict[str, str]]) -> list[object]:
    return [
        pytest.param(code, HEAD + source, id=f"{code} {name}")
        for code, sources in table.items()
        for name, source in sources.items()
    ]


def whole(which: int) -> list[object]:
    return [
        pytest.param(code, source, id=f"{code} {name}")
        for code, both in WHOLE.items()
        for name, source in both[which].items()
    ]


@pytest.mark.parametrize(("code", "source"), flat(LOUD) + whole(0))
def test_found(code: str, source: str) -> None:
    assert codes(source).count(code) == 1
    spellings = mutated(source)
    if "__main__" in source:
        spellings.pop()  # a main guard in a function is none
    assert [codes(other).count(code) for other in spellings] == [1] * len(spellings)


@pytest.mark.parametrize(("code", "source"), flat(QUIET) + whole(1))
def test_quiet(code: str, source: str) -> None:
    assert code not in codes(source)
    assert [code for other in mutated(source) if code in codes(other)] == []


def test_every_rule_explains_itself() -> None:
    rules = all_rules()
    assert [rule.code for rule in rules] == [f"MAR00{n}" for n in range(1, 6)]
    assert len({rule.name for rule in rules}) == len(rules)
    assert [rule.severity for rule in rules].count("warning") == 1
