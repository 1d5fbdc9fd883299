"""The MCP side of an entrypoint: servers, their HTTP apps, and what of them is mounted."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import App, McpApp, Mount, Place, Server
from mcp_auth_retrofit.wiring.names import (
    FASTAPI,
    FASTMCP,
    GUARD,
    HELPER,
    Module,
    argument,
)
from mcp_auth_retrofit.wiring.names import blocks as inner_blocks
from mcp_auth_retrofit.wiring.refusals import official_sdk, unproved
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
            servers.append(Server(made.id, place, value, statement.lineno))
    for name in sorted(module.names.imported):
        if name == wanted or _imported_server(module, name):
            servers.append(Server(name, None, None, 1))
    return servers


def _imported_server(module: Module, name: str) -> bool:
    """Whether an imported name is bound to a FastMCP server in the project's own module."""
    found = siblings.follow(module, ast.Name(name, ast.Load()))
    if found is None or found[0].path.stem == HELPER:
        return False
    other, there = found
    made = [
        node.value
        for node in other.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_name(target(node), there)
    ]
    return len(made) == 1 and isinstance(made[0], ast.Call) and _is_server(other, made[0])


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
    """Every `app.mount(path, X)` whose X is proved to be an MCP app.

    Raises Refused for a mount that looks like MCP and can't be proved to be one.
    """
    mounts = []
    for call, verb, place in seen.calls:
        if verb != "mount":
            continue
        given = argument(call, 1, "app")
        guarded = _is_guard(module, given)
        inside = given.args[0] if guarded and isinstance(given, ast.Call) and given.args else given
        path = module.names.text(argument(call, 0, "path"))
        prefix = path.rstrip("/") if path is not None else None
        named = [a for a in mcp_apps if isinstance(inside, ast.Name) and a.name == inside.id]
        server = http_app_of(inside, servers)
        if named:
            mounts.append(
                Mount(
                    prefix, place, call, call.lineno, named[0].name, None, named[0].server, guarded
                )
            )
        elif server and isinstance(inside, ast.Call):
            mounts.append(Mount(prefix, place, call, call.lineno, None, inside, server, guarded))
        else:
            _refuse_lookalike(module, call, path, inside, {a.name for a in mcp_apps})
    known = {id(call) for call, _, _ in seen.calls}
    for node in ast.walk(module.tree):
        _refuse_elsewhere(node, known, servers, mcp_apps)
    return mounts


def _is_guard(module: Module, expression: ast.AST | None) -> bool:
    origin = module.names.called(expression) or ""
    return origin.lstrip(".").endswith(f"{HELPER}.{GUARD}")


def _refuse_lookalike(
    module: Module, call: ast.Call, path: str | None, given: ast.expr | None, proved: set[str]
) -> None:
    if given is None:
        return
    names = {n.id for n in ast.walk(given) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(given) if isinstance(n, ast.Attribute)}
    if attributes & {"streamable_http_app", "sse_app"}:
        raise Refused(official_sdk(call.lineno))
    if getattr(getattr(given, "func", None), "attr", None) == "http_app":
        raise Refused(unproved(module, call, given))
    if names & proved or "http_app" in attributes:
        raise Refused(
            Reason(
                "wrapped-mount",
                f"What is mounted is wrapped: `{ast.unparse(given)}`.",
                "Find out whether the wrapper guards MCP already; if not, put "
                "ScalekitAuthMiddleware(...) around it by hand.",
                call.lineno,
            )
        )
    makes = [_binding_call(module, name) for name in names]
    if any(module.names.called(made) in FASTAPI for made in makes):
        return
    if isinstance(given, ast.Call) and (module.names.called(given) or "").endswith("StaticFiles"):
        return
    if "mcp" in (path or "").lower() or any("mcp" in name.lower() for name in names | attributes):
        raise Refused(unproved(module, call, given))


def _binding_call(module: Module, name: str) -> ast.AST | None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            made = target(node)
            if isinstance(made, ast.Name) and made.id == name:
                return node.value
    return None


def _refuse_elsewhere(
    node: ast.AST, known: set[int], servers: list[Server], mcp_apps: list[McpApp]
) -> None:
    match node:
        case ast.Call(func=ast.Attribute(attr="mount")) if id(node) not in known:
            given = argument(node, 1, "app")
            named = isinstance(given, ast.Name) and given.id in {a.name for a in mcp_apps}
            if named or http_app_of(given, servers):
                raise Refused(
                    Reason(
                        "mount-elsewhere",
                        "The MCP app is mounted in a function that did not make the app.",
                        "Move the mount to where the app is made, behind its last route, and run "
                        "apply again.",
                        node.lineno,
                    )
                )
