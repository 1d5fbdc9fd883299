"""The oldest versions are the same wherever they are named, and the measured table is whole."""

import runpy
from pathlib import Path

from mcp_auth_retrofit.inserted import scalekit_auth
from mcp_auth_retrofit.project import names

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
SETS = runpy.run_path(str(ROOT / "tools" / "versions.py"))["COMBINATIONS"]


def test_apply_and_the_guard_find_the_same_too_old() -> None:
    listed = dict(need.split(">=") for need in names.OLDEST)
    assert {name: listed[name] for name in scalekit_auth.OLDEST} == scalekit_auth.OLDEST


def test_the_oldest_are_measured() -> None:
    (oldest,) = [one.wanted for one in SETS if one.name == "oldest"]
    for name, version in scalekit_auth.OLDEST.items():
        assert any(wanted.startswith(f"{name}=={version}.") for wanted in oldest)


def test_the_page_names_the_oldest() -> None:
    text = " ".join(PAGE.split())
    for name, version in scalekit_auth.OLDEST.items():
        assert f"{name} {version}" in text


def test_the_table_has_every_set_and_no_failure() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    by_name = {row[0]: row for row in rows}
    for one in SETS:
        assert int(by_name[one.name][6]) > 1000
        assert by_name[one.name][7] == "0"
