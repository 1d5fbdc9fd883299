"""Something before an MCP mount answers in its place: no client ever reaches MCP.

A catch-all route, a mount at the root or StaticFiles at "/" match every path. With a GET catch-all,
POST may get through and the event stream does not. Source: the order in which Starlette's router
asks its routes.
"""

from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.order import earlier_grave, exclusive, standing


def _find(entry: Entrypoint) -> Iterator[Spot]:
    for mount in entry.mounts:
        grave = earlier_grave(entry, mount)
        if grave is None or exclusive(grave, mount):
            continue
        yield Spot(
            mount.line,
            mount.call.col_offset,
            f"Nothing reaches the MCP mount at {mount.path or '/'}: {grave.kind} "
            f"{grave.path or '/'} (line {grave.line}) answers first.",
            standing(entry, mount.path or "", mount).conflict is None,
        )


RULE = Rule("MAR003", "mount-unreachable", "error", _find)
