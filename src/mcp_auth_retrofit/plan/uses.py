"""What else the file does with the MCP app: a guard around one mount must be all there is."""

import ast

from mcp_auth_retrofit.plan.server import Chosen
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.order import rebound_behind

_HARMLESS = frozenset({"lifespan", "state", "add_middleware", "add_exception_handler"})
_SERVES = frozenset({"http_app", "streamable_http_app", "sse_app"})


def refuse_other_uses(entry: Entrypoint, chosen: Chosen) -> None:
    """Raises Refused where MCP could be reached by another way than the mount."""
    held = {mcp_app.name for mcp_app in entry.mcp_apps}
    if chosen.mcp_app is not None:
        held.add(chosen.mcp_app.name)
    known = {id(chosen.http_call)} if chosen.http_call is not None else set()
    if chosen.mount is not None:
        known |= {id(node) for node in ast.walk(chosen.mount.call)}
    pending: list[ast.AST] = [entry.tree]
    while pending:
        node = pending.pop()
        used = _other_use(node, held, known)
        if used is not None:
            raise Refused(_used(used))
        pending.extend(_below(node, held))


def _other_use(node: ast.AST, held: set[str], known: set[int]) -> ast.expr | None:
    """The expression, if a node is one, by which an MCP app may get out."""
    if id(node) in known:
        return None
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in held:
            return None if attr in _HARMLESS or attr == "router" else node
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="router"), attr=attr):
            return node if name in held and attr != "lifespan_context" else None
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _SERVES:
            return node
        case ast.Name(id=name, ctx=ast.Load()) if name in held:
            return node
    return None


def _below(node: ast.AST, held: set[str]) -> list[ast.AST]:
    """What is to be looked at below a node: not what only starts or ends the MCP app."""
    match node:
        case ast.Attribute(attr="lifespan"):
            return []
        case ast.Attribute(value=ast.Name(id=name)) if name in held:
            return []
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="router")):
            return [] if name in held else list(ast.iter_child_nodes(node))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            own = {inner.arg for inner in ast.walk(node.args) if isinstance(inner, ast.arg)}
            if own & held:
                # The name means the parameter inside; a default is still the file's own.
                defaults = [d for d in (*node.args.defaults, *node.args.kw_defaults) if d]
                return [*defaults, *getattr(node, "decorator_list", [])]
    return list(ast.iter_child_nodes(node))


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
