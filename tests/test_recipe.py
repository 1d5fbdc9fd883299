"""Defects of the published recipe in entrypoints and requirements: ours is free of them.

Where it is cheap, the recipe's own line is run too, and shows the harm.
"""

import ast
import asyncio
import re
from pathlib import Path

from fastapi import FastAPI
from fastmcp import Client, FastMCP
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient

from harness.cases import CASES, REWRITES, Case
from harness.rewriting import Rewrite, rewrite
from mcp_auth_retrofit.helper import helper_source
from mcp_auth_retrofit.project import plan_project


def named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def run(name: str, folder: Path) -> Rewrite:
    return rewrite(named(name), folder / "project")


def calls(source: bytes, name: str) -> list[ast.Call]:
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).split(".")[-1] == name]


def test_constructor_keywords_move(tmp_path: Path) -> None:
    case = run("constructor_keywords", tmp_path)
    given = [k.arg for call in calls(case.after, "FastMCP") for k in call.keywords]
    taken = [k.arg for call in calls(case.after, "http_app") for k in call.keywords]
    assert not {"stateless_http", "json_response"} & set(given)
    assert {"stateless_http", "json_response"} <= set(taken)


def test_the_recipes_split_gives_no_token() -> None:
    """The red half: what the recipe takes for the token of any header."""
    assert ["", "abc"][0] == ""


def test_the_recipes_cors_reflects_any_origin() -> None:
    """The red half: a stranger's page may read every route, with the user's cookies."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    app.get("/private")(lambda: "secret")
    headers = {"Origin": "https://evil.example", "Cookie": "session=1"}
    answer = TestClient(app).get("/private", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://evil.example"
    assert answer.headers["access-control-allow-credentials"] == "true"


def test_no_inserted_line_calls_startup() -> None:
    goldens = [case.golden.read_bytes() for case in REWRITES]
    for source in [helper_source(), *goldens]:
        assert calls(source, "startup") == calls(source, "shutdown") == []


def test_the_sample_tool_answers_plainly(tmp_path: Path) -> None:
    module: dict[str, object] = {}
    tree = ast.parse(run("bare", tmp_path).after)
    wanted = ("mcp = ", "@mcp.tool")
    kept = [s for s in tree.body if ast.unparse(s).startswith(wanted)]
    exec(compile(ast.Module(kept, []), "sample", "exec"), {"FastMCP": FastMCP}, module)
    server = module["mcp"]
    assert isinstance(server, FastMCP)

    async def ask() -> list[str]:
        async with Client(server) as client:
            result = await client.call_tool("hello", {"name": "Ada"})
            return [getattr(part, "text", "") for part in result.content]

    assert asyncio.run(ask()) == ["Hello, Ada!"]


def test_an_app_with_routes_gets_a_prefix(tmp_path: Path) -> None:
    assert run("bare", tmp_path / "a").result.mount_path == "/mcp"
    assert run("bare_without_routes", tmp_path / "b").result.mount_path == "/"


def test_a_doubled_path_is_told(tmp_path: Path) -> None:
    result = run("doubled_path", tmp_path).result
    assert (result.mount_path, result.mcp_path) == ("/mcp", "/mcp/mcp")
    (said,) = [w.message for w in result.warnings if w.code == "doubled-path"]
    assert "MCP answers at /mcp/mcp" in said


def test_a_tool_below_http_app_is_listed(tmp_path: Path) -> None:
    """Booted by the laws too; here: the tool is not moved, and FastMCP lists it."""
    after = run("inline_mount", tmp_path).after.decode()
    assert after.index("@mcp.tool") < after.index("http_app(")
    server = FastMCP("late")
    server.http_app(path="/")
    server.tool(lambda: "x", name="late")

    async def ask() -> list[str]:
        async with Client(server) as client:
            return [tool.name for tool in await client.list_tools()]

    assert asyncio.run(ask()) == ["late"]


def test_requirements_name_what_is_imported(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi\n")
    entry = tmp_path / "main.py"
    entry.write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    writes = {write.path.name: write.after.decode() for write in plan_project(entry, "/mcp").writes}
    lines = writes["requirements.txt"].split()
    assert {re.split("[<>=]", line)[0] for line in lines} == {
        "fastapi",
        "fastmcp",
        "scalekit-sdk-python",
        "uvicorn",
    }
    assert "<" not in writes["requirements.txt"]
