"""Which files: FastAPI's conventions for `apply`, a walk for `check`."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_auth_retrofit.discover import CONVENTION, Found, entrypoints, may_concern, python_files
from mcp_auth_retrofit.results import Reason, Unusable


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")


def configure(root: Path, entrypoint: str) -> None:
    (root / "pyproject.toml").write_text(f'[tool.fastapi]\nentrypoint = "{entrypoint}"\n')


def unusable(cwd: Path) -> Reason:
    with pytest.raises(Unusable) as caught:
        entrypoints([], cwd)
    return caught.value.reason


@pytest.mark.parametrize("place", range(len(CONVENTION)))
def test_the_first_of_the_convention_wins(tmp_path: Path, place: int) -> None:
    make(tmp_path, *CONVENTION[place:])
    assert entrypoints([], tmp_path) == [Found(Path(CONVENTION[place]))]


def test_none_found_names_what_was_looked_for(tmp_path: Path) -> None:
    make(tmp_path, "server.py", "src/main.py")
    reason = unusable(tmp_path)
    assert reason.code == "no-entrypoint"
    assert all(name in reason.message for name in CONVENTION)
    assert "[tool.fastapi]" in reason.message


@pytest.mark.parametrize(
    ("entrypoint", "file"),
    [
        ("server:api", "server.py"),
        ("backend.server:api", "backend/server.py"),
        ("backend:api", "backend/__init__.py"),
    ],
)
def test_pyproject_comes_first_and_names_the_app(
    tmp_path: Path, entrypoint: str, file: str
) -> None:
    make(tmp_path, file, "main.py")
    configure(tmp_path, entrypoint)
    assert entrypoints([], tmp_path) == [Found(Path(file), "api")]


@pytest.mark.parametrize("entrypoint", ["server", "server:", ":app", "ser ver:app", "a..b:app"])
def test_an_entrypoint_that_is_none(tmp_path: Path, entrypoint: str) -> None:
    make(tmp_path, "main.py", "server.py")
    configure(tmp_path, entrypoint)
    assert unusable(tmp_path).code == "bad-entrypoint"


def test_an_entrypoint_that_leads_nowhere(tmp_path: Path) -> None:
    # FastAPI imports from the working directory alone: a file below src/ is not found.
    make(tmp_path, "main.py", "src/backend/server.py")
    configure(tmp_path, "backend.server:app")
    reason = unusable(tmp_path)
    assert reason.code == "bad-entrypoint"
    assert str(Path("backend", "server.py")) in reason.message


@pytest.mark.parametrize(
    "text", ["", "[tool]\nfastapi = 3\n", "[tool.fastapi]\n", "tool = 1\n", "[project]\n"]
)
def test_a_pyproject_without_entrypoint(tmp_path: Path, text: str) -> None:
    make(tmp_path, "main.py")
    (tmp_path / "pyproject.toml").write_text(text)
    assert entrypoints([], tmp_path) == [Found(Path("main.py"))]


@pytest.mark.parametrize("data", [b"[tool.fastapi\n", b"x = '\xff'\n"])
def test_a_broken_pyproject(tmp_path: Path, data: bytes) -> None:
    make(tmp_path, "main.py")
    (tmp_path / "pyproject.toml").write_bytes(data)
    reason = unusable(tmp_path)
    assert reason.code == "bad-entrypoint"
    assert "pyproject.toml" in reason.message


def test_named_files_are_taken_as_they_are_but_once(tmp_path: Path) -> None:
    make(tmp_path, "main.py", "app.py")
    configure(tmp_path, "main:api")
    (tmp_path / "link.py").symlink_to("main.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    named = [Path("main.py"), Path("./main.py"), tmp_path / "main.py", Path("link.py")]
    found = entrypoints([*named, Path("gone.py"), Path("loop.py")], tmp_path)
    assert found == [Found(Path("main.py")), Found(Path("gone.py")), Found(Path("loop.py"))]


def test_the_walk(tmp_path: Path) -> None:
    taken = ["a.py", "b/c.py", "b/d/e.py", "z.py"]
    skipped = [
        *(f"{folder}/x.py" for folder in (".venv", "venv", "node_modules", ".git", ".hidden")),
        *(f"b/{folder}/x.py" for folder in ("__pycache__", "build", "dist", "site-packages")),
        "notes.txt",
        "b/stub.pyi",
    ]
    make(tmp_path, *taken, *skipped, "myenv/lib/x.py")
    (tmp_path / "myenv" / "pyvenv.cfg").touch()
    found = [str(path.relative_to(tmp_path)) for path in python_files([tmp_path])]
    assert found == ["a.py", "z.py", "b/c.py", "b/d/e.py"]


def test_what_is_named_is_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "build/x.py", "script", "a.py")
    named = [tmp_path / "build", tmp_path / "script", tmp_path / "gone.py", tmp_path / "a.py"]
    found = list(python_files([*named, tmp_path]))
    assert found == [tmp_path / "build/x.py", *named[1:]]


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    make(tmp_path, "a/x.py")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert list(python_files([tmp_path])) == [tmp_path / "a" / "x.py"]


def test_the_filter() -> None:
    assert may_concern(b"from fastapi import FastAPI as F\n")
    assert may_concern(b"app = FastAPI()\n")
    assert may_concern(b"import fastapi as web\n")
    assert not may_concern(b"import flask\n")


def test_it_starts_light() -> None:
    code = (
        "import sys, mcp_auth_retrofit.discover\n"
        "heavy = {'typer', 'rich', 'libcst', 'pydantic', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
