"""What the docs name is there."""

import ast
import functools
import re
from pathlib import Path

import pytest

from mcp_auth_retrofit.rules import all_rules

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RECIPE = ROOT / "docs" / "recipe.md"
TEST = re.compile(r"\b([\w/]+\.py)::(\w+)")
"""A test as pytest names it; the parameters in brackets are left out."""
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
"""Links in the text, and those that stand below it under a label."""

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


def missing_tests(text: str) -> list[str]:
    found = TEST.findall(text)
    return [f"{path}::{name}" for path, name in found if name not in functions_of(ROOT / path)]


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


def test_what_is_not_there_is_seen() -> None:
    named = (
        "`tests/test_docs.py::test_gone[x]`, `tests/gone.py::test_x`, `tests/test_docs.py::LINK`"
    )
    assert len(missing_tests(named)) == 3
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
    named = {name for _, name in TEST.findall(RECIPE.read_text(encoding="utf-8"))}
    assert functions_of(ROOT / "tests" / "test_recipe_harm.py") <= named


def test_the_readme_names_every_rule() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"| `{rule.code}` | {rule.name} |" in text
