"""Apply the tool to a case, once for each project folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.cases import Case
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.results import FileResult, Write


@dataclass(frozen=True)
class Rewrite:
    """A project in `root`, not written to yet, and what the tool would do."""

    case: Case
    root: Path
    entry: Path
    result: FileResult

    @property
    def after(self) -> bytes:
        """The entrypoint as it would be."""
        for write in self.result.writes:
            if write.path.resolve() == self.entry.resolve():
                return write.after
        raise AssertionError(f"{self.case.name}: {self.result.status}: {self.result.reason}")

    def written(self, copy: Path) -> Path:
        """The entrypoint in a copy of the project in which all is written."""
        shutil.copytree(self.root, copy)
        for write in self.result.writes:
            path = copy / write.path.resolve().relative_to(self.root.resolve())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(write.after)
        return copy / self.case.entry


def rewrite(case: Case, root: Path) -> Rewrite:
    """Lay the case out in `root`, and prepare what its options ask for."""
    entry = case.lay_out(root)
    return Rewrite(case, root, entry, prepare(entry, case.parsed_options()))


def others(writes: list[Write], entry: Path) -> list[Write]:
    """The writes beside the entrypoint."""
    return [write for write in writes if write.path.resolve() != entry.resolve()]
