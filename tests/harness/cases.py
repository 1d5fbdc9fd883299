"""The cases of tests/fixtures: one folder a form, told by its case.toml.

before.py   the entrypoint as people write it
after.py    what `apply` makes of it, every byte; absent for a refusal
project/    other files of the project, copied as they are
case.toml   the fields of `Case` that differ from their defaults
"""

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from mcp_auth_retrofit.options import Options

FIXTURES = Path(__file__).parents[1] / "fixtures"

Probe = tuple[str, str]
"""Method and path; the method WS opens a websocket and waits for one message."""


@dataclass(frozen=True)
class Case:
    """One form of entrypoint, and what is known about it."""

    name: str
    about: str
    """One sentence: what is special here."""
    options: tuple[str, ...] = ()
    """As on the command line of `apply`."""
    entry: str = "main.py"
    cwd: str = "."
    """Where the server is started, from the project's root."""
    stubs: str | None = None
    """A folder of the project that holds stand-ins for libraries which are not installed."""
    app: str = "app"
    """What uvicorn is given after the colon."""
    factory: bool = False
    needs: Mapping[str, str] = field(default_factory=dict)
    """Requirements, as pip spells them, without which the project can't be booted; why of each."""
    starts_before: bool = True
    """In case.toml also a requirement: it starts before with that alone."""
    why: str = ""
    """Why it does not start before."""
    mcp: str = "/mcp"
    """Where MCP is afterwards."""
    also: tuple[str, ...] = ()
    """Where other MCP servers of the app are."""
    spellings: tuple[str, ...] | None = None
    """The ways to write it that answer; None: with a slash and without."""
    sse: bool = False
    """MCP is served over the older transport."""
    health: str = "/health"
    origin: str = "http://localhost:6274"
    """An origin whose browsers may use MCP."""
    probes: tuple[Probe, ...] = ()
    """Old routes that answer the same before and after."""
    opens: tuple[Probe, ...] = ()
    """Old routes that are dead before and answer after."""
    locks: tuple[Probe, ...] = ()
    """Old routes that answer before, and after only to a token."""
    refused: str | None = None
    """The code of the refusal."""
    error: str | None = None
    """The code of the error, for a file that is not Python."""
    text: bytes | None = None
    """The entrypoint in another spelling (see `harness.spellings`) than before.py has."""

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return FIXTURES / self.name

    @property
    def before(self) -> bytes:
        """The entrypoint as it is found."""
        return self.text or (self.folder / "before.py").read_bytes()

    @property
    def golden(self) -> Path:
        """The file that holds the entrypoint as it has to be afterwards."""
        return self.folder / "after.py"

    @property
    def spec(self) -> str:
        """What uvicorn is asked to serve."""
        module = Path(self.entry).relative_to(self.cwd).with_suffix("")
        return f"{'.'.join(module.parts)}:{self.app}"

    @property
    def inline(self) -> bool:
        """Whether the guard is put into the entrypoint itself."""
        return "inline" in self.options

    @property
    def lacks(self) -> Mapping[str, str]:
        """What it needs and is not installed, and why it needs that; it is booted without any."""
        return {need: why for need, why in self.needs.items() if not _is_installed(need)}

    @property
    def rewritten(self) -> bool:
        """Whether `apply` changes the file."""
        return self.refused is None and self.error is None

    def lay_out(self, root: Path) -> Path:
        """Make the project in `root`, which must not exist; the entrypoint's path."""
        if (self.folder / "project").is_dir():
            shutil.copytree(self.folder / "project", root)
        entry = root / self.entry
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(self.before)
        return entry

    def parsed_options(self) -> Options:
        """`options` as the command line would have parsed them."""
        options = Options()
        words = iter(self.options)
        for word in words:
            value = next(words)
            if word == "--public":
                options = replace(options, public=(*options.public, value))
            else:
                # The test data names real options only; replace() raises for any other.
                field = word.removeprefix("--").replace("-", "_")
                options = replace(options, **{field: value})  # type: ignore[arg-type]
        return options


def _is_installed(need: str) -> bool:
    requirement = Requirement(need)
    try:
        return requirement.specifier.contains(version(requirement.name))
    except PackageNotFoundError:
        return False


def load(folder: Path) -> Case:
    """Read one case. Raises TypeError for a field that there is not."""
    fields = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    for name in ("probes", "opens", "locks"):
        fields[name] = tuple((method, path) for method, path in fields.get(name, ()))
    for name in ("also", "options", "spellings"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if isinstance(fields.get("starts_before"), str):
        fields["starts_before"] = _is_installed(fields["starts_before"])
    return Case(name=folder.name, **fields)


CASES = tuple(load(path.parent) for path in sorted(FIXTURES.glob("*/case.toml")))
REWRITES = tuple(case for case in CASES if case.rewritten)
BOOTED = tuple(case for case in REWRITES if not case.lacks)
REFUSALS = tuple(case for case in CASES if not case.rewritten)
