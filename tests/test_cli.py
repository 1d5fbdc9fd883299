"""The command line: what it prints where, when it writes, and with which status it ends."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from mcp_auth_retrofit import __version__
from mcp_auth_retrofit.cli import app
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.results import Change, FileResult, Reason, Write

SCHEMA = json.loads(files("mcp_auth_retrofit.report").joinpath("apply.schema.json").read_text())
PLAIN = """\
from fastapi import FastAPI
from fastmcp import FastMCP

mcp = FastMCP("Rooms")
app = FastAPI()
app.mount("/mcp", mcp.http_app(path="/"))


@app.get("/rooms")
def rooms() -> list[str]:
    return ["Aalto"]
"""
Prepare = Callable[[Path, Options], FileResult]


def fake(path: Path, options: Options) -> FileResult:
    """In place of the reading: what a file's text asks for."""
    if not path.is_file():
        return FileResult(path, "error", reason=Reason("missing-path", "No such file.", "Look."))
    data = path.read_bytes()
    if b"refuse" in data:
        return FileResult(path, "refused", reason=Reason("no-app", "No app here.", "Make one.", 3))
    if b"crash" in data:
        raise KeyError("deadly secret = 'hunter2'")
    if b"nest" in data:
        raise RecursionError
    if b"guard" in data:
        return FileResult(path, "unchanged", app="app", protect=options.protect or "mcp")
    return FileResult(
        path,
        "changed",
        app=options.app or "app",
        mcp="mcp_app",
        mount_path=options.mount_path or "/mcp",
        mcp_path=options.mount_path or "/mcp",
        protect=options.protect or "mcp",
        changes=[Change("mount", 1, "Puts the guard around the MCP mount.")],
        writes=[
            Write(path.parent / "scalekit_auth.py", None, b"shared = 1\n")
            if not (path.parent / "scalekit_auth.py").exists()
            else Write(path.parent / "scalekit_auth.py", b"shared = 1\n", b"shared = 1\n"),
            Write(path, data, data + b"guard = 1\n"),
        ],
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project to stand in, read by the fake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mcp_auth_retrofit.apply.prepare", fake)
    (tmp_path / "main.py").write_text("x = 1\n")
    return tmp_path


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["apply", *words], input=answer)


def tool(
    *words: str, cwd: Path, data: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """The real program, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mcp_auth_retrofit", *words],
        cwd=cwd,
        input=data,
        capture_output=True,
        env={**os.environ, **env},
        check=False,
    )


def document(result: Result) -> Any:
    loaded = json.loads(result.stdout)
    jsonschema.validate(loaded, SCHEMA)
    return loaded


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


OLD = {"main.py": "x = 1\n"}
NEW = {"main.py": "x = 1\nguard = 1\n", "scalekit_auth.py": "shared = 1\n"}


# Asking


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "yes\n", "  YES  \r\n", "y"])
def test_yes_from_a_pipe_writes(folder: Path, answer: str) -> None:
    result = run("main.py", answer=answer)
    assert result.exit_code == 0
    assert content(folder) == NEW
    assert "Write these changes? [y/N]" in result.stdout
    assert "Written: main.py, scalekit_auth.py." in result.stdout


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n", "yep\n", "0\n", "q"])
def test_anything_else_declines(folder: Path, answer: str) -> None:
    result = run("main.py", answer=answer)
    assert result.exit_code == 1
    assert content(folder) == OLD
    assert "Nothing was written." in result.stdout


def test_no_answer_at_all(folder: Path) -> None:
    result = run("main.py", answer="")
    assert result.exit_code == 2
    assert content(folder) == OLD
    assert "--yes" in result.stderr


def test_an_answer_that_is_not_text(folder: Path) -> None:
    (folder / "main.py").write_text(PLAIN)
    done = tool("apply", "main.py", cwd=folder, data=b"\xff\xfe\n", PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 2
    assert b"--yes writes without asking" in done.stderr
    assert content(folder) == {"main.py": PLAIN}


@pytest.mark.parametrize("flag", ["--yes", "-y"])
def test_yes_does_not_ask(folder: Path, flag: str) -> None:
    result = run(flag, answer="n\n")
    assert result.exit_code == 0
    assert content(folder) == NEW
    assert "[y/N]" not in result.stdout


def test_ctrl_c_at_the_question(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_auth_retrofit.commands.apply._answer", interrupt)
    result = run("main.py", answer="")
    assert result.exit_code != 0
    assert content(folder) == OLD


def interrupt() -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "--yes"]])
def test_a_dry_run_neither_asks_nor_writes(folder: Path, words: list[str]) -> None:
    result = run(*words, answer="y\n")
    assert result.exit_code == 0
    assert content(folder) == OLD
    assert "[y/N]" not in result.stdout
    assert "Nothing was written (--dry-run)." in result.stdout
    assert "+guard = 1" in result.stdout
    assert "EXPECTED_AUDIENCE=http://localhost:3002/mcp" in result.stdout


def test_nothing_to_do(folder: Path) -> None:
    (folder / "main.py").write_text("guard = 1\n")
    result = run("main.py", answer="")
    assert result.exit_code == 0
    assert result.stdout == "main.py: nothing to do.\n"


# What goes wrong


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [("refuse\n", 1, "no-app"), ("crash\n", 2, "internal"), ("nest\n", 2, "too-deeply-nested")],
)
def test_a_file_that_will_not_do(folder: Path, text: str, status: int, code: str) -> None:
    (folder / "main.py").write_text(text)
    result = run("main.py", answer="y\n")
    assert result.exit_code == status
    assert code in result.stderr
    assert result.stdout == ""
    assert content(folder) == {"main.py": text}


def test_an_internal_error_shows_neither_traceback_nor_source(folder: Path) -> None:
    (folder / "main.py").write_text("crash\n")
    for words in (["main.py"], ["main.py", "--diff"], ["--output-format", "json", "--dry-run"]):
        result = run(*words)
        assert result.exit_code == 2
        assert "KeyError" in result.output
        assert "Traceback" not in result.output
        assert "hunter2" not in result.output


def test_an_error_in_the_report_is_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> str:
        raise ValueError("deadly secret")

    monkeypatch.setattr("mcp_auth_retrofit.commands.apply.each_once", crash)
    result = run("main.py")
    assert result.exit_code == 2
    assert "ValueError" in result.stderr
    assert "secret" not in result.output
    monkeypatch.setattr("mcp_auth_retrofit.commands.apply.prepared", crash)
    as_json = run("main.py", "--dry-run", "--output-format", "json")
    assert as_json.exit_code == 2
    assert document(as_json)["files"][0]["reason"]["code"] == "internal"
    assert "secret" not in as_json.output


def test_no_entrypoint(folder: Path) -> None:
    (folder / "main.py").unlink()
    result = run()
    assert result.exit_code == 2
    assert "app/api.py" in result.stderr


def test_without_a_path_the_convention_and_its_app(folder: Path) -> None:
    (folder / "server.py").write_text("x = 1\n")
    (folder / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "server:api"\n')
    result = run("--dry-run", "--output-format", "json")
    assert [(f["path"], f["app"]) for f in document(result)["files"]] == [("server.py", "api")]
    result = run("--dry-run", "--output-format", "json", "--app", "other")
    assert document(result)["files"][0]["app"] == "other"


def test_a_file_changed_while_the_question_waited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit() -> str:
        (folder / "main.py").write_text("mine = 1\n")
        return "y"

    monkeypatch.setattr("mcp_auth_retrofit.commands.apply._answer", edit)
    result = run("main.py")
    assert result.exit_code == 1
    assert "file-changed" in result.stderr
    assert content(folder) == {"main.py": "mine = 1\n"}
    assert "Written" not in result.stdout
    assert "EXPECTED_AUDIENCE" not in result.stdout.partition("[y/N]")[2]


@pytest.mark.parametrize("obstacle", ["read-only", "hard-link"])
def test_what_cannot_be_written_is_known_before_the_question(folder: Path, obstacle: str) -> None:
    if obstacle == "read-only":
        (folder / "main.py").chmod(0o444)
    else:
        os.link(folder / "main.py", folder / "other.txt")
    before = content(folder)
    for words in (["main.py"], ["main.py", "--yes"]):
        result = run(*words, answer="y\n")
        assert result.exit_code == 1
        assert obstacle in result.stderr
        assert "[y/N]" not in result.stdout
    assert content(folder) == before
    # Looking is free, with a warning.
    dry = run("main.py", "--dry-run")
    assert dry.exit_code == 0
    assert "+guard = 1" in dry.stdout
    assert f"Writing would be refused. [{obstacle}]" in dry.stdout
    # The patch is the way out.
    assert "+guard = 1" in run("main.py", "--diff").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--mount-path", "mcp"],
        ["--mount-path", "/a//b"],
        ["--mount-path", "/{tenant}"],
        ["--mount-path", "/a b"],
        ["--mount-path", ""],
        ["--protect", "some"],
        ["--protect", "mcp", "--public", "/x"],
        ["--public", "/x"],
        ["--protect", "all", "--public", "x"],
        ["--output-format", "xml"],
        ["--output-format", "json"],
        ["--nonsense"],
    ],
)
def test_wrong_usage(folder: Path, words: list[str]) -> None:
    result = run("main.py", *words, answer="y\n")
    assert result.exit_code == 2
    assert content(folder) == OLD
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_options_arrive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(path: Path, options: Options) -> FileResult:
        seen.append(options)
        return FileResult(path, "unchanged")

    monkeypatch.setattr("mcp_auth_retrofit.apply.prepare", note)
    run("main.py")
    words = "--app a --mcp m --mount-path /t --protect all --public /x --public /y"
    run("main.py", *words.split(), "--no-project-files")
    assert seen == [
        Options(),
        Options("a", "m", "/t", "all", ("/x", "/y"), project_files=False),
    ]


# Several files


def test_each_file_has_its_own_result_and_the_worst_counts(folder: Path) -> None:
    (folder / "no.py").write_text("refuse\n")
    result = run("no.py", "main.py", "--yes")
    assert result.exit_code == 1
    assert (folder / "main.py").read_text() == NEW["main.py"]
    assert "no.py:3: Refused: No app here. [no-app]" in result.stderr
    assert run("gone.py", "no.py", "main.py", "--yes").exit_code == 2
    assert run("main.py", "--yes").exit_code == 0


def test_a_shared_file_is_written_once(folder: Path) -> None:
    (folder / "other.py").write_text("y = 1\n")
    result = run("main.py", "other.py", "--yes")
    assert result.exit_code == 0
    assert content(folder) == {**NEW, "other.py": "y = 1\nguard = 1\n"}
    assert result.stdout.count("b/scalekit_auth.py\n") == 2  # one `diff --git`, one `+++`


def test_a_shared_file_is_there_also_when_the_first_file_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "other.py").write_text("y = 1\n")

    def edit() -> str:
        (folder / "main.py").write_text("mine = 1\n")
        return "y"

    monkeypatch.setattr("mcp_auth_retrofit.commands.apply._answer", edit)
    assert run("main.py", "other.py").exit_code == 1
    assert content(folder) == {
        "main.py": "mine = 1\n",
        "other.py": "y = 1\nguard = 1\n",
        "scalekit_auth.py": "shared = 1\n",
    }


def test_declining_is_no_better_than_what_failed(folder: Path) -> None:
    assert run("gone.py", "main.py", answer="n\n").exit_code == 2


# JSON and patch


def test_json_alone_on_stdout(folder: Path) -> None:
    (folder / "no.py").write_text("refuse\n")
    (folder / "bad.py").write_text("crash\n")
    (folder / "done.py").write_text("guard\n")
    words = ["main.py", "no.py", "bad.py", "done.py", "gone.py", "--output-format", "json"]
    dry = run(*words, "--dry-run")
    assert content(folder)["main.py"] == OLD["main.py"]
    wet = run(*words, "--yes")
    assert content(folder)["main.py"] == NEW["main.py"]
    assert dry.exit_code == wet.exit_code == 2
    assert document(dry) == document(wet)
    assert wet.stderr == ""
    assert [file["status"] for file in document(wet)["files"]] == [
        *("changed", "refused", "error", "unchanged", "error")
    ]
    assert document(wet)["version"] == __version__


def test_json_tells_of_a_failed_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(path: Path, options: Options) -> FileResult:
        result = fake(path, options)
        result.writes[-1] = Write(path, b"x = 2\n", b"y\n")
        return result

    monkeypatch.setattr("mcp_auth_retrofit.apply.prepare", prepare)
    result = run("main.py", "--yes", "--output-format", "json")
    assert result.exit_code == 1
    (file,) = document(result)["files"]
    assert (file["status"], file["reason"]["code"]) == ("refused", "file-changed")
    assert file["changes"] == file["also"] == []


def test_the_patch_alone(folder: Path) -> None:
    (folder / "no.py").write_text("refuse\n")
    result = run("main.py", "no.py", "--diff")
    assert result.exit_code == 1
    assert result.stdout.startswith("diff --git a/main.py b/main.py\n")
    assert result.stdout.endswith("+shared = 1\n")
    assert "no-app" in result.stderr
    assert content(folder)["main.py"] == OLD["main.py"]


# The real thing


def test_apply_diff_git_apply(tmp_path: Path) -> None:
    """From a folder below the top of the work tree, with CRLF and without a final line end."""
    sub = tmp_path / "services" / "my app"
    sub.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    text = PLAIN.replace("\n", "\r\n").removesuffix("\r\n").encode()
    (sub / "main.py").write_bytes(text)
    (sub / "requirements.txt").write_text("fastapi\nuvicorn\n")
    made = tool("apply", "--diff", "main.py", cwd=sub)
    assert made.returncode == 0, made.stderr
    assert made.stderr == b""
    subprocess.run(["git", "apply", "--whitespace=nowarn"], cwd=sub, input=made.stdout, check=True)
    by_git = {path.name: path.read_bytes() for path in sub.iterdir()}
    for path in sub.iterdir():
        path.unlink()
    (sub / "main.py").write_bytes(text)
    (sub / "requirements.txt").write_text("fastapi\nuvicorn\n")
    done = tool("apply", "--yes", "main.py", cwd=sub)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in sub.iterdir()} == by_git
    assert set(by_git) == {"main.py", "requirements.txt", ".env.example", "scalekit_auth.py"}
    again = tool("apply", "--diff", cwd=sub)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")


def test_a_patch_that_git_would_cut_short_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(PLAIN)
    made = tool("apply", "--diff", "main.py", cwd=tmp_path / "app")
    assert made.returncode == 0
    assert str(tmp_path / ".env.example").encode() in made.stderr
    assert f"run both commands in {tmp_path}.\n".encode() in made.stderr


def test_on_a_terminal_it_asks_in_colour(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_auth_retrofit", "apply"],
        cwd=tmp_path,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    while b"[y/N] " not in said:
        said += os.read(master, 4096)
    os.write(master, b"y\n")
    try:
        while chunk := os.read(master, 4096):
            said += chunk
    except OSError:  # the other end is closed: that is how a terminal ends
        pass
    assert process.wait() == 0
    assert b"\x1b[32m+app = FastAPI(lifespan=mcp_app.lifespan)" in said
    assert b"list[str]" in said
    assert (tmp_path / "scalekit_auth.py").exists()


def test_a_reader_that_stops_early_sees_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    process = subprocess.Popen(
        [sys.executable, "-m", "mcp_auth_retrofit", "apply", "--diff"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert b"Traceback" not in errors
    assert b"internal" not in errors


def test_a_full_disk_behind_stdout(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcp_auth_retrofit", "apply", "--diff"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_ascii_terminal(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN.replace("Aalto", "Ålto"), encoding="utf-8")
    done = tool("apply", "--dry-run", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("data", "code", "status"),
    [
        (b"def f(:\n", "syntax", 2),
        (b"x = '\xe9'\n", "undecodable", 2),
        (b"\x7fELF\0\0", "binary", 2),
        (b"", "empty-file", 1),
        (b"x = 1\ry = 2\r", "carriage-return", 1),
        (b"x = 1" + b" + 1" * 2000 + b"\nfrom fastapi import FastAPI\napp = FastAPI()\n", "", 0),
    ],
)
def test_bad_input(tmp_path: Path, data: bytes, code: str, status: int) -> None:
    (tmp_path / "main.py").write_bytes(data)
    done = tool("apply", "--yes", "--output-format", "json", cwd=tmp_path)
    loaded = json.loads(done.stdout)
    jsonschema.validate(loaded, SCHEMA)
    assert b"Traceback" not in done.stderr
    reason = loaded["files"][0]["reason"]
    if code:
        assert (reason["code"], done.returncode) == (code, status)
        assert (tmp_path / "main.py").read_bytes() == data
    else:  # nested as deeply as ast can read: a result or a plain refusal, never a crash
        assert reason is None or reason["code"] == "too-deeply-nested"


def test_version_and_help() -> None:
    version = CliRunner().invoke(app, ["--version"])
    assert (version.exit_code, version.stdout) == (0, f"mcp-auth-retrofit {__version__}\n")
    helped = CliRunner().invoke(app, ["apply", "--help"])
    assert helped.exit_code == 0
    for option in (
        *("--app", "--mcp", "--mount-path", "--protect", "--public", "--no-project-files"),
        *("--yes", "-y", "--dry-run", "--diff", "--output-format"),
    ):
        assert option in helped.stdout


def test_it_starts_light() -> None:
    code = (
        "import sys, mcp_auth_retrofit.cli\n"
        "heavy = {'rich', 'libcst', 'pydantic', 'fastapi', 'fastmcp'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
