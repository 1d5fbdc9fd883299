"""The inserted module from one version of the tool to the next: renewed, or left to its editor."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcp_auth_retrofit import helper
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.cli import app
from mcp_auth_retrofit.helper import helper_source
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.json import render
from mcp_auth_retrofit.report.text import failure
from mcp_auth_retrofit.results import FileResult

APP = """\
from fastapi import FastAPI
from fastmcp import FastMCP

mcp = FastMCP("Seals")
app = FastAPI()
app.mount("/mcp", mcp.http_app(path="/"))
"""


def sealed(body: str) -> bytes:
    digest = hashlib.sha256(body.encode()).hexdigest()[:16]
    return f"{body}# Untouched, this file ends with its seal: {digest}.\n".encode()


OLDER = sealed("# scalekit_auth.py, format 1, written by mcp-auth-retrofit: older.\nold = True\n")


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A file that this tool has rewritten, with its module beside it."""
    path = tmp_path / "main.py"
    path.write_text(APP)
    write_all(prepare(path, Options(project_files=False)))
    return path


def write_all(result: FileResult) -> None:
    for write in result.writes:
        write.path.write_bytes(write.after)


def again(entry: Path, beside: bytes | None = None) -> FileResult:
    """A second run, with another module beside the entrypoint."""
    if beside is not None:
        (entry.parent / "scalekit_auth.py").write_bytes(beside)
    return prepare(entry, Options(project_files=False))


def test_states(entry: Path, tmp_path: Path) -> None:
    assert again(entry).state == "guarded"
    assert again(entry, OLDER).state == "outdated"
    plain = tmp_path / "plain.py"
    plain.write_text(APP)
    (entry.parent / "scalekit_auth.py").unlink()
    assert again(plain).state == "open"
    plain.write_text(APP.replace('FastMCP("Seals")', 'FastMCP("Seals", auth=object())'))
    assert (again(plain).status, again(plain).state) == ("refused", "otherwise")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_an_older_one_that_is_untouched_is_renewed(entry: Path, end: bytes) -> None:
    result = again(entry, OLDER.replace(b"\n", end))
    assert result.status == "changed"
    (write,) = result.writes
    assert write.after == helper.helper_source().replace(b"\n", end)
    assert [warning.code for warning in result.warnings] == ["helper-renewed"]
    write_all(result)
    assert again(entry).status == "unchanged"


def test_what_was_written_before_there_were_seals_is_known() -> None:
    name = "src/mcp_auth_retrofit/inserted/scalekit_auth.py"
    root = Path(__file__).parents[1]
    shown = ["git", "show", f"26a7c63:{name}"]
    done = subprocess.run(shown, cwd=root, capture_output=True, check=False)
    if done.returncode == 0:  # not in a source archive, and not in a shallow clone
        assert helper._is_untouched(done.stdout)
        assert not helper._is_untouched(done.stdout + b"# mine\n")


def edited(source: bytes) -> bytes:
    first, *rest = source.splitlines(keepends=True)
    return b"".join([first, b"KEY = 'canary-4711'\n", *rest])


def test_an_edited_one_is_refused_with_the_difference(entry: Path) -> None:
    result = again(entry, edited(helper.helper_source()))
    assert result.reason is not None
    assert (result.status, result.reason.code) == ("refused", "helper-edited")
    assert "+KEY = 'canary-4711'" in "\n".join(failure(result, entry.parent))
    assert result.writes == []


def test_an_older_one_that_is_edited_is_refused(entry: Path) -> None:
    result = again(entry, edited(OLDER))
    assert result.reason is not None
    assert (result.status, result.reason.code) == ("refused", "helper-edited")


def test_the_difference_is_not_in_the_json(entry: Path) -> None:
    result = again(entry, edited(helper.helper_source()))
    assert "canary" not in render([result], entry.parent)


def test_a_long_difference_is_cut(entry: Path) -> None:
    result = again(entry, helper.helper_source().replace(b"    ", b"\t"))
    assert result.reason is not None
    assert len(result.reason.detail.splitlines()) <= 42
    assert "lines more" in result.reason.detail


def test_a_newer_one_is_left_alone(entry: Path) -> None:
    newer = sealed("# scalekit_auth.py, format 999, written by mcp-auth-retrofit: newer.\n")
    result = again(entry, newer)
    assert result.reason is not None
    assert (result.status, result.reason.code) == ("refused", "helper-newer")


def test_a_stranger_is_left_alone(entry: Path) -> None:
    result = again(entry, b"# mine\n")
    assert result.reason is not None
    assert result.reason.code == "helper-taken"


def test_the_command_writes_it_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["helper", str(tmp_path)])
    assert (done.exit_code, [path.name for path in tmp_path.iterdir()]) == (0, ["scalekit_auth.py"])
    assert (tmp_path / "scalekit_auth.py").read_bytes() == helper_source()
    assert "ScalekitAuthMiddleware(mcp_app)" in done.output
    assert "there already" in CliRunner().invoke(app, ["helper", str(tmp_path)]).output


def test_the_command_leaves_other_peoples_files(tmp_path: Path) -> None:
    path = tmp_path / "scalekit_auth.py"
    path.write_text("MINE = 1\n")
    done = CliRunner().invoke(app, ["helper", str(tmp_path)])
    assert (done.exit_code, path.read_text()) == (1, "MINE = 1\n")
    assert "[helper-taken]" in done.output
    assert CliRunner().invoke(app, ["helper", str(tmp_path / "none")]).exit_code == 2
