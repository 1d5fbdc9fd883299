"""What is registered behind an MCP mount that covers it never answers.

A request for it ends in the MCP app's 404, while /openapi.json goes on listing it. Starlette takes
the first route that matches, and a mount matches everything under its prefix, whatever the method
(starlette.routing.Mount.matches).
"""

from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint, Registration
from mcp_auth_retrofit.wiring.order import dead, standing


def _find(entry: Entrypoint) -> Iterator[Spot]:
    for mount in entry.mounts:
        fixable = standing(entry, mount.path or "", mount).conflict is None
        lines: dict[int, Registration] = {}
        for registration in dead(entry, mount):
            lines.setdefault(registration.line, registration)
        for registration in lines.values():
            yield Spot(
                registration.line,
                registration.offset,
                f"{_named(registration)} never answers: the MCP mount at "
                f"{mount.path or '/'} (line {mount.line}) takes every request under it first.",
                fixable,
            )


def _named(registration: Registration) -> str:
    kinds = {"router": "This router", "opaque": "Whatever this call registers"}
    if registration.path is None:
        return kinds.get(registration.kind, f"This {registration.kind}")
    return f"{registration.kind.capitalize()} {registration.path or '/'}"


RULE = Rule("MAR001", "mount-shadows", "error", _find)
