"""`new`: a project that starts, is guarded, and that `apply` has nothing to add to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.check import check
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.verify.boot import boot
from mcp_auth_retrofit.verify.proof import prove
from mcp_auth_retrofit.verify.standin import Standin


def new(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mcp_auth_retrofit", "new", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("projects") / 'tide-tables "2"'
    assert new(directory).returncode == 0
    return directory


def test_all_files_are_there(project: Path) -> None:
    names = {".env.example", "README.md", "main.py", "requirements.txt", "scalekit_auth.py"}
    assert {path.name for path in project.iterdir()} == names
    assert 'FastMCP("Tide tables \\"2\\"")' in (project / "main.py").read_text()
    assert "modelcontextprotocol/inspector" in (project / "README.md").read_text()


def test_every_import_is_required(project: Path) -> None:
    required = (project / "requirements.txt").read_text()
    for name in ("fastapi", "fastmcp", "python-dotenv", "scalekit-sdk-python", "uvicorn"):
        assert f"{name}>=" in required


def test_it_keeps_its_promises(project: Path) -> None:
    with Standin() as scalekit:
        settings = lambda url: scalekit.settings(f"{url}/")  # noqa: E731 - boot takes a function
        with boot(cwd=project, env=settings) as running:
            checks = prove(
                running.url,
                "/",
                token=scalekit.token(),
                foreign=scalekit.token(aud="https://elsewhere.example/"),
                origin="http://localhost:6274",
            )
    assert [c for c in checks if not c.held] == []
    assert any("hello" in c.answered for c in checks)


def test_python_main_listens_on_port(project: Path, tmp_path: Path) -> None:
    """A stand-in for uvicorn tells what main.py asks of it."""
    (tmp_path / "uvicorn.py").write_text("def run(app, host, port): print(app.title, host, port)\n")
    for given, port in ({}, "3002"), ({"PORT": "4711"}, "4711"):
        plain = {name: value for name, value in os.environ.items() if name != "PORT"}
        env = {**plain, **given, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "main.py"]
        ran = subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, check=True
        )
        assert ran.stdout.split()[-2:] == ["127.0.0.1", port]


def test_nothing_is_left_to_do(project: Path) -> None:
    assert prepare(project / "main.py", Options()).status == "unchanged"
    assert check([project]).findings == []
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I", "main.py"]
    assert subprocess.run(command, cwd=project, check=False).returncode == 0


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = new(tmp_path)
    assert ran.returncode == 1
    assert "not empty" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert new(tmp_path / "empty").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert (tmp_path / "empty" / "main.py").is_file()


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = new(tmp_path / "file" / "project")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
