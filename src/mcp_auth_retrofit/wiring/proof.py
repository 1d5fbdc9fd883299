"""What an expression is proved to be: an MCP server, or the ASGI app that one serves.

Names are followed through assignments, functions that return something, and imports from the
project's other modules, which are read and never run. A name alone proves nothing: `mcp_app` is a
FastAPI app in some projects.
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, Scope, Value, annotation, given, own_nodes
from mcp_auth_retrofit.wiring.handed import function_of
from mcp_auth_retrofit.wiring.names import FASTMCP, OFFICIAL, argument, dotted, is_transport
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.own_guards import Guard, guard_of_server

Family = Literal["fastmcp", "official"]
SERVES = frozenset({"http_app", "streamable_http_app", "sse_app"})
_LISTS = frozenset({"list", "List", "tuple", "Tuple", "Sequence", "Iterable", "set"})
_DEPTH = 8


@dataclass(frozen=True, eq=False)
class Made:
    """An MCP server that is proved to be one."""

    family: Family
    call: ast.Call | None
    """The constructor's call, wherever it stands; None for a parameter that is annotated so."""
    scope: Scope
    from_app: bool = False
    """Made from the app's own routes (`FastMCP.from_fastapi`)."""

    @property
    def guard(self) -> Guard:
        """Whether it asks for tokens itself."""
        return guard_of_server(self.scope, self.call)

    @property
    def auth(self) -> bool:
        """It has, or may have, a guard of its own."""
        return self.guard != "none"


@dataclass(frozen=True, eq=False)
class Served:
    """An MCP server's ASGI app that is proved to be one."""

    server: Made
    call: ast.Call
    """The call that makes it (`mcp.http_app()`), wherever it stands."""
    scope: Scope
    """Where that call stands."""

    @property
    def sse(self) -> bool:
        """The older transport: an event stream, and a path for messages beside it."""
        name = getattr(self.call.func, "attr", "")
        given_transport = argument(self.call, None, "transport")
        return name == "sse_app" or self.scope.module.names.text(given_transport) == "sse"

    @property
    def lifespan(self) -> str | None:
        """What of it the app's own lifespan has to enter; None when nothing has to run."""
        if self.server.family == "fastmcp":
            return "lifespan"
        return None if self.sse else "router.lifespan_context"

    @property
    def path(self) -> str | None:
        """Its own path below the mount; None when that can't be read.

        FastMCP and the official SDK both begin at "/mcp", and at "/sse" for SSE.
        """
        if self.server.family == "official":
            return _official_path(self)
        value = argument(self.call, 0, "path")
        if value is None and any(k.arg is None for k in self.call.keywords):
            return None
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            return "/sse" if self.sse else "/mcp"
        return self.scope.module.names.text(value)


def _official_path(served: Served) -> str | None:
    """`streamable_http_path`: of the call (mcp 2), of the constructor or the settings (mcp 1)."""
    keyword, default = ("sse_path", "/sse") if served.sse else ("streamable_http_path", "/mcp")
    told = argument(served.call, None, keyword)
    scope, made = served.scope, served.server
    if told is None and made.call is not None:
        told, scope = argument(made.call, None, keyword), made.scope
    for module in {made.scope.module, served.scope.module}:
        for node in nodes(module.tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                name = dotted(node.targets[0]) or ""
                if name.endswith(f".settings.{keyword}"):
                    told, scope = node.value, Scope(module)
    return default if told is None else scope.module.names.text(told)


def prove_server(scope: Scope, expression: ast.AST | None, depth: int = 0) -> Made | None:
    """The server that an expression is; None when nothing proves that it is one."""
    if isinstance(expression, ast.arg):
        origin = _annotated(scope, expression)
        family = _family(origin)
        return Made(family, None, scope) if family else None
    if isinstance(expression, ast.Call):
        origin = scope.module.names.called(expression) or ""
        maker = origin.rpartition(".")
        family = _family(origin) or _family(maker[0] if maker[2].startswith("from_") else "")
        if family:
            return Made(family, expression, scope, from_app=maker[2] == "from_fastapi")
    return _followed(scope, expression, depth, prove_server, _same_server)


def _same_server(found: list[Made]) -> Made | None:
    families = {made.family for made in found}
    if len(families) != 1:
        return None
    guarded = {made.auth for made in found}
    return found[0] if len(guarded) == 1 else None


def _family(origin: str) -> Family | None:
    return "fastmcp" if origin in FASTMCP else "official" if origin in OFFICIAL else None


def _annotated(scope: Scope, parameter: ast.arg) -> str:
    """The class that an annotation names, also as a string and as `FastMCP | None`."""
    annotation = parameter.annotation
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return ""
    if isinstance(annotation, ast.BinOp):
        annotation = annotation.left
    if isinstance(annotation, ast.Subscript):
        optional = dotted(annotation.value) in ("Optional", "typing.Optional")
        annotation = annotation.slice if optional else annotation.value
    return scope.module.names.origin(annotation) or ""


def told_server(scope: Scope, expression: ast.expr, told: str | None) -> Served | None:
    """`tools.http_app()`, when the user says that `tools` is an MCP server."""
    match expression:
        case ast.Call(func=ast.Attribute(value=held, attr=verb)) if (
            verb in SERVES and told is not None and dotted(held) == told
        ):
            family: Family = "fastmcp" if verb == "http_app" else "official"
            return Served(Made(family, None, scope), expression, scope)
    return None


def prove(scope: Scope, expression: ast.AST | None, depth: int = 0) -> Served | None:
    """The MCP app that an expression is; None when nothing proves that it is one."""
    match expression:
        case ast.Call(func=ast.Attribute(value=held, attr=verb)) if verb in SERVES:
            server = prove_server(scope, held, depth + 1)
            return Served(server, expression, scope) if server else None
    return _followed(scope, expression, depth, prove, _same_served)


def is_by_hand(scope: Scope, expression: ast.AST | None, depth: int = 0) -> bool:
    """Whether an expression is a Starlette app that is made, where it is made, for MCP's transport.

    Nothing tells its paths and who runs it; that all of it serves MCP is certain.
    """
    names = scope.module.names
    if names.called(expression) == "starlette.applications.Starlette":
        around = scope.functions[-1] if scope.functions else scope.module.tree
        return any(is_transport(names.called(node) or "") for node in ast.walk(around))
    steps = [] if depth > _DEPTH else list(meanings(scope, expression))
    return bool(steps) and all(is_by_hand(s, value, depth + 1) for s, value in steps)


def _same_served(found: list[Served]) -> Served | None:
    kinds = {(s.server.family, s.sse, s.server.auth, s.path) for s in found}
    return found[0] if len(kinds) == 1 else None


_T = TypeVar("_T", Made, Served)


def _followed(
    scope: Scope,
    expression: ast.AST | None,
    depth: int,
    prove_one: Callable[[Scope, ast.AST | None, int], _T | None],
    agree: Callable[[list[_T]], _T | None],
) -> _T | None:
    """What all that an expression may stand for is; None when one of them is not proved."""
    steps = [] if depth > _DEPTH else list(meanings(scope, expression))
    found = [prove_one(there, value, depth + 1) for there, value in steps]
    proved = [one for one in found if one is not None]
    return agree(proved) if proved and len(proved) == len(found) else None


def meanings(scope: Scope, expression: ast.AST | None) -> Iterable[tuple[Scope, Value]]:
    """What an expression may stand for, one step further: nothing when that is the end of it."""
    found: list[tuple[Scope, Value]] = []
    match expression:
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            found = [(scope, value)]
        case ast.IfExp(body=first, orelse=second):
            found = [(scope, first), (scope, second)]
        case ast.BoolOp(op=ast.Or(), values=values):
            found = [(scope, value) for value in values]
        case ast.Name() | ast.Attribute():
            found = _bound(scope, expression)
        case ast.Call():
            found = _returned(scope, expression)
        case ast.Starred(value=iterated):
            found = _elements(scope, iterated)
    return _real(found)


def _elements(scope: Scope, iterated: ast.expr) -> list[tuple[Scope, Value]]:
    """What an element of a list, a tuple or a dictionary may be."""
    match iterated:
        case ast.List(elts=values) | ast.Tuple(elts=values) | ast.Dict(values=values):
            return [(scope, value) for value in values]
        case ast.Name():
            told = annotation(scope, iterated.id)
            if isinstance(told, ast.Subscript) and dotted(told.value) in _LISTS:
                return [(scope, ast.arg(iterated.id, told.slice))]
            return [pair for s, v in _bound(scope, iterated) for pair in _elements_of(s, v)]
    return []


def _elements_of(scope: Scope, value: Value) -> list[tuple[Scope, Value]]:
    literal = isinstance(value, ast.List | ast.Tuple | ast.Dict)
    return _elements(scope, value) if literal and isinstance(value, ast.expr) else [(scope, None)]


def _bound(scope: Scope, expression: ast.Name | ast.Attribute) -> list[tuple[Scope, Value]]:
    name = dotted(expression)
    bound = given(scope, name, getattr(expression, "lineno", None)) if name else []
    if _real(bound):
        return _real(bound)
    found = siblings.follow(scope.module, expression)
    return [(Scope(found[0]), ast.Name(found[1], ast.Load()))] if found else []


def _returned(scope: Scope, call: ast.Call) -> list[tuple[Scope, Value]]:
    """What a function of the project returns."""
    inside = _function(scope, call)
    if inside is None:
        return []
    returned = [n.value for n in own_nodes(inside.functions[-1].body) if isinstance(n, ast.Return)]
    return [(inside, value) for value in returned]


def _real(found: list[tuple[Scope, Value]]) -> list[tuple[Scope, Value]]:
    """`mcp = None` before it is made, or where there is none, says nothing about what it is."""
    return [(s, v) for s, v in found if not (isinstance(v, ast.Constant) and v.value is None)]


def _function(scope: Scope, call: ast.Call) -> Scope | None:
    """The function that a call runs, as the scope of its own statements."""
    local = given(scope, dotted(call.func) or "")
    if local:
        where, function = local[0]
        if len(local) > 1 or not isinstance(function, Function):
            return None
        return replace(where, functions=(*where.functions, function))
    found = function_of(scope.module, call)
    return Scope(found[0], (found[1],)) if found else None
