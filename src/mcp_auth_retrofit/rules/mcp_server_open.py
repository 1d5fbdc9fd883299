"""An MCP server is mounted without a guard of any kind: everybody may call its tools.

A guard is ours, FastMCP's own (`FastMCP(auth=...)`), something else around what is mounted, or a
middleware that looks as if it asked for credentials. MCP's authorization chapter wants a token with
every HTTP request.
"""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint


def _find(entry: Entrypoint) -> Iterator[Spot]:
    if entry.ours.everywhere is not None or entry.gatekeepers:
        return
    for converted in entry.converted:
        own = converted.app == entry.app.name
        if own and not (converted.auth or converted.guarded):
            yield _open(converted.call, converted.answers_at)
    for mount in entry.mounts:
        auth = mount.served is not None and mount.served.server.auth
        if not (mount.guarded or mount.wrapped or auth):
            yield _open(mount.call, mount.path or "/")


def _open(call: ast.Call, path: str) -> Spot:
    return Spot(
        call.lineno,
        call.col_offset,
        f"The MCP server at {path} is open to everybody: no guard stands before it.",
        fixable=True,
    )


RULE = Rule("MAR005", "mcp-server-open", "error", _find)
