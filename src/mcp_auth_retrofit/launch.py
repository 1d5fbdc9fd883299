"""How an entrypoint is started: the command that its owner would type."""

from pathlib import Path

from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import is_main_guard

PORT = 3002


def run_command(entry: Entrypoint, cwd: Path) -> str:
    """E.g. `python main.py`, `uvicorn app.main:app --port 3002`, a factory with `--factory`."""
    module, start = module_name(entry.path)
    inside = "" if start == cwd.resolve() else f" --app-dir {_relative(start, cwd)}"
    if "." not in module and any(is_main_guard(s) for s in entry.tree.body):
        return f"python {_relative(entry.path, cwd)}"
    function = entry.app.function
    if function is not None:
        return f"uvicorn {module}:{function.name} --factory --port {PORT}{inside}"
    return f"uvicorn {module}:{entry.app.name} --port {PORT}{inside}"


def module_name(path: Path) -> tuple[str, Path]:
    """The dotted name by which a file is imported, and the folder from which that works."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _relative(path: Path, cwd: Path) -> str:
    here = cwd.resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
