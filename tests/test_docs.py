"""What the docs name is there."""

import ast
import functools
import re
from pathlib import Path

import pytest
import typer.main

from mcp_auth_retrofit.cli import app
from mcp_auth_retrofit.rules import all_rules

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RECIPE = ROOT / "docs" / "recipe.md"
TEST = re.compile(r"\b([\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?")
"""A test as pytest names it: file, function, and what stands in brackets."""
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
"""Links in the text, and those that stand below it under a label."""
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
COMMAND = re.compile(r"mcp-auth-retrofit (apply|check|new)\b([^#|`\n]*)")
"""A command line of ours, to its end or to a pipe."""
FOREIGN = {
    "--root-path": "uvicorn",
    "--strict": "mypy",
    "--all-spellings": "pytest",
    "--idle": "tools/mutate.py",
}
"""Options that the pages name of other tools."""
THIS = "test_what_is_not_there_is_seen"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """The test functions of a file; none where there is no file."""
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_bytes()).body
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    names = [node.name for node in body if isinstance(node, functions)]
    return frozenset(name for name in names if name.startswith("test_"))


@functools.cache
def parameters_of(path: Path) -> frozenset[str]:
    """What may stand in brackets: a text of the file, or the name of one of the cases."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    cases = {case.parent.name for case in ROOT.glob("tests/fixtures/*/case.toml")}
    return frozenset({text for text in texts if isinstance(text, str)} | cases)


def missing_tests(text: str) -> list[str]:
    return [
        f"{path}::{name}[{parameter}]"
        for path, name, parameter in TEST.findall(text)
        if name not in functions_of(ROOT / path)
        or (parameter and parameter not in parameters_of(ROOT / path))
    ]


def options_of(command: str) -> set[str]:
    """The long options of one of our commands, as it declares them."""
    group = typer.main.get_command(app)
    found = group.get_command(typer.Context(group), command)  # type: ignore[attr-defined]  # a group
    texts = {text for one in found.params for text in (*one.opts, *one.secondary_opts)}
    return {text for text in texts if text.startswith("--")}


def missing_options(text: str) -> list[str]:
    """Options that no command has, and those that stand behind another command than theirs."""
    every = {"--help", "--version", *FOREIGN}.union(*map(options_of, ("apply", "check", "new")))
    gone = [option for option in OPTION.findall(text) if option not in every]
    for command, rest in COMMAND.findall(text):
        gone += [o for o in OPTION.findall(rest) if o not in options_of(command) and o in every]
    return gone


def dead_links(text: str, folder: Path) -> list[str]:
    """Relative links that lead to no file; a fragment is not looked at."""
    targets = [(inline or below).partition("#")[0] for inline, below in LINK.findall(text)]
    local = [target for target in targets if target and "://" not in target]
    return [target for target in local if not (folder / target).exists()]


@every_page
def test_every_test_that_is_named_exists(page: Path) -> None:
    assert missing_tests(page.read_text(encoding="utf-8")) == []


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page.read_text(encoding="utf-8"), page.parent) == []


@every_page
def test_every_option_that_is_named_exists(page: Path) -> None:
    assert missing_options(page.read_text(encoding="utf-8")) == []


def test_every_option_of_apply_is_told() -> None:
    told = OPTION.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert options_of("apply") <= set(told)


def test_what_is_not_there_is_seen() -> None:
    here = "tests/test_docs.py"
    named = f"`{here}::test_gone[x]`, `tests/gone.py::test_x`, `{here}::LINK`, `{here}::{THIS}[zz]`"
    assert len(missing_tests(named)) == 4
    options = (
        "--protcet `--yes` $ mcp-auth-retrofit check x --dry-run\nmcp-auth-retrofit apply --yes"
    )
    assert missing_options(options) == ["--protcet", "--dry-run"]
    links = "[a](docs/gone.md#x) [b](README.md 'title') [c](https://x.example) [d](#e)\n[f]: gone\n"
    assert dead_links(links, ROOT) == ["docs/gone.md", "gone"]


def test_all_29_defects_are_told_and_shown() -> None:
    text = RECIPE.read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in re.findall(r"^\| (\d+ \| .*) \|$", text, re.MULTILINE)]
    assert [int(row[0]) for row in rows] == list(range(1, 30))
    for number, defect, seen, ours, shown, *_ in rows:
        assert all(cell.strip() for cell in (defect, seen, ours)), number
        # The harm alone shows nothing about what we write.
        assert TEST.search(shown), number
        assert "test_recipe_harm" not in shown, number


def test_every_run_of_the_recipes_lines_is_told() -> None:
    named = {name for _, name, _ in TEST.findall(RECIPE.read_text(encoding="utf-8"))}
    assert functions_of(ROOT / "tests" / "test_recipe_harm.py") <= named


def test_the_readme_names_every_rule() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"| `{rule.code}` | {rule.name} |" in text


def codes() -> set[str]:
    """Every code that a refusal in the source has."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        if path.parent.name not in ("wiring", "plan") and path.stem not in ("helper", "apply"):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(func=ast.Name(id="Reason"), args=[ast.Constant(value=str(code)), *_]):
                    found.add(code)
                case ast.Call(func=ast.Name(id="Reason"), args=[ast.IfExp() as either, *_]):
                    parts = (either.body, either.orelse)
                    found |= {str(p.value) for p in parts if isinstance(p, ast.Constant)}
                case ast.Call(
                    func=ast.Name(id="_refusal"), args=[ast.Constant(value=str(kind)), *_]
                ):
                    found.add(f"fastapi-mcp-{kind}")
                case ast.Tuple(elts=[ast.Constant(value=str(code)), _]) if code.startswith("app-"):
                    found.add(code)
    return found - {"", "internal"}


def test_every_refusal_has_its_way_out_on_the_page() -> None:
    page = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
    assert len(codes()) > 50
    assert sorted(code for code in codes() if f"`{code}`" not in page) == []


def test_every_case_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
    table = page.partition("## What is rewritten")[2].partition("## How it stands")[0]
    rows = [line.rsplit("|", 2)[1] for line in table.splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 50
    assert (
        sorted(n for n in named if not (ROOT / "tests/fixtures" / n / "before.py").exists()) == []
    )
