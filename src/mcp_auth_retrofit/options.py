"""What the user asked for on the command line."""

from dataclasses import dataclass
from typing import Literal

Protect = Literal["mcp", "all"]
Layout = Literal["module", "inline"]


@dataclass(frozen=True)
class Options:
    """Options of `apply`. None means: as the file has it, else the default."""

    app: str | None = None
    """Name of the FastAPI app, when the file has several."""
    mcp: str | None = None
    """Name of the MCP server or MCP app, when the file does not tell."""
    mount_path: str | None = None
    protect: Protect | None = None
    public: tuple[str, ...] = ()
    """Paths that stay open with `protect="all"`."""
    project_files: bool = True
    layout: Layout | None = None
    """The guard in a module beside the entrypoint, or inside the entrypoint."""
