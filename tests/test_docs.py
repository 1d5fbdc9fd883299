"""What the docs name is there."""

import ast
import re
from pathlib import Path

import pytest

from mcp_auth_retrofit.rules import all_rules

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    missing = []
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8")):
        tree = ast.parse((ROOT / path).read_bytes())
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        if name not in {node.name for node in tree.body if isinstance(node, functions)}:
            missing.append(f"{path}::{name}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_all_29_defects_are_told_and_shown() -> None:
    text = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\|$", text, re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, 30))
    assert [row for row in re.findall(r"^\| \d+ \|.*\|$", text, re.M) if "::test_" not in row] == []


def test_the_readme_names_every_rule() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"| `{rule.code}` | {rule.name} |" in text
