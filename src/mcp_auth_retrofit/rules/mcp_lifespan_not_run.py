"""The mounted MCP app's lifespan is run by nobody: every MCP request ends in a 500.

Starlette does not run the lifespan of a mounted app, and FastMCP's session manager is started by
it ("task group was not initialized"). Pass `lifespan=mcp_app.lifespan`, or merge it into yours.
Silent where the file does not show all of its lifespan.
"""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount
from mcp_auth_retrofit.wiring.names import dotted
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.running import runs, unclear


def _find(entry: Entrypoint) -> Iterator[Spot]:
    for mount in entry.mounts:
        served = mount.served
        if served is None or served.lifespan is None or not _is_whole(entry, mount):
            continue
        if not runs(entry, served):
            name = mount.mcp_app or "mcp_app"
            yield Spot(
                mount.line,
                mount.call.col_offset,
                "Nothing runs the lifespan of this MCP app, so every MCP request ends in a 500. "
                f"Give it to the app: lifespan={name}.{served.lifespan}.",
                not mount.wrapped,
            )


def _is_whole(entry: Entrypoint, mount: Mount) -> bool:
    """Whether the file shows all that could run the MCP app's lifespan."""
    life = entry.lifespan
    if (
        entry.app.open_ended
        or life.assigned
        or unclear(entry) is not None
        or any(r.kind == "opaque" for r in entry.registrations)
    ):
        return False
    readable = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    if life.value is not None and not isinstance(life.text, readable):
        return False
    names = {mount.server, mount.mcp_app} - {None}
    return not any(
        isinstance(node, ast.Attribute)
        and node.attr in ("lifespan", "lifespan_context", "session_manager")
        and any(dotted(inner) in names for inner in ast.walk(node))
        and node not in ast.walk(mount.call)
        for node in nodes(entry.tree)
    )


RULE = Rule("MAR004", "mcp-lifespan-not-run", "error", _find)
