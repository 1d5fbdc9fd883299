"""Starlette's matching rules: what answers, what buries what, where an MCP mount may stand.

A router asks its routes in the order of registration and takes the first full match; a mount
matches everything under its prefix, whatever the method.
"""

import re
from dataclasses import dataclass

from mcp_auth_retrofit.wiring.model import Entrypoint, Mount, Registration, Stop

_CONVERTERS = {
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(\.[0-9]+)?",
    "uuid": "[0-9a-fA-F-]+",
}
_PARAMETER = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?}")


def matches(pattern: str, path: str) -> bool:
    """Whether Starlette's path pattern (`/users/{id:int}`) matches the whole path."""
    expression, end = "", 0
    for parameter in _PARAMETER.finditer(pattern):
        expression += re.escape(pattern[end : parameter.start()])
        expression += _CONVERTERS.get(parameter[2] or "str", "[^/]+")
        end = parameter.end()
    return re.fullmatch(expression + re.escape(pattern[end:]), path) is not None


def buries(registration: Registration, prefix: str) -> bool:
    """Standing before an MCP mount at `prefix` ("" is the root), it would answer in its place."""
    path = registration.path
    match registration.kind:
        case "opaque":
            # An unknown call may register a catch-all; a prefix mount that stands first is safe.
            return prefix != ""
        case "mount" | "router" if path is not None:
            return matches(path + "/{rest:path}", prefix + "/")
        case "route" if path is not None:
            if "{" in path:
                return matches(path, prefix + "/") or bool(prefix and matches(path, prefix))
            takes_post = registration.methods is None or "POST" in registration.methods
            return takes_post and path == prefix + "/"
    return False


def buried(registration: Registration, prefix: str) -> bool:
    """Standing after an MCP mount at `prefix`, it would never answer."""
    if prefix == "":
        return True
    path = registration.path
    if path is None or registration.kind in ("opaque", "frontend"):
        return False
    if registration.kind in ("mount", "router"):
        return (path + "/").startswith(prefix + "/")
    return path.startswith(prefix + "/")


@dataclass(frozen=True, eq=False)
class Standing:
    """Where an MCP mount may stand in the app's block."""

    limit: int
    """Insert before the statement of this index: the last valid place."""
    fence: Registration | None
    """What it must stand before, when that is a registration."""
    conflict: Registration | None
    """What would die even in the last valid place."""


def behind_unseen(entry: Entrypoint, prefix: str, own: Mount | None) -> int:
    """The last place at which a route may stand, behind every call whose doing is unknown."""
    block = entry.app.block
    limits = [stop.index for stop in entry.stops]
    seen = [r for r in entry.registrations if r.kind != "opaque" and not registers(r, own)]
    limits += [r.top(block) for r in seen if buries(r, prefix)]
    return min(limits, default=entry.size)


def rebound_behind(entry: Entrypoint, name: str, line: int) -> int | None:
    """The index, in the app's block, of the first statement behind a line that binds a name anew;
    None when there is none.
    """
    bound = [getattr(node, "lineno", 0) for node in entry.names.bound.get(name, ())]
    later_lines = [other for other in bound if other > line]
    for index, statement in enumerate(entry.statements):
        if later_lines and (statement.end_lineno or 0) >= min(later_lines):
            return index
    return None


def standing(
    entry: Entrypoint, prefix: str, own: Mount | None = None, end: int | None = None
) -> Standing:
    """The last valid place of a mount at `prefix`.

    `own` is that mount as it stands today; before the statement of index `end` it must stand.
    """
    block = entry.app.block
    others = [r for r in entry.registrations if not registers(r, own)]
    stops = list(entry.stops)
    if own is not None and own.mcp_app is not None:
        rebound = rebound_behind(entry, own.mcp_app, own.line)
        stops += [Stop(rebound, own.line)] if rebound is not None else []
    if own is not None:
        # Whoever mounted behind an unknown call or an early return did so knowingly.
        here = own.at[len(block)][1]
        others = [r for r in others if r.kind != "opaque" or r.top(block) >= here]
        stops = [s for s in stops if s.final or s.index >= here]
    limit = min([entry.size if end is None else end, *(stop.index for stop in stops)])
    fence = None
    for registration in others:
        if buries(registration, prefix) and registration.top(block) < limit:
            limit, fence = registration.top(block), registration
    for registration in others:
        if buried(registration, prefix) and registration.top(block) >= limit:
            return Standing(limit, fence, registration)
    return Standing(limit, fence, None)


def later(entry: Entrypoint, mount: Mount) -> list[Registration]:
    """What is registered after a mount, in order."""
    seen = False
    after = []
    for registration in entry.registrations:
        own = registers(registration, mount)
        if seen and not own:
            after.append(registration)
        seen = seen or own
    return after


def registers(registration: Registration, mount: Mount | None) -> bool:
    """Whether a registration is what this mount's own call does."""
    return mount is not None and registration.call is mount.call


def dead(entry: Entrypoint, mount: Mount) -> list[Registration]:
    """What never answers because it is registered after a mount that covers it."""
    if mount.path is None:
        return []
    prefix = mount.path
    return [r for r in later(entry, mount) if buried(r, prefix) and not exclusive(r, mount)]


def earlier_grave(entry: Entrypoint, mount: Mount) -> Registration | None:
    """What stands before a mount and answers in its place; None when the mount is reachable."""
    if mount.path is None:
        return None
    for registration in entry.registrations:
        if registers(registration, mount):
            return None
        if registration.kind != "opaque" and buries(registration, mount.path):
            return registration
    return None


def exclusive(registration: Registration, mount: Mount) -> bool:
    """Whether the two stand in branches of one `if` of which only one runs."""
    for here, there in zip(registration.place, mount.at, strict=False):
        if here[0] != there[0]:
            return True
        if here[1] != there[1]:
            return False
    return False
