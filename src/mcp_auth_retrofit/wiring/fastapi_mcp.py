"""`FastApiMCP(app)` of the fastapi-mcp library: it puts MCP routes on the app by itself.

`mount_http()` registers one path for GET, POST and DELETE; `mount_sse()`, and `mount()` before it,
register a stream and a path for messages below it. Given another app, they go there instead.
"""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring.bindings import Scope, given
from mcp_auth_retrofit.wiring.mcp import is_guard, visible
from mcp_auth_retrofit.wiring.model import App, Converted
from mcp_auth_retrofit.wiring.names import FASTAPI, Module, argument, dotted, has_keyword
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import Place, places

_ORIGINS = frozenset({"fastapi_mcp.FastApiMCP", "fastapi_mcp.server.FastApiMCP"})
_DEFAULTS = {"mount_http": "/mcp", "mount_sse": "/sse", "mount": "/mcp"}


def conversions(module: Module) -> list[ast.Call]:
    """Every `FastApiMCP(app)`."""
    calls = [node for node in nodes(module.tree) if isinstance(node, ast.Call)]
    return [call for call in calls if module.names.called(call) in _ORIGINS]


def find_converted(module: Module, app: App) -> list[Converted]:
    """Every mount call of a FastApiMCP server, in source order."""
    scope = Scope(module, app.functions)
    found = []
    for statement, place in visible(module, app):
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            server = server_of(scope, call.func.value)
            if server is not None and call.func.attr in _DEFAULTS:
                found.append(_converted(module, scope, call, place, server))
    return found


def mounts_converted(module: Module, call: ast.Call) -> bool:
    """Whether a call, wherever it stands, may be a mount of a FastApiMCP server."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in _DEFAULTS):
        return False
    owner = call.func.value
    if module.names.called(owner) in _ORIGINS:
        return True
    named = {
        dotted(target)
        for node in nodes(module.tree)
        if isinstance(node, ast.Assign) and module.names.called(node.value) in _ORIGINS
        for target in node.targets
    }
    return dotted(owner) in named


def server_of(scope: Scope, expression: ast.expr) -> ast.Call | None:
    """The `FastApiMCP(...)` that a name stands for; None when it stands for something else."""
    name = dotted(expression)
    values = given(scope, name, expression.lineno) if name else []
    calls = [v for s, v in values if s.module.names.called(v) in _ORIGINS]
    last = calls[-1] if calls and len(calls) == len(values) else None
    return last if isinstance(last, ast.Call) else None


def made_of(server: ast.Call) -> str | None:
    """The name of the app that a FastApiMCP server is made from."""
    return dotted(argument(server, 0, "fastapi"))


def _converted(
    module: Module, scope: Scope, call: ast.Call, place: Place, server: ast.Call
) -> Converted:
    verb = getattr(call.func, "attr", "")
    router = argument(call, 0, "router")
    own = dotted(router)
    return Converted(
        name=dotted(getattr(call.func, "value", None)) or "",
        app=made_of(server) or "",
        place=place,
        call=call,
        line=call.lineno,
        path=argument(call, 1, "mount_path"),
        default=_DEFAULTS[verb],
        sse=verb != "mount_http",
        router=router,
        routes=tuple(
            (where, is_guard(module, argument(route, 1, "route")))
            for route, where in (_served(module, scope, own) if own else ())
        ),
        auth=has_keyword(server, "auth_config"),
    )


def _served(module: Module, scope: Scope, name: str) -> Iterator[tuple[ast.Call, Place]]:
    """`app.add_route(path, Guard(mcp_app))`, where `mcp_app = FastAPI(...)` is of this file."""
    made = [value for _, value in given(scope, name)]
    if len(made) != 1 or module.names.called(made[0]) not in FASTAPI:
        return
    for statement, place in places(module.tree).items():
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and (dotted(call.func) or "").endswith(".add_route"):
            route = argument(call, 1, "route")
            inner = route.args[0] if isinstance(route, ast.Call) and route.args else route
            if dotted(inner) == name:
                yield call, place
