"""What a plan is."""

from dataclasses import dataclass, field

from mcp_auth_retrofit.edits import Edit
from mcp_auth_retrofit.options import Protect
from mcp_auth_retrofit.results import Caution, Change


@dataclass
class Plan:
    """The edits, in the order in which they are noted, and what follows from them."""

    app: str
    mcp: str
    mount_path: str
    mcp_path: str | None
    """Where MCP answers; None when the mount path is known only when the app runs."""
    protect: Protect
    shown_path: str = ""
    """What is known of a path that only a run can tell, as source."""
    sse: bool = False
    fastmcp: bool = True
    """A server is FastMCP's; else all are of the official SDK, which stands alone."""
    edits: list[Edit] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    warnings: list[Caution] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    open_routes: int = 0
    complete: bool = True

    def add(self, edit: Edit, transform: str, line: int, summary: str) -> None:
        """Notes an edit and says it."""
        self.edits.append(edit)
        self.changes.append(Change(transform, line, summary))
