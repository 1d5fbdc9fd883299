"""`mcp-auth-retrofit new`: a project from nothing, made by the same transforms as any other."""

import os
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from mcp_auth_retrofit.launch import PORT
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.out import complain, say
from mcp_auth_retrofit.write import write_all

_URL = f"http://localhost:{PORT}/"
_REQUIREMENTS = "fastapi>=0.115\npython-dotenv>=1.0\nuvicorn>=0.34\n"


def new(
    directory: Annotated[Path, typer.Argument(help="Is made; may exist when it is empty.")],
) -> None:
    """Start a project: an MCP server with one sample tool behind Scalekit sign-in.

    Exit status: 0 made, 1 the directory is not empty, 2 it can't be made.
    """
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            complain(f"{directory} is there and not empty, so nothing was made.")
            complain("  Name a new directory, or retrofit what is there: mcp-auth-retrofit apply.")
            raise typer.Exit(1)
        made = _make(directory)
    except OSError as error:
        complain(f"{directory} can't be made: {error.strerror}.")
        raise typer.Exit(2) from None
    say(f"Made {directory}: {', '.join(made)}.")
    say("\nNext")
    say(f"  1. Register {_URL} as an MCP server in the Scalekit dashboard.")
    say(f"  2. cd {directory}; cp .env.example .env; fill it in.")
    say("  3. pip install -r requirements.txt; python main.py")
    say(f"  4. npx @modelcontextprotocol/inspector --transport http --server-url {_URL}")


def _make(directory: Path) -> list[str]:
    """All of it is made beside the directory and then moved: it is there whole or not at all."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        title = directory.resolve().name.replace("-", " ").replace("_", " ").strip().capitalize()
        _fill(stage, title or "MCP server")
        made = sorted(path.name for path in stage.iterdir())
        stage.chmod(0o777 & ~_umask())
        stage.replace(directory)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return made


def _fill(folder: Path, title: str) -> None:
    from mcp_auth_retrofit.apply import prepare  # noqa: PLC0415 - LibCST, for this command alone

    inserted = files("mcp_auth_retrofit.inserted")
    entry = folder / "main.py"
    literal = '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
    source = inserted.joinpath("starter.py").read_text(encoding="utf-8")
    entry.write_text(source.replace('"MCP server"', literal), encoding="utf-8", newline="\n")
    (folder / "requirements.txt").write_text(_REQUIREMENTS, encoding="utf-8", newline="\n")
    result = prepare(entry, Options())
    if result.reason is not None:
        raise RuntimeError(result.reason.message)
    write_all(result.writes)
    readme = inserted.joinpath("starter.md").read_text(encoding="utf-8")
    text = readme.format(title=title, url=_URL)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
