"""Reading (never running) the project's other modules that an entrypoint imports from."""

import ast
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path

from mcp_auth_retrofit.discover import python_files
from mcp_auth_retrofit.wiring.names import Module, Names, dotted

_MOST = 5000
"""Files; a larger project is looked at in part."""
_ASIDE = frozenset({"test", "tests", "testing", "examples", "example", "docs", "benchmarks"})
_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", ".git")


def forget() -> None:
    """Files may have come, gone or changed since they were looked at."""
    for remembered in (roots, find, parse, texts):
        remembered.cache_clear()


@lru_cache(maxsize=1024)
def roots(entry: Path) -> list[Path]:
    """Where an absolute import may start: the file's folder and those above, up to the project."""
    found = []
    for folder in entry.parents:
        # An absolute import does not begin inside a package, but for a script's own folder.
        if folder == entry.parent or not (folder / "__init__.py").exists():
            found += [folder, folder / "src"]
        if is_project(folder):
            break
    return found


def is_project(folder: Path) -> bool:
    """Whether a folder holds what a project's own folder has."""
    return any((folder / mark).exists() for mark in _MARKS)


def package_root(entry: Path) -> Path:
    """The first folder above a file that is no package."""
    return next(folder for folder in entry.parents if not (folder / "__init__.py").exists())


@lru_cache(maxsize=4)
def texts(root: Path) -> list[tuple[Path, bytes]]:
    """The Python files of a project, but its tests and examples."""
    found = []
    for path in islice(python_files([root]), _MOST):
        folders = path.relative_to(root).parts[:-1]
        if not _ASIDE.intersection(folders) and not path.name.startswith("test_"):
            with suppress(OSError):
                found.append((path, path.read_bytes()))
    return found


@lru_cache(maxsize=8192)
def find(entry: Path, origin: str) -> tuple[Path, str] | None:
    """The file and the name in it that a dotted origin (`.routers.users.router`) leads to."""
    dots = len(origin) - len(origin.lstrip("."))
    parts = origin[dots:].split(".")
    if len(parts) == 1 and not dots:
        return None
    starts = [entry.parents[dots - 1]] if 0 < dots <= len(entry.parents) else roots(entry)
    for start in starts:
        stem = start.joinpath(*parts[:-1])
        for candidate in (stem.parent / f"{stem.name}.py", stem / "__init__.py"):
            if candidate.is_file() and candidate != entry:
                return candidate, parts[-1]
    return None


@lru_cache(maxsize=512)
def parse(path: Path) -> Module | None:
    """A module of the project; None when it can't be read."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Module(path, tree, Names(tree))


def follow(module: Module, expression: ast.AST | None) -> tuple[Module, str] | None:
    """The module of the project that an imported name comes from, and its name there."""
    origin = module.names.origin(expression)
    found = find(module.path, origin) if origin else None
    parsed = parse(found[0]) if found else None
    return (parsed, found[1]) if found and parsed else None


def definitions(module: Module, named: ast.AST | None) -> tuple[Module, list[ast.AST]]:
    """What binds a name: in its own module, or else in the one of the project it comes from."""
    where, name = module, dotted(named) or ""
    if name not in module.names.bound:
        where, name = follow(module, named) or (module, name)
    return where, where.names.bound.get(name, [])
