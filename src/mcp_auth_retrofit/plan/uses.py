"""What else the file does with the MCP app: a guard around one mount must be all there is."""

import ast
from collections.abc import Iterable, Sequence

from mcp_auth_retrofit.plan.server import Chosen
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import dotted
from mcp_auth_retrofit.wiring.order import rebound_behind
from mcp_auth_retrofit.wiring.proof import SERVES

_HARMLESS = frozenset({"lifespan", "state", "add_middleware", "add_exception_handler"})


def refuse_other_uses(entry: Entrypoint, chosen: Sequence[Chosen]) -> None:
    """Raises Refused where MCP could be reached by another way than the mounts."""
    held = {mcp_app.name for mcp_app in entry.mcp_apps}
    known: set[ast.AST] = set()
    for one in chosen:
        if one.mount is not None:
            known |= set(ast.walk(one.mount.call))
        if one.served is not None:
            known.add(one.served.call)
    pending: list[ast.AST] = [entry.tree]
    while pending:
        node = pending.pop()
        used = _other_use(node, held, known)
        if used is not None:
            raise Refused(_used(used))
        pending.extend(_below(node, held))


def _other_use(node: ast.AST, held: set[str], known: set[ast.AST]) -> ast.expr | None:
    """The expression, if a node is one, by which an MCP app may get out."""
    if node in known:
        return None
    match node:
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in SERVES:
            return node
        case ast.Attribute(value=ast.Attribute(value=owner, attr="router"), attr=attr) if (
            dotted(owner) in held
        ):
            return node if attr != "lifespan_context" else None
        case ast.Attribute(value=owner, attr=attr) if dotted(owner) in held:
            return None if attr in _HARMLESS or attr == "router" else node
        case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) if dotted(node) in held:
            return node
    return None


def _below(node: ast.AST, held: set[str]) -> Iterable[ast.AST]:
    """What is to be looked at below a node: not what only starts or ends the MCP app."""
    match node:
        case ast.Attribute() if node.attr == "lifespan" or _holder(node) in held:
            return ()
        case ast.Call(args=[owner], func=ast.Attribute() as entered) if _enters(entered, owner):
            # `mcp_app.lifespan(mcp_app)`: its own lifespan, told whose it is.
            return (owner,) if dotted(owner) not in held else ()
        case ast.Assign(targets=[made], value=value) if {dotted(made), dotted(value)} <= held:
            return ()  # another name for it, and itself looked after
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if _own(node) & held:
            # The name means the parameter inside; a default is still the file's own.
            defaults = [d for d in (*node.args.defaults, *node.args.kw_defaults) if d]
            return (*defaults, *getattr(node, "decorator_list", []))
    return ast.iter_child_nodes(node)


def _holder(node: ast.Attribute) -> str | None:
    """`mcp_app` for `mcp_app.state` and for `mcp_app.router.lifespan_context`."""
    return (dotted(node.value) or "").removesuffix(".router") or None


def _enters(entered: ast.Attribute, owner: ast.expr) -> bool:
    ways = (f"{dotted(owner)}.lifespan", f"{dotted(owner)}.router.lifespan_context")
    return dotted(owner) is not None and dotted(entered) in ways


def _own(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    return {inner.arg for inner in ast.walk(function.args) if isinstance(inner, ast.arg)}


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
