"""The MCP side of an entrypoint: servers, their HTTP apps, and what of them is mounted."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import App, McpApp, Mount, Place, Server
from mcp_auth_retrofit.wiring.names import (
    FASTMCP,
    GUARD,
    HELPER,
    Module,
    argument,
    has_keyword,
    is_helper,
)
from mcp_auth_retrofit.wiring.names import blocks as inner_blocks
from mcp_auth_retrofit.wiring.routers import is_name, target
from mcp_auth_retrofit.wiring.scan import Scan


def visible(module: Module, app: App) -> Iterator[tuple[ast.stmt, Place]]:
    """Every statement that runs at module level or in the app's own factory, with its place."""
    yield from _walk(module.tree.body, ())
    if app.function is not None:
        yield from _walk(app.function.body, app.block)


def _walk(
    body: list[ast.stmt], block: Place, field: str = "body"
) -> Iterator[tuple[ast.stmt, Place]]:
    for index, statement in enumerate(body):
        place = (*block, (field, index))
        yield statement, place
        for name, inner in inner_blocks(statement):
            yield from _walk(inner, place, name)


def find_servers(module: Module, app: App, wanted: str | None) -> list[Server]:
    """`mcp = FastMCP(...)`, also through a function of this file that returns one."""
    servers = []
    for statement, place in visible(module, app):
        value = getattr(statement, "value", None)
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.Call):
            continue
        made = target(statement)
        if isinstance(made, ast.Name) and (_is_server(module, value)):
            auth = has_keyword(value, "auth")
            servers.append(Server(made.id, place, value, statement.lineno, auth))
    for name in sorted(module.names.imported):
        call = _imported_server(module, name)
        if name == wanted or call is not None:
            servers.append(
                Server(name, None, None, 1, call is not None and has_keyword(call, "auth"))
            )
    return servers


def _imported_server(module: Module, name: str) -> ast.Call | None:
    """The call that makes an imported name a FastMCP server in the project's own module."""
    found = siblings.follow(module, ast.Name(name, ast.Load()))
    if found is None or found[0].path.stem == HELPER:
        return None
    other, there = found
    made = [
        node.value
        for node in other.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_name(target(node), there)
    ]
    call = made[0] if len(made) == 1 else None
    return call if isinstance(call, ast.Call) and _is_server(other, call) else None


def _is_server(module: Module, call: ast.Call) -> bool:
    if module.names.called(call) in FASTMCP:
        return True
    if not isinstance(call.func, ast.Name):
        return False
    bound = module.names.bound.get(call.func.id, [])
    if len(bound) != 1 or not isinstance(bound[0], ast.FunctionDef):
        return False
    returned = [n.value for n in ast.walk(bound[0]) if isinstance(n, ast.Return)]
    local = {
        made.id
        for node in ast.walk(bound[0])
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(made := target(node), ast.Name)
        and module.names.called(node.value) in FASTMCP
    }
    return bool(returned) and all(
        module.names.called(value) in FASTMCP or (isinstance(value, ast.Name) and value.id in local)
        for value in returned
    )


def http_app_of(call: ast.AST | None, servers: list[Server]) -> str | None:
    """The server whose `http_app()` a call makes."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="http_app")):
            return name if any(s.name == name for s in servers) else None
    return None


def find_mcp_apps(module: Module, app: App, servers: list[Server]) -> list[McpApp]:
    """`mcp_app = mcp.http_app(...)`."""
    found = []
    for statement, place in visible(module, app):
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            made, server = target(statement), http_app_of(statement.value, servers)
            if isinstance(made, ast.Name) and server and isinstance(statement.value, ast.Call):
                found.append(McpApp(made.id, place, statement.value, server, statement.lineno))
    return found


def find_mounts(
    module: Module, seen: Scan, servers: list[Server], mcp_apps: list[McpApp]
) -> list[Mount]:
    """Every `app.mount(path, X)` of the block whose X is proved to be, or to hold, an MCP app."""
    mounts = []
    for call, verb, place in seen.calls:
        given = argument(call, 1, "app")
        if verb != "mount" or given is None:
            continue
        held, server = _held(given, servers, mcp_apps)
        if server is None:
            continue
        path = module.names.text(argument(call, 0, "path"))
        guard = is_guard(module, given)
        mounts.append(
            Mount(
                path=path.rstrip("/") if path is not None else None,
                place=place,
                call=call,
                line=call.lineno,
                mcp_app=held.id if isinstance(held, ast.Name) else None,
                inline=held if isinstance(held, ast.Call) else None,
                server=server,
                guarded=guard,
                wrapped=held is not given and not guard,
            )
        )
    return mounts


def _held(
    given: ast.expr, servers: list[Server], mcp_apps: list[McpApp]
) -> tuple[ast.expr, str | None]:
    """The MCP app inside what is mounted, bare or as a wrapper's first argument, and its server."""
    for _ in range(4):
        named = [a for a in mcp_apps if is_name(given, a.name)]
        server = named[0].server if named else http_app_of(given, servers)
        if server is not None:
            return given, server
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
