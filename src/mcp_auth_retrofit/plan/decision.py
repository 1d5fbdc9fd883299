"""What every part of a decision needs to know: one file, what was asked, what was chosen."""

import ast
import json
from dataclasses import dataclass

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import Spot
from mcp_auth_retrofit.plan.server import Chosen, may_be_made_above, stands_before_app
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount
from mcp_auth_retrofit.wiring.names import GUARD, argument, dotted
from mcp_auth_retrofit.wiring.places import Place

WIDTH = 100
"""Characters in a line that is written anew."""


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
        if mount is None or mount.inline is None or mount.listed is not None:
            return False
        return self.lifespan is not None or (not mount.guarded and self._too_long(mount))

    def _too_long(self, mount: Mount) -> bool:
        """Whether the mount's line would grow too long with the guard in it."""
        indent = 4 * (len(mount.place) - 1)
        return indent + len(ast.unparse(mount.call)) + len(GUARD) + 2 > WIDTH

    @property
    def early(self) -> bool:
        """Whether the MCP app is bound, or can be, when FastAPI(...) is called."""
        entry, mount = self.entry, self.chosen.mount
        if mount is not None and mount.place != mount.at and self.chosen.mcp_app is None:
            return False
        if self.lifespan is None and self.hoists:
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
        mount = self.chosen.mount
        in_constructor = mount is not None and mount.listed is not None
        return mount is not None and not in_constructor and (self.nested or not self.spot.moves)

    @property
    def mount_place(self) -> Place:
        """In front of what the mount's own new lines stand in front of."""
        mount = self.chosen.mount
        return mount.place if mount is not None and self.stays else self.spot.place

    @property
    def top_place(self) -> Place:
        """In front of the whole statement that holds the mount."""
        mount = self.chosen.mount
        if mount is None or self.spot.moves or mount.listed is not None:
            return self.spot.place
        block, index = self.entry.app.block, mount.at[len(self.entry.app.block)][1]
        if index == self.entry.size:  # mounted by the lifespan, when all of the block has run
            index = min((stop.index for stop in self.entry.stops), default=index)
        return (*block, ("body", index))

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
    def shown_path(self) -> str:
        """What is known of a path that only a run can tell: the mount's, and what comes below."""
        below = self.inner if self.inner not in ("/", None) else ""
        return f"{self.mount_path} + {quoted(below)}" if below else self.mount_path

    @property
    def follows_health(self) -> bool:
        """Whether what is new in front of the mount comes right behind a new function."""
        if self.nested:
            return False
        health = any(change.transform == "health" for change in self.plan.changes)
        if self.stays:
            return health and self.chosen.mount is self.entry.mounts[0]
        # Moved or new, it follows what the file ends with, unless the MCP app is made there.
        made_here = self.lifespan is not None and self.chosen.mcp_app is None and not self.early
        return health or not made_here

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
            if dotted(given) is not None or (mount.path is None and _is_plain(given)):
                return spelled(given)
            if mount.path is None:
                return None
        return quoted(self.spot.prefix or "/")


def _is_plain(expression: ast.expr) -> bool:
    """An f-string of names: worked out twice, it gives the same."""
    calls = ast.Call | ast.Await | ast.NamedExpr
    nodes = list(ast.walk(expression))
    return isinstance(expression, ast.JoinedStr) and not any(isinstance(n, calls) for n in nodes)


def spelled(expression: ast.expr) -> str:
    """An expression as source, strings in double quotes where that is plain."""
    text = ast.unparse(expression)
    plain = text.startswith("f'") and '"' not in text and "\\" not in text
    return f'f"{text[2:-1]}"' if plain else text


def quoted(text: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(parts: tuple[str, ...] | list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
