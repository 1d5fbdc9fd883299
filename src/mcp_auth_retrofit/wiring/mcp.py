"""The MCP side of an entrypoint: servers, their HTTP apps, and what of them is mounted."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring.bindings import Scope, own_nodes
from mcp_auth_retrofit.wiring.model import App, McpApp, Mount, Server
from mcp_auth_retrofit.wiring.names import (
    GUARD,
    HELPER,
    Module,
    argument,
    dotted,
    imports_of,
    is_helper,
)
from mcp_auth_retrofit.wiring.names import blocks as inner_blocks
from mcp_auth_retrofit.wiring.places import Place, on_the_way
from mcp_auth_retrofit.wiring.proof import (
    SERVES,
    Served,
    is_by_hand,
    prove,
    prove_server,
    told_server,
)
from mcp_auth_retrofit.wiring.routers import target
from mcp_auth_retrofit.wiring.scanned import Mounting, Scan


def visible(module: Module, app: App) -> Iterator[tuple[ast.stmt, Place]]:
    """Every statement that runs at module level or in the functions around the app."""
    yield from _walk(module.tree.body, ())
    for place, statement in on_the_way(module.tree, app.place):
        if statement in app.functions:
            yield from _walk(getattr(statement, "body", []), place)


def _walk(
    body: list[ast.stmt], block: Place, field: str = "body"
) -> Iterator[tuple[ast.stmt, Place]]:
    for index, statement in enumerate(body):
        place = (*block, (field, index))
        yield statement, place
        for name, inner in inner_blocks(statement):
            yield from _walk(inner, place, name)


def _bound(module: Module, app: App) -> Iterator[tuple[str, ast.expr | None, ast.stmt, Place]]:
    """Every name that a visible statement assigns or imports, with the value that it is given."""
    for statement, place in visible(module, app):
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            name = dotted(target(statement))
            if name is not None and statement.value is not None:
                yield name, statement.value, statement, place
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for name, _ in imports_of(statement):
                yield name, None, statement, place


def bound_by(statement: ast.stmt) -> Iterator[str]:
    """The dotted names that a statement binds by itself, not those of the blocks inside it."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (name for name, _ in imports_of(statement))
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    else:
        inner = {id(child) for _, body in inner_blocks(statement) for child in body}
        for node in own_nodes([c for c in ast.iter_child_nodes(statement) if id(c) not in inner]):
            name = dotted(node)
            if name is not None and isinstance(getattr(node, "ctx", None), ast.Store):
                yield name


def bound_within(statement: ast.stmt) -> set[str]:
    """The dotted names that a statement binds, those of the blocks inside it too."""
    every = (node for node in own_nodes([statement]) if isinstance(node, ast.stmt))
    return {name for node in every for name in bound_by(node)}


def find_servers(module: Module, app: App, wanted: str | None) -> list[Server]:
    """`mcp = FastMCP(...)`, also imported or through a function that returns one.

    `wanted` is a name that the user says is one.
    """
    scope = Scope(module, app.functions)
    found: dict[str, Server] = {}
    for name, value, statement, place in _bound(module, app):
        made = prove_server(scope, value or _read(name))
        if made is not None or (name == wanted and value is None):
            if value is None and _is_ours(module, name):
                continue
            found[name] = Server(name, place, _call(value), statement.lineno, made)
    return list(found.values())


def _read(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _is_ours(module: Module, name: str) -> bool:
    return HELPER in module.names.imported.get(name, "").split(".")


def _call(value: ast.expr | None) -> ast.Call | None:
    return value if isinstance(value, ast.Call) else None


def find_mcp_apps(module: Module, app: App) -> list[McpApp]:
    """`mcp_app = mcp.http_app(...)`, also imported or through a function that returns one."""
    scope = Scope(module, app.functions)
    found = []
    for name, value, statement, place in _bound(module, app):
        served = prove(scope, value or _read(name))
        if served is not None and not (value is None and _is_ours(module, name)):
            call = _call(value)
            line = statement.lineno
            found.append(McpApp(name, place, call, server_of(call), line, served))
    return found


def server_of(expression: ast.expr | None) -> str | None:
    """`mcp` for `mcp.http_app(...)`."""
    match expression:
        case ast.Call(func=ast.Attribute(value=value, attr=verb)) if verb in SERVES:
            return dotted(value)
    return None


def find_mounts(
    module: Module, seen: Scan, mcp_apps: list[McpApp], told: str | None
) -> list[Mount]:
    """Every mount whose app is proved to be, or to hold, an MCP app, or is told to be one."""
    found = (_mount(module, mounting, mcp_apps, told) for mounting in seen.mounts)
    return [mount for mount in found if mount is not None]


def _mount(
    module: Module, mounting: Mounting, mcp_apps: list[McpApp], told: str | None
) -> Mount | None:
    given = argument(mounting.call, 1, "app")
    if given is None or mounting.module is not module:
        return None
    scope = Scope(module, mounting.functions)
    held, served = _held(scope, given, told)
    guard = is_guard(module, given)
    if served is None and guard and isinstance(given, ast.Call):
        held = given.args[0]  # told by the user in an earlier run
    elif served is None and not (is_told(held, told) or is_by_hand(scope, held)):
        return None
    path = module.names.text(argument(mounting.call, 0, "path"))
    name = dotted(held)
    named = [mcp_app for mcp_app in mcp_apps if mcp_app.name == name]
    return Mount(
        path=path.rstrip("/") if path is not None else None,
        place=mounting.place,
        at=mounting.at,
        owner=mounting.owner,
        call=mounting.call,
        line=mounting.call.lineno,
        mcp_app=name,
        held=held,
        server=named[-1].server if named else server_of(held),
        served=served,
        by_hand=served is None and is_by_hand(scope, held),
        guarded=guard,
        wrapped=held is not given and not guard,
        listed=mounting.listed,
    )


def is_told(expression: ast.expr, told: str | None) -> bool:
    """Whether the user says of this very expression that it is an MCP app."""
    called = expression.func if isinstance(expression, ast.Call) else expression
    return told is not None and told in (dotted(called), ast.unparse(expression))


def _held(scope: Scope, given: ast.expr, told: str | None) -> tuple[ast.expr, Served | None]:
    """The MCP app inside what is mounted, bare or as a wrapper's first argument."""
    for _ in range(4):
        served = prove(scope, given) or told_server(scope, given, told)
        if served is not None or is_told(given, told):
            return given, served
        if not (isinstance(given, ast.Call) and given.args):
            break
        given = given.args[0]
    return given, None


def is_guard(module: Module, expression: ast.AST | None) -> bool:
    """Whether an expression is a call of our guard."""
    if not isinstance(expression, ast.Call) or expression.keywords or len(expression.args) != 1:
        return False  # with public=, it lets something through
    holder, _, name = (module.names.origin(expression.func) or "").rpartition(".")
    hidden = isinstance(expression.func, ast.Name) and expression.func.id in module.names.parameters
    return name == GUARD and is_helper(module.path, holder) and not hidden
