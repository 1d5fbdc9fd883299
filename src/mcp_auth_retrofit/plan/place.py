"""Where the MCP mount goes, and what that opens."""

import ast
from dataclasses import dataclass

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.server import Chosen, stands_before_app
from mcp_auth_retrofit.plan.uses import rebound_at
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.mcp import bound_within
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount, Registration
from mcp_auth_retrofit.wiring.names import argument, dotted
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.order import (
    Standing,
    buried,
    dead,
    earlier_grave,
    exclusive,
    later,
    matches,
    standing,
)
from mcp_auth_retrofit.wiring.places import Place, on_the_way
from mcp_auth_retrofit.wiring.routers import REGISTERS, VERBS


@dataclass(frozen=True)
class Spot:
    """The mount's prefix ("" is the root; None is known when the app runs) and place."""

    prefix: str | None
    place: Place
    """In front of this statement of the app's block (it may be one past the end)."""
    moves: bool
    """An existing mount that must go there; a new one is simply put there."""
    opened: tuple[str, ...] = ()
    """Paths that are dead today and begin to answer."""


def prefix_of(entry: Entrypoint, chosen: Chosen, options: Options) -> str | None:
    """The mount path that is wanted: asked for, as it stands, else "/" or "/mcp"."""
    if options.mount_path is not None:
        return "/" + options.mount_path.strip("/") if options.mount_path.strip("/") else ""
    if chosen.mount is not None:
        if chosen.mount.path and not chosen.mount.path.startswith("/"):
            raise Refused(
                Reason(
                    "bad-path",
                    f"The mount's path `{chosen.mount.path}` does not begin with a slash.",
                    f'Mount it at "/{chosen.mount.path}".',
                    chosen.mount.line,
                )
            )
        return chosen.mount.path
    # Routes may be registered on the app under another name, or behind the factory that makes it.
    return "/mcp" if entry.registrations or _registers_anywhere(entry) else ""


def _registers_anywhere(entry: Entrypoint) -> bool:
    for node in nodes(entry.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=verb)) if verb in REGISTERS:
                given = argument(node, 0, "path")
                text = entry.names.text(given)
                if verb not in VERBS or (text is not None and text.startswith("/")):
                    return True
    return False


def find_spot(entry: Entrypoint, chosen: Chosen, options: Options) -> Spot:
    """Raises Refused where no place is right."""
    prefix = prefix_of(entry, chosen, options)
    mount = chosen.mount
    block = entry.app.block
    if mount is not None:
        _refuse_unreadable_block(entry, mount)
    end = rebound_at(entry, chosen)
    if mount is not None and (prefix is None or _is_fixed(entry, mount)):
        _refuse_unreachable(entry, mount)
        here = mount.at[len(block)][1] + (mount.listed is not None)
        return Spot(prefix, (*block, ("body", here)), moves=False)
    prefix = prefix or ""
    stand = standing(entry, prefix, mount, end)
    dying = stand.conflict
    if stand.fence is not None and stand.limit <= entry.app.place[-1][1]:
        dying = dying or stand.fence  # it came with the app: nothing can stand before it
    if dying is not None:
        raise Refused(_conflict(prefix, stand.fence, dying))
    if mount is None:
        _refuse_late(entry, chosen, stand.limit, stand.fence)
        return Spot(prefix, (*block, ("body", stand.limit)), moves=False)
    return _spot_of(entry, chosen, mount, prefix, stand)


def _spot_of(entry: Entrypoint, chosen: Chosen, mount: Mount, prefix: str, stand: Standing) -> Spot:
    """Where a mount that is there already goes: nowhere, unless it is not in its last place."""
    block = entry.app.block
    here = mount.place[len(block)][1]
    stays = Spot(prefix, (*block, ("body", here)), moves=False)
    if stand.fence is not None and stand.fence.top(block) == here:
        if not exclusive(stand.fence, mount) and stand.fence.place < mount.place:
            raise Refused(_in_block(mount))
        return stays
    others = {other.call for other in entry.mounts}
    behind = [
        r
        for r in later(entry, mount)
        if r.call not in others
        and (here < r.top(block) < stand.limit or (r.top(block) == here and buried(r, prefix)))
    ]
    if any(r.top(block) == here and not exclusive(r, mount) for r in behind):
        raise Refused(_in_block(mount))
    if not (here >= stand.limit or any(r.top(block) > here for r in behind)):
        return stays
    opened = [r.path for r in dead(entry, mount) if r.path]
    if earlier_grave(entry, mount) is not None:
        opened.append(prefix or "/")
    if len(mount.place) > len(block) + 1 and not _alone(entry, mount):
        if here >= stand.limit or dead(entry, mount):
            raise Refused(_in_block(mount))
        return stays  # nothing dies of it
    if stand.limit < here:
        _refuse_late(entry, chosen, stand.limit, stand.fence)
    _refuse_names_between(entry, mount, here, stand)
    target = (*block, ("body", stand.limit))
    return Spot(prefix, target, moves=True, opened=tuple(opened))


def _is_fixed(entry: Entrypoint, mount: Mount) -> bool:
    """In a function, a loop or the constructor: it stands where it stands."""
    loops = ast.For | ast.AsyncFor | ast.While
    looped = any(isinstance(s, loops) for _, s in on_the_way(entry.tree, mount.place))
    return looped or mount.place != mount.at or mount.listed is not None


def _refuse_unreachable(entry: Entrypoint, mount: Mount) -> None:
    """A mount that can't be moved must be in its right place already, as far as can be told."""
    grave = earlier_grave(entry, mount)
    if grave is not None:
        raise Refused(
            Reason(
                "mount-unreachable",
                f"Nothing reaches the MCP mount: line {grave.line} answers first.",
                "Mount the MCP app before it, and run apply again.",
                mount.line,
            )
        )


def _refuse_unreadable_block(entry: Entrypoint, mount: Mount) -> None:
    """A mount may stand in an indented block that runs once; new lines go in front of it there."""
    around = list(on_the_way(entry.tree, mount.place))
    making = entry.app.place
    if len(mount.place) > len(making) and mount.place[: len(making)] == making:
        raise Refused(_in_block(mount))  # in front of that statement there is no app yet
    holder: ast.stmt | None = None
    for depth, (place, statement) in enumerate(around):
        one_line = holder is not None and statement.lineno == holder.lineno
        chained = isinstance(holder, ast.If) and place[-1][0] == "orelse" and depth
        chained = chained and statement.col_offset == getattr(holder, "col_offset", -1)
        if one_line or chained:
            raise Refused(_in_block(mount))
        holder = statement


def _alone(entry: Entrypoint, mount: Mount) -> bool:
    """Whether the `if` around the mount holds nothing else, so that it can move as a whole."""
    block = entry.app.block
    holder = entry.statements[mount.place[len(block)][1]]
    own = {mount.line} | {a.line for a in entry.mcp_apps if a.name == mount.mcp_app}
    if entry.ours.bare_paths:
        own.add(mount.line - 1)
    body = getattr(holder, "body", [])
    return not getattr(holder, "orelse", []) and all(s.lineno in own for s in body)


def _refuse_late(entry: Entrypoint, chosen: Chosen, limit: int, fence: Registration | None) -> None:
    """The MCP app must exist where its mount is to stand."""
    mcp_app, server = chosen.mcp_app, chosen.server
    made = mcp_app.place if mcp_app else server.place if server else None
    if stands_before_app(entry, made) or made is None:
        return
    block = entry.app.block
    inside = made[: len(block)] == block and len(made) > len(block)
    if inside and made[len(block)][1] < limit:
        return
    raise Refused(
        Reason(
            "mcp-made-late",
            "The MCP server is made behind the place where its mount has to stand"
            + (f": line {fence.line} answers everything." if fence else "."),
            "Move the server, and its http_app(), above FastAPI(...), and run apply again.",
            mcp_app.line if mcp_app else server.line if server else None,
        )
    )


def _refuse_names_between(entry: Entrypoint, mount: Mount, here: int, stand: Standing) -> None:
    """What is moved must read the same names where it goes: `if ENABLED:`, a path's constant."""
    moved = entry.statements[here]
    read = {dotted(node) for node in ast.walk(moved)} - {None, mount.mcp_app, mount.owner}
    passed = entry.statements[min(here, stand.limit) : max(here, stand.limit)]
    for statement in passed:
        imports = isinstance(statement, ast.Import | ast.ImportFrom)
        if statement is moved or (imports and stand.limit > here):
            continue
        names = read & bound_within(statement)
        if names:
            raise Refused(
                Reason(
                    "mcp-made-late" if stand.limit < here else "mount-name-rebound",
                    f"The MCP mount has to move past line {statement.lineno}, which binds "
                    f"`{min(names, key=str)}`, and the mount reads that name.",
                    "Bind it once, above FastAPI(...), and run apply again.",
                    mount.line,
                )
            )


def _in_block(mount: Mount) -> Reason:
    return Reason(
        "mount-in-block",
        "The MCP mount stands in a block where nothing can be put in front of it, or which would "
        "have to move although it holds other things.",
        "Put the mount on a line of its own in an `if`, or at the end of the app's block.",
        mount.line,
    )


def _conflict(prefix: str, fence: Registration | None, dying: Registration) -> Reason:
    if prefix == "":
        what = f"`{dying.path}`" if dying.path else "what is registered"
        return Reason(
            "root-conflict",
            f"An MCP mount at the root can't live with line {(fence or dying).line}: whichever "
            f"comes first answers for the other ({what} would be dead).",
            "Mount MCP under a prefix: --mount-path /mcp.",
            (fence or dying).line,
        )
    return Reason(
        "mount-conflict",
        f"No place is right for an MCP mount at `{prefix}`: line {dying.line} lies below it, and "
        + (f"line {fence.line} must come after it." if fence else "the app is already handed on."),
        "Choose another --mount-path, or move one of the two by hand.",
        dying.line,
    )


def answers(entry: Entrypoint, path: str) -> bool:
    """Whether the app has a GET route written out for a path."""
    return any(
        r.kind == "route"
        and r.path is not None
        and "{" not in r.path
        and matches(r.path, path)
        and (r.methods is None or "GET" in r.methods)
        for r in entry.registrations
    )
