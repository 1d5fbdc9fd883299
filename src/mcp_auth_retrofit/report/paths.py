"""How a path is shown, and which writes are a file's own."""

import os
from collections.abc import Sequence
from pathlib import Path

from mcp_auth_retrofit.results import FileResult, Write


def shown(path: Path, cwd: Path) -> str:
    """Relative to where the user stands when it lies below, else as it is."""
    absolute = Path(os.path.normpath(cwd / path))
    return str(absolute.relative_to(cwd)) if absolute.is_relative_to(cwd) else str(path)


def real(path: Path) -> Path:
    """The file itself, links followed; unlike Path.resolve it never raises."""
    return Path(os.path.realpath(path))


def beside(result: FileResult) -> list[Write]:
    """The writes other than the entrypoint's own."""
    return [write for write in result.writes if real(write.path) != real(result.path)]


def _to_read(result: FileResult) -> list[Write]:
    """The entrypoint first and the long new module last: the order in which one reads."""
    if result.status != "changed":
        return []
    entry = real(result.path)
    return sorted(
        result.writes,
        key=lambda write: (real(write.path) != entry, write.before is None, len(write.after)),
    )


def each_once(results: Sequence[FileResult]) -> list[list[Write]]:
    """The writes of each changed result, without those that an earlier result brings already.

    Two entrypoints of one project share .env.example, the requirements and scalekit_auth.py.
    """
    seen: set[Path] = set()
    lists = []
    for result in results:
        own = [write for write in _to_read(result) if real(write.path) not in seen]
        seen |= {real(write.path) for write in own}
        lists.append(own)
    return lists
