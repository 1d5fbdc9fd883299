"""What every part of a decision needs to know: one file, what was asked, what was chosen."""

import json
from dataclasses import dataclass

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import Spot
from mcp_auth_retrofit.plan.server import Chosen, stands_before_app
from mcp_auth_retrofit.wiring.model import Entrypoint, Place
from mcp_auth_retrofit.wiring.names import is_literal


@dataclass(frozen=True, eq=False)
class Decision:
    """One decision under way; each part adds its edits to `plan`."""

    entry: Entrypoint
    options: Options
    chosen: Chosen
    spot: Spot
    naming: Naming
    plan: Plan
    server: str
    """The server's variable."""
    mcp_app: str
    """The MCP app's variable."""
    inner: str | None
    """The MCP app's own path below its mount; None when it can't be read."""

    @property
    def app(self) -> str:
        """The app's variable."""
        return self.entry.app.name

    @property
    def apart(self) -> int:
        """Empty lines around a function: one inside another, two at module level."""
        return 1 if self.entry.app.function else 2

    @property
    def early(self) -> bool:
        """Whether the MCP app is bound, or can be, when FastAPI(...) is called."""
        if self.chosen.mcp_app is not None:
            return stands_before_app(self.entry, self.chosen.mcp_app.place)
        server = self.chosen.server
        if server is not None and not stands_before_app(self.entry, server.place):
            return False
        inline = self.chosen.mount.inline if self.chosen.mount else None
        # What is made of literals means the same further up.
        return inline is None or all(
            is_literal(value) for value in (*inline.args, *(k.value for k in inline.keywords))
        )

    @property
    def nested(self) -> bool:
        """Whether the mount stands in an `if`, where its new lines belong too."""
        mount = self.chosen.mount
        return mount is not None and len(mount.place) > len(self.entry.app.block) + 1

    @property
    def stays(self) -> bool:
        """Whether the mount's statement stays in its block: what is new goes right above it."""
        return self.chosen.mount is not None and (self.nested or not self.spot.moves)

    @property
    def mount_place(self) -> Place:
        """In front of what the mount's own new lines stand in front of."""
        mount = self.chosen.mount
        return mount.place if mount is not None and self.stays else self.spot.place

    @property
    def top_place(self) -> Place:
        """In front of the whole statement that holds the mount."""
        mount = self.chosen.mount
        if mount is None or self.spot.moves:
            return self.spot.place
        return mount.place[: len(self.entry.app.block) + 1]

    @property
    def has_bare_path(self) -> bool:
        """Whether `answer_bare_path` stands right above the mount."""
        return bool(self.spot.prefix) and self.inner == "/"


def quoted(text: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(parts: tuple[str, ...] | list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
