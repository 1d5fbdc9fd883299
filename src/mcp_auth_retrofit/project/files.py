"""Which files around an entrypoint change, and how."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mcp_auth_retrofit.project import env_example, pyproject_toml, requirements_txt
from mcp_auth_retrofit.project.names import missing, too_old
from mcp_auth_retrofit.project.settings import PORT, settings
from mcp_auth_retrofit.results import Caution, Write

_MARKS = ("pyproject.toml", "requirements.txt", ".git", "setup.py", "setup.cfg")
_LOCAL = re.compile(r"https?://(?:localhost|127\.0\.0\.1)(?::\d+)?(/\S*)")
_LOCKS = {"uv.lock": "uv lock", "poetry.lock": "poetry lock", "pdm.lock": "pdm lock"}


@dataclass
class ProjectFiles:
    """What is written beside the entrypoint, and what is left to the user to do."""

    writes: list[Write] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)

    def warn(self, code: str, message: str) -> None:
        """Notes a caution."""
        self.cautions.append(Caution(code, message))


def project_root(entry: Path) -> Path:
    """The nearest folder above the entrypoint that marks a project, else its own."""
    folder = entry.resolve().parent
    marked = (f for f in (folder, *folder.parents) if any((f / m).exists() for m in _MARKS))
    return next(marked, folder)


def plan_project(entry: Path, mcp_path: str, fastmcp: bool = True) -> ProjectFiles:
    """`.env.example` and the list of requirements, for MCP at `mcp_path`. Reads, never writes.

    A server of the official SDK needs no `fastmcp`, and brings its own requirement along.
    `.env` is not even read. A file that cannot be read or followed is left alone, with a caution.
    """
    found = ProjectFiles()
    root = project_root(entry)
    _requirements(root, found, fastmcp)
    _env_example(entry, root, mcp_path, found)
    return found


def project_writes(entry: Path, mcp_path: str) -> list[Write]:
    """The writes of `plan_project` alone."""
    return plan_project(entry, mcp_path).writes


def _env_example(entry: Path, root: Path, mcp_path: str, found: ProjectFiles) -> None:
    folder = entry.resolve().parent
    between = [f for f in (folder, *folder.parents) if f.is_relative_to(root)]
    path = next((f / ".env.example" for f in between if (f / ".env.example").is_file()), None)
    path = path or root / ".env.example"
    before = _read(path, found)
    if before is None and path.exists():
        return
    after = env_example.with_names(before, {"PORT": str(PORT), **settings(mcp_path)})
    if after is not None:
        found.writes.append(Write(path, before, after))
    given = env_example.values(before or b"").get("EXPECTED_AUDIENCE", "").strip("'\" ")
    local = _LOCAL.fullmatch(given)
    if local and local[1].rstrip("/") != mcp_path.rstrip("/"):
        found.warn(
            "audience-differs",
            f"{path.name} has EXPECTED_AUDIENCE={given}, and MCP answers at {mcp_path}: change it "
            "there and in your settings, and PROTECTED_RESOURCE_METADATA with it.",
        )


def _requirements(root: Path, found: ProjectFiles, fastmcp: bool) -> None:
    places = list(_places(root, found))
    # Where FastAPI is listed is where requirements live; else wherever some are listed.
    chosen = next((p for p in places if "fastapi" in p.listed), None)
    chosen = chosen or next((p for p in places if p.listed), places[0] if places else None)
    listed = chosen.listed if chosen else {}
    needs = missing(listed, fastmcp)
    for line, need in too_old(listed):
        found.warn("old-requirement", f"{line} is too old: the app needs {need}.")
    if chosen is None:
        names = ", ".join(needs)
        found.warn(
            "requirements",
            f"Neither pyproject.toml nor requirements.txt lists requirements: install {names}.",
        )
    elif needs:
        after = chosen.add(needs)
        if after is None:
            names = ", ".join(needs)
            found.warn("requirements", f"Add to {chosen.path.name} yourself: {names}.{chosen.why}")
            return
        found.writes.append(Write(chosen.path, chosen.data, after))
        _what_follows(root, chosen, found)


def _what_follows(root: Path, chosen: "_Place", found: ProjectFiles) -> None:
    for lock, command in _LOCKS.items():
        if chosen.path.name == "pyproject.toml" and (root / lock).exists():
            found.warn("lock-file", f"{lock} does not know the new requirements: run `{command}`.")
    if chosen.path.suffix != ".toml" and requirements_txt.pinned(chosen.data):
        found.warn(
            "unpinned-requirement",
            f"{chosen.path.name} pins exact versions; the new lines only say the oldest that will "
            "do. Pin what gets installed.",
        )


@dataclass(frozen=True)
class _Place:
    """A file that lists requirements."""

    path: Path
    data: bytes
    listed: dict[str, str]
    why: str = ""
    """Why nothing can be added to it."""

    def add(self, needs: list[str]) -> bytes | None:
        """Its bytes with these requirements; None when they can't be added."""
        if self.why:
            return None
        if self.path.suffix == ".toml":
            return pyproject_toml.with_requirements(self.data, needs)
        return requirements_txt.with_requirements(self.data, needs)


def _places(root: Path, found: ProjectFiles) -> Iterator[_Place]:
    path = root / "pyproject.toml"
    data = _read(path, found)
    if data is not None:
        try:
            listed = pyproject_toml.listed(data)
        except (ValueError, RecursionError):
            found.warn("unreadable", "pyproject.toml is not valid TOML and stays as it is.")
        else:
            if listed is not None:
                yield _Place(path, data, listed)
    path = root / "requirements.txt"
    data = _read(path, found)
    if data is None:
        return
    listed = requirements_txt.listed(path, data)
    source = path.with_suffix(".in")
    if requirements_txt.generated(data) and source.is_file():
        written = _read(source, found)
        if written is not None:
            yield _Place(source, written, requirements_txt.listed(source, written) | listed)
    elif requirements_txt.generated(data):
        yield _Place(path, data, listed, " A tool writes that file.")
    else:
        yield _Place(path, data, listed)


def _read(path: Path, found: ProjectFiles) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        found.warn("unreadable", f"{path.name} cannot be read ({error.strerror}) and stays.")
        return None
