"""An MCP server is mounted without a guard of any kind: everybody may call its tools.

A guard is ours, FastMCP's own (`FastMCP(auth=...)`), something else around what is mounted, or a
middleware that looks as if it asked for credentials. MCP's authorization chapter wants a token with
every HTTP request.
"""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.own_guards import guard_of_text
from mcp_auth_retrofit.wiring.siblings import definitions


def _find(entry: Entrypoint) -> Iterator[Spot]:
    if entry.ours.everywhere is not None or entry.gatekeepers:
        return
    for converted in entry.converted:
        own = converted.app == entry.app.name
        if own and not (converted.auth or converted.guarded):
            yield _open(converted.call, converted.answers_at)
    for mount in entry.mounts:
        server = mount.served.server if mount.served is not None else None
        guard = server.guard if server is not None else "none"
        if guard == "unclear":
            yield _maybe(mount.call, mount.path or "/")
        elif guard == "none" and not (mount.guarded or _wrapped(entry, mount)):
            yield _open(mount.call, mount.path or "/")


def _wrapped(entry: Entrypoint, mount: Mount) -> bool:
    """Whether what stands around the MCP app may be a guard."""
    wrapper = argument(mount.call, 1, "app")
    if not (mount.wrapped and isinstance(wrapper, ast.Call)):
        return False
    _, bound = definitions(entry.module, wrapper.func)
    return not bound or any(guard_of_text(one) != "none" for one in bound)


def _maybe(call: ast.Call, path: str) -> Spot:
    return Spot(
        call.lineno,
        call.col_offset,
        f"The MCP server at {path} is open to everybody where what stands behind `auth=` is None.",
        fixable=False,
    )


def _open(call: ast.Call, path: str) -> Spot:
    return Spot(
        call.lineno,
        call.col_offset,
        f"The MCP server at {path} is open to everybody: no guard stands before it.",
        fixable=True,
    )


RULE = Rule("MAR005", "mcp-server-open", "error", _find)
