"""What `app.include_router(...)` and its kin register, as far as it can be read."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, assigned_in, own_nodes
from mcp_auth_retrofit.wiring.handed import function_of
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
    """The routes behind a prefix; one that can't be read is hardly empty."""
    if prefix == "":
        return routes
    if prefix is None:
        return [("router" if kind == "opaque" else kind, None, m) for kind, _, m in routes]
    return [
        ("router", prefix, None) if path is None else (kind, prefix + path, methods)
        for kind, path, methods in routes
    ]


def _included(call: ast.Call, module: Module, depth: int) -> list[Route]:
    prefix = _prefix(call, module)
    router = argument(call, 0, "router")
    inner = routes_of(router, module, depth + 1) if router is not None else None
    if inner is None:
        # Without a prefix, it may hold a catch-all or whatever else.
        return [("opaque", None, None) if prefix == "" else ("router", prefix, None)]
    return _under(prefix, inner)


def routes_of(router: ast.expr, module: Module, depth: int = 0) -> list[Route] | None:
    """Every route of an `APIRouter` of this file or of one it imports from; None when unknown.

    A package may hand it on (`from .users import router`), a function may make and return it.
    """
    if depth > _DEPTH:
        return None
    if isinstance(router, ast.Call):
        made = function_of(module, router)
        return _returned(*made, depth + 1) if made else None
    if isinstance(router, ast.Name) and router.id in module.names.bound:
        looped = _elements(router.id, module)
        return (
            _all(looped, module, depth) if looped else _own(router.id, module, module.tree, depth)
        )
    found = siblings.follow(module, router)
    return routes_of(ast.Name(found[1]), found[0], depth + 1) if found else None


def _elements(name: str, module: Module) -> list[ast.expr]:
    """What a loop over routers that are written out gives its name: `for r in (users, items):`."""
    bound = len(module.names.bound[name])
    loops = [n for n in nodes(module.tree) if isinstance(n, ast.For) and is_name(n.target, name)]
    iterated = loops[0].iter if len(loops) == bound == 1 else None
    if isinstance(iterated, ast.Name):
        given = _assigned(iterated.id, module.tree)
        iterated = given[0] if len(given) == 1 else None
    return iterated.elts if isinstance(iterated, ast.Tuple | ast.List) else []


def _all(routers: list[ast.expr], module: Module, depth: int) -> list[Route] | None:
    found = [routes_of(router, module, depth + 1) for router in routers]
    known = [routes for routes in found if routes is not None]
    return [route for routes in known for route in routes] if len(known) == len(found) else None


def _returned(module: Module, function: Function, depth: int) -> list[Route] | None:
    """The routes of the router that a function makes, fills and returns."""
    returned = [n.value for n in own_nodes(function.body) if isinstance(n, ast.Return)]
    if len(returned) != 1 or not isinstance(returned[0], ast.Name):
        return None
    name = returned[0].id
    if name in assigned_in(function):
        return _own(name, module, function, depth)
    return routes_of(returned[0], module, depth)


def _own(name: str, module: Module, within: ast.AST, depth: int) -> list[Route] | None:
    values = _assigned(name, within)
    made = [v for v in values if isinstance(v, ast.Call) and _makes_router(v, module)]
    prefixes = {_prefix(call, module) for call in made}
    if len(made) != len(values) or len(prefixes) != 1:
        return None
    routes: list[Route] = []
    for call, verb in calls_on({name}, within):
        if verb in REGISTERS:
            routes += registered(call, verb, module, depth)
    return _under(prefixes.pop(), routes)


def _makes_router(call: ast.Call, module: Module) -> bool:
    return (module.names.called(call) or "").rpartition(".")[2] == "APIRouter"


def _assigned(name: str, within: ast.AST) -> list[ast.expr | None]:
    """What a name is given, wherever it stands: in both branches of an `if`, too."""
    inside = nodes(within) if isinstance(within, ast.Module) else ast.walk(within)
    return [
        node.value
        for node in inside
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_name(target(node), name)
    ]


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
    inside = nodes(node) if isinstance(node, ast.Module) else ast.walk(node)
    calls = [n for n in inside if isinstance(n, ast.Call)]
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
