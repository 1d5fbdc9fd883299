"""Defects of the published recipe in entrypoints and requirements: ours is free of them.

What the guard does on the wire is asked in tests/wire; what the recipe's own lines do is run in
tests/test_recipe_harm.py. docs/recipe.md tells which test belongs to which defect.
"""

import ast
import asyncio
import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, FastMCP
from packaging.requirements import Requirement  # comes with pytest
from packaging.utils import canonicalize_name

from harness.cases import CASES, REWRITES
from harness.observing import observe
from harness.rewriting import Rewrite, rewrite
from harness.warm import Warm
from mcp_auth_retrofit.helper import helper_source
from mcp_auth_retrofit.project import plan_project
from mcp_auth_retrofit.verify.standin import Standin


def run(name: str, folder: Path) -> Rewrite:
    (case,) = [case for case in CASES if case.name == name]
    return rewrite(case, folder / "project")


def calls(source: bytes, name: str) -> list[ast.Call]:
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).split(".")[-1] == name]


def test_every_python_file_that_is_written_compiles(tmp_path: Path) -> None:
    for name in ("bare", "bare_without_routes", "protect_all"):
        written = [w for w in run(name, tmp_path / name).result.writes if w.path.suffix == ".py"]
        assert {w.path.name for w in written} == {"main.py", "scalekit_auth.py"}
        for write in written:
            compile(write.after, write.path, "exec", dont_inherit=True)


def test_constructor_keywords_move(tmp_path: Path) -> None:
    case = run("constructor_keywords", tmp_path)
    given = [k.arg for call in calls(case.after, "FastMCP") for k in call.keywords]
    taken = [k.arg for call in calls(case.after, "http_app") for k in call.keywords]
    assert not {"stateless_http", "json_response"} & set(given)
    assert {"stateless_http", "json_response"} <= set(taken)


def test_no_inserted_line_calls_startup() -> None:
    for source in [helper_source(), *(case.golden.read_bytes() for case in REWRITES)]:
        assert calls(source, "startup") == calls(source, "shutdown") == []


def test_the_sample_tool_answers_plainly(tmp_path: Path) -> None:
    module: dict[str, Any] = {}
    tree = ast.parse(run("bare", tmp_path).after)
    wanted = ("mcp = ", "@mcp.tool")
    kept = [s for s in tree.body if ast.unparse(s).startswith(wanted)]
    exec(compile(ast.Module(kept, []), "sample", "exec"), {"FastMCP": FastMCP}, module)

    async def ask() -> list[str]:
        async with Client(module["mcp"]) as client:
            result = await client.call_tool("hello", {"name": "Ada"})
            return [getattr(part, "text", "") for part in result.content]

    assert asyncio.run(ask()) == ["Hello, Ada!"]


def test_an_app_with_routes_gets_a_prefix(tmp_path: Path) -> None:
    for name, path in (("bare", "/mcp"), ("bare_without_routes", "/")):
        result = run(name, tmp_path / name).result
        assert (result.mount_path, result.mcp_path) == (path, path)


AROUND = (("HEAD", "/notes"), ("POST", "/notes"), ("GET", "/notes/"), ("GET", "/nowhere"))


def test_the_apps_own_405_404_and_redirects_stay(
    warm: Warm, standin: Standin, tmp_path: Path
) -> None:
    result = run("bare", tmp_path)
    result.written(tmp_path / "after")
    with observe(result.case, result.root, warm.launch) as before:
        before.ask(AROUND)
    settings = standin.settings("http://localhost:3002/mcp")
    with observe(result.case, tmp_path / "after", warm.launch, settings) as after:
        after.ask(AROUND)
        assert after.one("HEAD", "/health", {}).status == 405
    assert before.answers == after.answers
    assert [before.answers[probe].status for probe in AROUND] == [405, 405, 307, 404]


def test_health_of_a_root_mount(warm: Warm, standin: Standin, tmp_path: Path) -> None:
    """What no route answers there goes on to the guard: a HEAD, too, where only GET is routed."""
    result = run("bare_without_routes", tmp_path)
    result.written(tmp_path / "after")

    def settings(url: str) -> dict[str, str]:
        return standin.settings(f"{url}/")

    with observe(result.case, tmp_path / "after", warm.launch, settings) as after:
        token = {"Authorization": f"Bearer {standin.token()}"}
        asked = [("GET", {}), ("HEAD", {}), ("HEAD", token)]
        found = [after.one(method, "/health", headers).status for method, headers in asked]
    assert found == [200, 401, 404]


def test_a_doubled_path_is_told(tmp_path: Path) -> None:
    result = run("doubled_path", tmp_path).result
    assert (result.mount_path, result.mcp_path) == ("/mcp", "/mcp/mcp")
    (said,) = [w.message for w in result.warnings if w.code == "doubled-path"]
    assert "MCP answers at /mcp/mcp" in said


def test_a_tool_below_http_app_stays_there_and_is_listed(
    warm: Warm, standin: Standin, tmp_path: Path
) -> None:
    result = run("own_health", tmp_path)
    for source in (result.case.before.decode(), result.after.decode()):
        assert source.index("http_app(") < source.index("@mcp.tool")
    result.written(tmp_path / "after")

    async def tools(url: str) -> list[str]:
        async with Client(f"{url}/mcp", auth=standin.token()) as client:
            return [tool.name for tool in await client.list_tools()]

    def settings(url: str) -> dict[str, str]:
        return standin.settings(f"{url}/mcp")

    with observe(result.case, tmp_path / "after", warm.launch, settings) as after:
        assert len(asyncio.run(tools(after.running.url))) == 1


def imported(source: bytes) -> set[str]:
    """The top-level modules that a file imports, by statement or with import_module()."""
    names = [ast.literal_eval(call.args[0]) for call in calls(source, "import_module")]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


def brings(wanted: Requirement, known: dict[str, set[str]]) -> set[str]:
    """The distributions that pip installs for a requirement here; `known` ends circles."""
    name = canonicalize_name(wanted.name)
    if not wanted.extras <= known.setdefault(name, set()) or not known[name]:
        known[name] |= wanted.extras | {""}
        for text in importlib.metadata.requires(name) or ():
            one = Requirement(text)
            if not one.marker or any(one.marker.evaluate({"extra": e}) for e in known[name]):
                brings(one, known)
    return set(known)


@pytest.fixture
def required(tmp_path: Path) -> list[Requirement]:
    """What a requirements.txt with fastapi alone becomes."""
    (tmp_path / "requirements.txt").write_text("fastapi\n")
    entry = tmp_path / "main.py"
    entry.write_bytes(run("bare", tmp_path).after)
    writes = {write.path.name: write.after.decode() for write in plan_project(entry, "/mcp").writes}
    return [Requirement(line) for line in writes["requirements.txt"].split()]


def test_requirements_name_what_is_imported(required: list[Requirement], tmp_path: Path) -> None:
    providers = importlib.metadata.packages_distributions()
    entry = run("bare", tmp_path / "again").after
    used = {
        canonicalize_name(distribution)
        for module in imported(helper_source()) | imported(entry)
        for distribution in providers.get(module, ())  # the standard library has none
    }
    assert "mcp" in used
    assert {line.name for line in required} >= {"fastapi", "fastmcp", "scalekit-sdk-python"}
    for line in required:
        # fastmcp's own code lies in a distribution that it requires; uvicorn serves the app.
        own = {line.name, *(r for r in used if r == f"{line.name}-slim")}
        assert own & used or line.name == "uvicorn", line
    assert used <= set().union(*(brings(line, {}) for line in required))


def test_requirements_admit_what_is_current(required: list[Requirement]) -> None:
    """Lower bounds alone; the code that they go with runs in these tests on what they admit."""
    for line in required:
        assert {bound.operator for bound in line.specifier} <= {">="}
        assert importlib.metadata.version(line.name) in line.specifier
