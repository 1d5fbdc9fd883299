"""What `app.include_router(...)` and its kin register, as far as it can be read."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import Kind
from mcp_auth_retrofit.wiring.names import Module, argument, dotted
from mcp_auth_retrofit.wiring.nodes import nodes

Route = tuple[Kind, str | None, frozenset[str] | None]
"""(kind, path pattern, methods); None for what can't be read (methods: any)."""

VERBS = frozenset({"get", "post", "put", "delete", "patch", "options", "head", "trace"})
_ROUTES = frozenset({"api_route", "route", "add_api_route", "add_route"})
_WEBSOCKETS = frozenset(
    {"websocket", "websocket_route", "add_api_websocket_route", "add_websocket_route"}
)
REGISTERS = VERBS | _ROUTES | _WEBSOCKETS | {"mount", "host", "frontend", "include_router"}
_DEPTH = 5


def registered(call: ast.Call, verb: str, module: Module, depth: int = 0) -> list[Route]:
    """What one registering call (`X.get("/a")`, `X.include_router(r)`) gives the router."""
    if verb == "include_router":
        return _included(call, module, depth)
    path = module.names.text(argument(call, 0, "path"))
    if verb == "mount":
        return [("mount", path.rstrip("/") if path is not None else None, None)]
    if verb == "frontend":
        return [("frontend", path, None)]
    if verb == "host":
        return [("opaque", None, None)]
    if verb in _WEBSOCKETS:
        return [("websocket", path, None)]
    return [("route", path, frozenset({verb.upper()}) if verb in VERBS else _methods(call, verb))]


def _methods(call: ast.Call, verb: str) -> frozenset[str] | None:
    given = argument(call, None, "methods")
    if isinstance(given, ast.List | ast.Tuple | ast.Set):
        return frozenset(str(e.value).upper() for e in given.elts if isinstance(e, ast.Constant))
    # Without methods= these take GET alone; an ASGI endpoint (add_route) takes every method.
    return None if given is not None or verb == "add_route" else frozenset({"GET"})


def _prefix(call: ast.Call, module: Module) -> str | None:
    given = argument(call, None, "prefix")
    return "" if given is None else module.names.text(given)


def _under(prefix: str | None, routes: list[Route]) -> list[Route]:
    return [
        (kind, None if prefix is None or path is None else prefix + path, methods)
        for kind, path, methods in routes
    ]


def _included(call: ast.Call, module: Module, depth: int) -> list[Route]:
    prefix = _prefix(call, module)
    router = argument(call, 0, "router")
    inner = routes_of(router, module, depth + 1) if router is not None else None
    if prefix is None or inner is None:
        return [("router", prefix or None, None)]
    return _under(prefix, inner)


def routes_of(router: ast.expr, module: Module, depth: int = 0) -> list[Route] | None:
    """Every route of an `APIRouter` of this file or of one it imports from; None when unknown."""
    if depth > _DEPTH:
        return None
    if isinstance(router, ast.Name) and router.id in module.names.bound:
        return _own(router.id, module, depth)
    found = siblings.follow(module, router)
    return _own(found[1], found[0], depth + 1) if found else None


def _own(name: str, module: Module, depth: int) -> list[Route] | None:
    made = [
        node.value
        for node in nodes(module.tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_name(target(node), name)
    ]
    if len(made) != 1 or not isinstance(made[0], ast.Call):
        return None
    if (module.names.called(made[0]) or "").rpartition(".")[2] != "APIRouter":
        return None
    routes: list[Route] = []
    for call, verb in calls_on({name}, module.tree):
        if verb in REGISTERS:
            routes += registered(call, verb, module, depth)
    return _under(_prefix(made[0], module), routes)


def is_name(expression: ast.AST | None, name: str) -> bool:
    """Whether an expression is just this name."""
    return isinstance(expression, ast.Name) and expression.id == name


def target(node: ast.Assign | ast.AnnAssign) -> ast.expr | None:
    """The one thing that is assigned to; None when there are several."""
    if isinstance(node, ast.AnnAssign):
        return node.target
    return node.targets[0] if len(node.targets) == 1 else None


def calls_on(owners: set[str], node: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every `owner.verb(...)` and `owner.router.verb(...)` below a node, in source order."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset, -(c.end_col_offset or 0))):
        verb = verb_on(owners, call)
        if verb:
            yield call, verb


def verb_on(owners: set[str], call: ast.Call) -> str | None:
    """`get` for `app.get(...)` and for `app.router.get(...)`, when `app` is one of the owners."""
    if not isinstance(call.func, ast.Attribute):
        return None
    owner = dotted(call.func.value) or ""
    return call.func.attr if owner.removesuffix(".router") in owners else None
