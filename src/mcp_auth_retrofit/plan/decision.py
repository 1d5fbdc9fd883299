"""What every part of a decision needs to know: one file, what was asked, what was chosen."""

import ast
import json
from dataclasses import dataclass

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import Spot
from mcp_auth_retrofit.plan.server import Chosen, may_be_made_above, stands_before_app
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import argument, dotted
from mcp_auth_retrofit.wiring.places import Place


@dataclass(frozen=True, eq=False)
class Decision:
    """One mount's decision under way; each part adds its edits to the `plan` of all."""

    entry: Entrypoint
    options: Options
    chosen: Chosen
    spot: Spot
    naming: Naming
    plan: Plan
    server: str
    """The server's variable."""
    mcp_app: str
    """The MCP app's name, or the one that it gets."""
    inner: str | None
    """The MCP app's own path below its mount; None when it can't be read."""
    lifespan: str | None
    """What of the MCP app the app's lifespan has to enter; None when nothing is missing."""

    @property
    def app(self) -> str:
        """The app's variable."""
        return self.entry.app.name

    @property
    def owner(self) -> str:
        """The app's name where the mount stands."""
        return self.chosen.mount.owner if self.chosen.mount else self.app

    @property
    def apart(self) -> int:
        """Empty lines around a function: one inside another, two at module level."""
        return 1 if self.entry.app.block else 2

    @property
    def hoists(self) -> bool:
        """Whether what the mount makes on the spot needs a name."""
        mount = self.chosen.mount
        return mount is not None and mount.inline is not None and self.lifespan is not None

    @property
    def early(self) -> bool:
        """Whether the MCP app is bound, or can be, when FastAPI(...) is called."""
        entry, mount = self.entry, self.chosen.mount
        if mount is not None and mount.place != mount.at and self.chosen.mcp_app is None:
            return False
        if self.chosen.mcp_app is not None:
            return stands_before_app(entry, self.chosen.mcp_app.place)
        if mount is None:
            server = self.chosen.server
            return server is None or stands_before_app(entry, server.place)
        return mount.inline is not None and may_be_made_above(entry, mount)

    @property
    def nested(self) -> bool:
        """Whether the mount stands in a block inside the app's, where its new lines belong too."""
        mount = self.chosen.mount
        return mount is not None and mount.place[:-1] != self.entry.app.block

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
        return mount.at[: len(self.entry.app.block) + 1]

    @property
    def mount_path(self) -> str:
        """Where the mount stands; the source of what a path is computed from."""
        mount, prefix = self.chosen.mount, self.spot.prefix
        given = argument(mount.call, 0, "path") if mount is not None else None
        if prefix is None:
            return ast.unparse(given) if given is not None else ""
        return prefix or "/"

    @property
    def mcp_path(self) -> str | None:
        """Where MCP answers; None when only a run can tell."""
        prefix = self.spot.prefix
        if prefix is None:
            return None
        return prefix if self.inner == "/" and prefix else prefix + (self.inner or "/")

    @property
    def follows_health(self) -> bool:
        """Whether what is new in front of the mount comes right behind a new function."""
        if self.nested:
            return False
        if not self.stays:
            return True
        first = self.chosen.mount is self.entry.mounts[0]
        return first and any(change.transform == "health" for change in self.plan.changes)

    @property
    def has_bare_path(self) -> bool:
        """Whether `answer_bare_path` stands right above the mount."""
        return self.spot.prefix != "" and self.inner == "/" and bool(self.path_source)

    @property
    def path_source(self) -> str | None:
        """The mount path as the file spells it where that is a name, else as a literal.

        None where it would have to be worked out a second time.
        """
        mount = self.chosen.mount
        given = argument(mount.call, 0, "path") if mount is not None else None
        if mount is not None and given is not None and mount.path == self.spot.prefix:
            if dotted(given) is not None:
                return ast.unparse(given)
            if mount.path is None:
                return None
        return quoted(self.spot.prefix or "/")


def quoted(text: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(parts: tuple[str, ...] | list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
