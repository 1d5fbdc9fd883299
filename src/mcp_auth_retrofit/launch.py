"""How an entrypoint is started: the command that its owner would type."""

import ast
import re
from contextlib import suppress
from pathlib import Path

from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import is_main_guard
from mcp_auth_retrofit.wiring.siblings import is_project

PORT = 3002
_STARTS = ("Dockerfile", "Procfile", "Makefile", "docker-compose.yml", "compose.yaml", "README.md")


def run_command(entry: Entrypoint, cwd: Path) -> str:
    """E.g. `python main.py`, `uvicorn app.main:app --port 3002`, a factory with `--factory`."""
    module, start = module_name(entry.path)
    inside = "" if start == cwd.resolve() else f" --app-dir {_relative(start, cwd)}"
    if "." not in module and any(is_main_guard(s) for s in entry.tree.body):
        return f"python {_relative(entry.path, cwd)}"
    function = entry.app.function
    if function is not None and not _is_factory(function):
        return f"python {_relative(entry.path, cwd)}"
    if function is not None:
        made = _made_by(entry, function.name)
        what = f"{made} " if made else f"{function.name} --factory "
        return f"uvicorn {module}:{what}--port {PORT}{inside}"
    return f"uvicorn {module}:{entry.app.name} --port {PORT}{inside}"


def _made_by(entry: Entrypoint, factory: str) -> str | None:
    """`app` of `app = create_app()`, at the end of the module."""
    for statement in entry.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=called))):
                if called == factory:
                    return name
    return None


def _is_factory(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether uvicorn can call it: no coroutine, nothing that must be given."""
    given = function.args
    required = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    required += sum(default is None for default in given.kw_defaults)
    return isinstance(function, ast.FunctionDef) and required == 0


def started_as(path: Path) -> tuple[str, Path] | None:
    """`src` and its parent, where the project says that it is started as `uvicorn src.main:app`.

    Without an `__init__.py`, nothing else tells from which folder a file is imported.
    """
    for root in (folder for folder in path.parents if is_project(folder)):
        package = ".".join(path.parent.relative_to(root).parts)
        named = re.compile(rf"(?<![\w.]){re.escape(package)}\.{re.escape(path.stem)}:\w")
        for name in _STARTS if package else ():
            with suppress(OSError):
                if named.search((root / name).read_text("utf-8", "replace")):
                    return package, root
        break
    return None


def module_name(path: Path) -> tuple[str, Path]:
    """The dotted name by which a file is imported, and the folder from which that works."""
    started = None if (path.parent / "__init__.py").exists() else started_as(path)
    if started is not None:
        return f"{started[0]}.{path.stem}", started[1]
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _relative(path: Path, cwd: Path) -> str:
    here = cwd.resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
