"""The command and the hook: one engine, one output, the exit statuses people know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cases import REWRITES, Case
from harness.rewriting import rewrite
from mcp_auth_retrofit.check import check

OPEN = """\
from fastapi import FastAPI
from fastmcp import FastMCP

mcp = FastMCP("x")
mcp_app = mcp.http_app(path="/")
grüße, app = "ä", None; app = FastAPI(lifespan=mcp_app.lifespan)
app.mount("/mcp", mcp_app)
"""
FACES = (["mcp_auth_retrofit", "check"], ["mcp_auth_retrofit.hook"])
BANNED = ("libcst", "rich", "typer", "pydantic", "click", "tomlkit", "fastapi", "fastmcp")


def run(face: list[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *face, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    path = tmp_path / "main.py"
    path.write_text(OPEN, encoding="utf-8")
    return path


@pytest.mark.parametrize("face", FACES)
def test_findings_are_status_1(face: list[str], entry: Path) -> None:
    ran = run(face, entry)
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"{entry}:7:1: MAR005 ")
    assert "[mcp-server-open]" in ran.stdout


@pytest.mark.parametrize("face", FACES)
def test_json_is_the_contract(face: list[str], entry: Path) -> None:
    ran = run(face, "--output-format", "json", entry.parent)
    said = json.loads(ran.stdout)
    assert (ran.returncode, said["checked"]) == (1, 1)
    (finding,) = said["findings"]
    message = finding.pop("message")
    assert "open to everybody" in message
    assert finding == {
        "code": "MAR005",
        "name": "mcp-server-open",
        "severity": "error",
        "path": str(entry),
        "line": 7,
        "column": 1,
        "fixable": True,
    }


@pytest.mark.parametrize("face", FACES)
def test_clean_is_status_0(face: list[str], tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("print('no app here')\n")
    ran = run(face, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("face", FACES)
def test_what_cannot_be_checked_is_status_2_and_the_rest_is_checked(
    face: list[str], entry: Path
) -> None:
    broken = entry.with_name("broken.py")
    broken.write_text("import fastapi\napp = (\n")
    ran = run(face, entry, broken, entry.with_name("gone.py"))
    assert ran.returncode == 2
    assert "MAR005" in ran.stdout
    assert f"{broken}:2: This is not valid Python: line 2, column 7" in ran.stderr
    assert "There is no such file." in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("face", FACES)
def test_select(face: list[str], entry: Path) -> None:
    assert run(face, "--select", "MAR001,MAR002", entry).returncode == 0
    ran = run(face, "--select", "MAR999", entry)
    assert ran.returncode == 2
    assert "MAR999" in ran.stderr


def test_a_comment_on_the_line_silences_one(entry: Path) -> None:
    silenced = OPEN.rstrip("\n") + "  # mar: ignore[MAR005] behind a gateway\n"
    entry.write_text(silenced, encoding="utf-8")
    assert check([entry]).findings == []
    entry.write_text(silenced.replace("MAR005", "MAR001"), encoding="utf-8")
    assert [f.code for f in check([entry]).findings] == ["MAR005"]
    entry.write_text(OPEN + "# mar: ignore[MAR005]\n", encoding="utf-8")
    assert [f.code for f in check([entry]).findings] == ["MAR005"]


def test_a_column_counts_characters(entry: Path) -> None:
    text = OPEN.replace('app.mount("/mcp", mcp_app)', '"äöü"; app.mount("/mcp", mcp_app)')
    entry.write_text(text, encoding="utf-8")
    assert [f.column for f in check([entry]).findings] == [8]


def test_fixable_is_what_apply_mends(entry: Path) -> None:
    entry.write_text(OPEN.replace('app.mount("', 'for _ in "a": app.mount("'), encoding="utf-8")
    assert [f.fixable for f in check([entry]).findings] == [False]


def test_the_hook_stays_lean(entry: Path) -> None:
    code = (
        "import sys\n"
        "from mcp_auth_retrofit.hook import main\n"
        "try:\n    main([sys.argv[1]])\nexcept SystemExit as ended:\n    status = ended.code\n"
        f"print(status, sorted(set({BANNED!r}) & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, str(entry)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "1 []"


@pytest.mark.parametrize("case", REWRITES, ids=lambda case: case.name)
def test_after_apply_nothing_new_and_nothing_fixable(case: Case, tmp_path: Path) -> None:
    rewritten = rewrite(case, tmp_path / "project")
    before = {f.code for f in check([rewritten.entry]).findings}
    for write in rewritten.result.writes:
        write.path.write_bytes(write.after)
    after = check([rewritten.entry])
    assert after.troubles == []
    assert [f for f in after.findings if f.fixable or f.code not in before] == []
    assert [f for f in after.findings if f.code == "MAR005"] == []
