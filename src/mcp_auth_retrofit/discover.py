"""Which files: FastAPI's own conventions for `apply`, a walk with a byte filter for `check`.

Standard library only: the pre-commit hook starts here.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_auth_retrofit.results import Reason, Unusable

CONVENTION = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
"""Where `fastapi run` looks, in its order, when it is told nothing."""

SKIPPED = frozenset(
    {"venv", "env", "node_modules", "__pycache__", "build", "dist", "site-packages"}
)
"""Folders that hold other people's code or copies; those that begin with a dot go too."""


@dataclass(frozen=True)
class Found:
    """An entrypoint to work on; `app` is the name that pyproject.toml gives the FastAPI app."""

    path: Path
    app: str | None = None


def entrypoints(paths: Sequence[Path], cwd: Path) -> list[Found]:
    """The files that are named, each once; without any, the one that `fastapi run` would serve.

    Raises Unusable (no-entrypoint, bad-entrypoint) naming what was looked for.
    """
    if not paths:
        return [_configured(cwd) or _conventional(cwd)]
    once: dict[Path, Found] = {}
    for path in paths:
        once.setdefault(Path(os.path.realpath(cwd / path)), Found(path))
    return list(once.values())


def conventional_in(folder: Path) -> list[str]:
    """The names of the convention that exist below a folder, in its order."""
    return [name for name in CONVENTION if (folder / name).is_file()]


def _conventional(cwd: Path) -> Found:
    names = conventional_in(cwd)
    if not names:
        raise Unusable(
            Reason(
                "no-entrypoint",
                "No entrypoint is named and none was found: [tool.fastapi] in pyproject.toml has "
                f"no `entrypoint`, and there is no {', '.join(CONVENTION[:-1])} or "
                f"{CONVENTION[-1]} here.",
                "Name the file that makes the FastAPI app: mcp-auth-retrofit apply PATH.",
            )
        )
    return Found(Path(names[0]))


def _configured(cwd: Path) -> Found | None:
    """`[tool.fastapi] entrypoint = "package.module:app"`; FastAPI imports it from the cwd alone."""
    try:
        with (cwd / "pyproject.toml").open("rb") as file:
            document: Any = tomllib.load(file)
    except OSError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"pyproject.toml cannot be read: {error}.") from None
    for key in ("tool", "fastapi", "entrypoint"):
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    module, _, app = document.partition(":") if isinstance(document, str) else ("", "", "")
    parts = module.split(".")
    if not app.isidentifier() or not all(part.isidentifier() for part in parts):
        raise _bad('`entrypoint` of [tool.fastapi] in pyproject.toml is not "module:app".')
    candidates = (Path(*parts).with_suffix(".py"), Path(*parts, "__init__.py"))
    for path in candidates:
        if (cwd / path).is_file():
            return Found(path, app)
    raise _bad(
        f'`entrypoint = "{document}"` of [tool.fastapi] in pyproject.toml leads to no file: '
        f"there is neither {candidates[0]} nor {candidates[1]}."
    )


def _bad(message: str) -> Unusable:
    hint = "Mend it, or name the file that makes the FastAPI app: mcp-auth-retrofit apply PATH."
    return Unusable(Reason("bad-entrypoint", message, hint))


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The Python files that are named or lie in the folders that are named; sorted, each once.

    What is named is always taken, also when it does not exist: that is for the reader to say.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in _walk(path) if path.is_dir() else (path,):
            resolved = Path(os.path.realpath(file))  # Path.resolve raises on a loop of links
            if resolved not in seen:
                seen.add(resolved)
                yield file


def _walk(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        # A virtual environment by any other name.
        folders[:] = [f for f in folders if not Path(current, f, "pyvenv.cfg").exists()]
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(current, name)


def may_concern(data: bytes) -> bool:
    """Whether a file can hold anything to judge: parsing all of a tree costs twenty times this."""
    return b"fastapi" in data or b"FastAPI" in data or (b".mount(" in data and b"mcp" in data)
