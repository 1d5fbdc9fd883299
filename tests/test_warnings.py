"""What apply says beside the diff: the parts of a project that a rewrite touches without a line."""

from pathlib import Path

import pytest

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.text import next_steps, plan
from mcp_auth_retrofit.results import FileResult

HEAD = "from fastapi import FastAPI\nfrom fastmcp import FastMCP\n"
MOUNTED = (
    HEAD + 'mcp = FastMCP("Words")\nmcp_app = mcp.http_app(path="/")\n'
    "app = FastAPI(lifespan=mcp_app.lifespan)\n{}\n"
    "@app.get('/a')\ndef a(): ...\napp.mount('/mcp', mcp_app)\n"
)


def applied(folder: Path, main: str, **others: str) -> FileResult:
    (folder / "pyproject.toml").touch()
    for name, text in others.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "main.py").write_text(main)
    return prepare(folder / "main.py", Options())


def said(result: FileResult, code: str) -> list[str]:
    assert result.reason is None
    return [warning.message for warning in result.warnings if warning.code == code]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("mcp-client", "\nclient = Client(StreamableHttpTransport(url))\n"),
        ("mcp-client", "\nstreams = streamablehttp_client('http://localhost:3002/mcp')\n"),
        ("setting-taken", "\nmcp_allowed_origins: list[str] = []\n"),
        ("served-elsewhere", "\nouter.mount('/', tools.http_app())\n"),
        ("served-elsewhere", "\nmcp.run(transport='http')\n"),
    ],
)
def test_other_modules_are_named_with_their_line(tmp_path: Path, code: str, text: str) -> None:
    (message,) = said(applied(tmp_path, MOUNTED.format(""), other=text), code)
    assert message.startswith("other.py, line 2, ")


def test_the_module_that_makes_the_mounted_app_is_not_another(tmp_path: Path) -> None:
    tools = 'from fastmcp import FastMCP\nmcp = FastMCP("T")\nmcp_app = mcp.http_app(path="/")\n'
    main = (
        "from fastapi import FastAPI\nfrom tools import mcp_app\n"
        "app = FastAPI(lifespan=mcp_app.lifespan)\napp.mount('/mcp', mcp_app)\n"
    )
    assert said(applied(tmp_path, main, tools=tools), "served-elsewhere") == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("app.add_middleware(CSRFMiddleware)", "CSRFMiddleware"),
        ("app.add_middleware(Gate)", "Gate"),
        ("add_api_key_middleware(app, key)", "add_api_key_middleware"),
        (
            "@app.middleware('http')\nasync def check_token(r, next):\n    no(401)",
            "check_token",
        ),
    ],
)
def test_gatekeepers_are_named(tmp_path: Path, line: str, name: str) -> None:
    gate = (
        "class Gate:\n    def __call__(self, scope):\n"
        "        if not scope['authorization']: refuse(401)\n"
    )
    imports = "from gate import Gate\nfrom csrf import CSRFMiddleware\n"
    result = applied(tmp_path, imports + MOUNTED.format(line), gate=gate)
    (warning,) = [one for one in result.warnings if one.code == "other-guard"]
    assert warning.message.startswith(f"`{name}` looks as if")
    assert warning.line in (8, 9)


@pytest.mark.parametrize(
    "line",
    [
        "@app.middleware('http')\nasync def log(request, call_next):\n    token = ID.set(1)\n"
        "    return await call_next(request)",
        "@app.middleware('http')\nasync def log(request, call_next):\n    note(request.auth_type)",
        "def add_credentialed_cors(a):\n    a.add_middleware(CORSMiddleware, allow='auth')\n"
        "add_credentialed_cors(app)",
        "async def register_auth(a):\n    a.state.auth = 1\nregister_auth(app)",
    ],
    ids=["a context variable", "a log", "cors", "state"],
)
def test_who_refuses_nobody_is_not_named(tmp_path: Path, line: str) -> None:
    assert said(applied(tmp_path, MOUNTED.format(line)), "other-guard") == []


def test_an_app_whose_lifespan_starts_mcp_is_refused(tmp_path: Path) -> None:
    main = (
        "from contextlib import asynccontextmanager\nfrom fastapi import FastAPI\n"
        "@asynccontextmanager\nasync def lifespan(app):\n    mcp_app = app.state.mcp_app\n"
        "    async with mcp_app.lifespan(mcp_app):\n        yield\n"
        "app = FastAPI(lifespan=lifespan)\n"
    )
    reason = applied(tmp_path, main).reason
    assert reason is not None
    assert (reason.code, reason.line) == ("mcp-elsewhere", 6)


def test_a_health_of_another_module_is_left_alone(tmp_path: Path) -> None:
    kernel = "class Kernel:\n    def __init__(self, app):\n        app.get('/health')(print)\n"
    main = "from kernel import Kernel\n" + MOUNTED.format("Kernel(app)")
    assert len(said(applied(tmp_path, main, kernel=kernel), "health-unclear")) == 1


def test_ours_is_imported_behind_the_files_own_checks(tmp_path: Path) -> None:
    main = (
        "from checks import require\n\nrequire('web')\nfrom fastapi import FastAPI\n\n"
        "app = FastAPI()\n\n\n@app.get('/a')\ndef a(): ...\n"
    )
    checks = "def require(name):\n    print(name)\n"
    text = applied(tmp_path, main, checks=checks).writes[-1].after.decode()
    assert text.index("require('web')") < text.index("scalekit_auth import")


def test_a_sibling_called_like_the_standard_library_is_no_kin(tmp_path: Path) -> None:
    main = (
        "import logging\nimport os\n\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        "@app.get('/a')\ndef a(): ...\n"
    )
    text = applied(tmp_path, main, logging="LEVEL = 1\n").writes[-1].after.decode()
    assert text.index("import os") < text.index("scalekit_auth import")


def test_a_middleware_of_the_server_is_named(tmp_path: Path) -> None:
    check = (
        "class Check(Middleware):\n    async def on_request(self, context, call_next):\n"
        "        if headers['authorization'] != KEY: raise ValueError\n"
    )
    main = MOUNTED.format("mcp.add_middleware(Check())")
    (message,) = said(
        applied(tmp_path, f"from check import Check\n{main}", check=check), "server-guard"
    )
    assert message.startswith("The MCP server has `Check` (main.py, line 7)")


def test_a_star_of_the_apps_cors_is_not_for_mcp(tmp_path: Path) -> None:
    cors = "app.add_middleware(CORSMiddleware, allow_origins=['*'])"
    assert len(said(applied(tmp_path, MOUNTED.format(cors)), "cors-star")) == 1
    named = "app.add_middleware(CORSMiddleware, allow_origins=['https://a.example'])"
    assert said(applied(tmp_path, MOUNTED.format(named)), "cors-star") == []


def test_tools_served_by_another_modules_routes_are_refused(tmp_path: Path) -> None:
    facade = (
        "from fastmcp import FastMCP\ndef add_root(app):\n    server = FastMCP('second')\n"
        "    @app.post('/')\n    async def invoke(name: str):\n"
        "        return await server.call_tool(name, {})\n"
    )
    main = MOUNTED.format("add_root(app)")
    reason = applied(tmp_path, f"from facade import add_root\n{main}", facade=facade).reason
    assert reason is not None
    assert (reason.code, reason.line) == ("mcp-by-hand", 7)


@pytest.mark.parametrize(
    "line",
    [
        "def tool(path, verb):\n    return getattr(app, verb)(path)\n",
        "get = app.get\nget('/health')(lambda: 'up')\n",
    ],
    ids=["getattr", "another name"],
)
def test_a_health_that_may_come_by_another_way_is_left_alone(tmp_path: Path, line: str) -> None:
    result = applied(tmp_path, MOUNTED.format(line))
    assert len(said(result, "health-unclear")) == 1
    assert b'@app.get("/health"' not in result.writes[-1].after


def test_a_health_that_a_catch_all_answered_says_so(tmp_path: Path) -> None:
    result = applied(tmp_path, MOUNTED.format("") + "@app.get('/{p:path}')\ndef page(p): ...\n")
    (summary,) = [one.summary for one in result.changes if one.transform == "health"]
    assert summary == "Adds GET /health, open to everybody; so far line 10 answered it."


def test_a_computed_path_is_shown_with_what_comes_below_it(tmp_path: Path) -> None:
    main = (
        f"import os\n{HEAD}PREFIX = os.environ['P']\nmcp = FastMCP('x')\nmcp_app = mcp.http_app()\n"
        "app = FastAPI(lifespan=mcp_app.lifespan)\napp.mount(PREFIX, mcp_app)\n"
    )
    result = applied(tmp_path, main)
    assert 'in front of `mcp` at `PREFIX + "/mcp"`.' in plan(result, tmp_path)[0]
    assert len(said(result, "doubled-path")) == 1
    example = next(w.after for w in result.writes if w.path.name == ".env.example")
    assert b"EXPECTED_AUDIENCE=http://localhost:3002/WHERE-MCP-ANSWERS" in example


def test_next_steps_fit_the_file(tmp_path: Path) -> None:
    factory = (
        f"{HEAD}mcp = FastMCP('x')\ndef create():\n    app = FastAPI()\n"
        "    app.mount('/mcp', mcp.http_app(path='/sse', transport='sse'))\n    return app\n"
        "service = create()\n"
    )
    steps = "\n".join(next_steps([applied(tmp_path, factory)], tmp_path))
    assert "main:service --port 3002" in steps
    assert "--transport sse --server-url http://localhost:3002/mcp/sse" in steps
