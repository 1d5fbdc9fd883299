"""What else the file does with the MCP app: a guard around one mount must be all there is."""

import ast

from mcp_auth_retrofit.plan.server import Chosen
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import GUARD
from mcp_auth_retrofit.wiring.order import rebound_behind

_HARMLESS = frozenset({"lifespan", "router", "state", "add_middleware", "add_exception_handler"})
_SERVES = frozenset({"http_app", "streamable_http_app", "sse_app"})


def refuse_other_uses(entry: Entrypoint, chosen: Chosen) -> None:
    """Raises Refused where MCP could be reached by another way than the mount."""
    mcp_app, server = chosen.mcp_app, chosen.server
    held = {mcp_app.name} if mcp_app else set()
    known = {id(a.call) for a in entry.mcp_apps}
    if chosen.mount is not None:
        known |= {id(node) for node in ast.walk(chosen.mount.call)}
    pending: list[ast.AST] = [entry.tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            hidden = {
                argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)
            }
            if hidden & held:
                continue
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in held:
                if attr not in _HARMLESS:
                    raise Refused(_used(node))
                continue
            case ast.Attribute(attr="lifespan"):
                continue
            case ast.Call(func=ast.Name(id=name)) if name == entry.ours.imported.get(GUARD):
                if chosen.mount is not None and id(node) in known:
                    continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if (
                server is not None and name == server.name and attr in _SERVES
            ):
                if id(node) not in known:
                    raise Refused(_used(node))
            case ast.Name(id=name, ctx=ast.Load()) if name in held and id(node) not in known:
                raise Refused(_used(node))
        pending.extend(ast.iter_child_nodes(node))


def _used(node: ast.expr) -> Reason:
    return Reason(
        "mcp-app-used-otherwise",
        f"The MCP app is used for more than one mount: `{ast.unparse(node)}` may open another way "
        "to it.",
        "Leave one mount as the only way in, and run apply again.",
        node.lineno,
    )


def rebound_at(entry: Entrypoint, chosen: Chosen) -> int | None:
    """The index, in the app's block, of the statement from which the MCP app's name means
    something else; None when it never does.

    Raises Refused when it may mean something else at the mount already.
    """
    mcp_app, mount = chosen.mcp_app, chosen.mount
    if mcp_app is None:
        return None
    lines = [
        line
        for node in entry.names.bound.get(mcp_app.name, ())
        if (line := getattr(node, "lineno", 0)) != mcp_app.line
    ]
    if not lines:
        return None
    reached = mount.line if mount else max(entry.app.line, mcp_app.line)
    if min(lines) <= reached:
        raise Refused(
            Reason(
                "mcp-app-rebound",
                f"`{mcp_app.name}` is bound more than once, so what is mounted can't be told.",
                "Give each thing a name of its own, and run apply again.",
                min(lines),
            )
        )
    return rebound_behind(entry, mcp_app.name, reached)
