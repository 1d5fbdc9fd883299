"""What one file came to: changed, unchanged, refused. Plain data that every face prints."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["open", "guarded", "outdated", "otherwise"]
"""Not guarded; by us; by us, with an older scalekit_auth.py; by something else."""
OTHERWISE = frozenset({"guarded-otherwise"})
"""Refusals of what is guarded by something else."""
Status = Literal["changed", "unchanged", "refused", "error", "skipped"]


@dataclass(frozen=True)
class Reason:
    """Why a file was left alone: a stable code, where, in plain words, and what to do by hand."""

    code: str
    message: str
    hint: str
    line: int | None = None
    """1-based; None when the whole file is meant."""
    detail: str = ""
    """Lines of the user's own file, for the terminal alone: they may hold a secret."""


class Refused(Exception):
    """The file was understood and is left alone (exit status 1)."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


class Unusable(Exception):
    """The file could not be read as Python at all (exit status 2)."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


@dataclass(frozen=True)
class Change:
    """One edit of the plan, in a plain sentence."""

    transform: str
    line: int
    """1-based line of the file as it was before."""
    summary: str


@dataclass(frozen=True)
class Caution:
    """Something the user should know that does not stop the edit."""

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Write:
    """One file to be written: its bytes before (None: it does not exist yet) and after."""

    path: Path
    before: bytes | None
    after: bytes


@dataclass
class FileResult:
    """All that is said about one entrypoint; `to_json` of the report prints it field by field."""

    path: Path
    status: Status
    app: str | None = None
    mcp: str | None = None
    mount_path: str | None = None
    mcp_path: str | None = None
    shown_path: str = ""
    """What is known of a path that only a run can tell, as source."""
    sse: bool = False
    """MCP is spoken over the older transport."""
    """Where MCP really answers: the mount path and the MCP app's own path together."""
    protect: Literal["mcp", "all"] | None = None
    changes: list[Change] = field(default_factory=list)
    warnings: list[Caution] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    """Dead paths that begin to answer."""
    locked: list[str] = field(default_factory=list)
    """Paths that answered without a token and begin to need one."""
    open_routes: int = 0
    """How many of the app's own routes stay open."""
    complete: bool = True
    """Whether `opened` and `locked` are known whole."""
    state: State | None = None
    """How the MCP server is guarded before anything is written; None when that can't be told."""
    reason: Reason | None = None
    writes: list[Write] = field(default_factory=list)
    """In the order in which they must reach the disk: the entrypoint comes last."""
    run_command: str | None = None
    """How the app is started, e.g. `uvicorn main:app --port 3002`."""
