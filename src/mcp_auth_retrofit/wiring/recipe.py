"""The published recipe in a file: its middleware, its client, its metadata route, its constants.

Recognised by what it does: a middleware for http that hands the Authorization header to a Scalekit
client and answers 401. Its names do not matter, and it may be imported from the project's modules.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, Scope
from mcp_auth_retrofit.wiring.model import App
from mcp_auth_retrofit.wiring.names import Module, argument, dotted
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import Place, places, statements_of
from mcp_auth_retrofit.wiring.proof import prove
from mcp_auth_retrofit.wiring.recipe_text import changed, exempt
from mcp_auth_retrofit.wiring.scanned import Scan
from mcp_auth_retrofit.wiring.unused import Left, left_over

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, eq=False)
class Recipe:
    """What of the file is the recipe's, and goes."""

    line: int
    """Of the middleware's registration."""
    removed: tuple[tuple[Place, ast.stmt], ...]
    left: Left
    """Constants and imported names that nobody else uses."""
    exempt: tuple[str, ...]
    """The paths that its middleware lets through, without those of the metadata."""
    scopes: bool
    """It asks for scopes."""
    whole_app: bool
    """It stands in front of routes that are neither MCP's nor its own."""
    module: Module
    """Where its middleware is written."""

    def is_of(self, node: ast.AST | None) -> bool:
        """Whether a registration's call is part of what goes."""
        return any(node is inner for _, s in self.removed for inner in ast.walk(s))


def find_recipe(module: Module, app: App, seen: Scan) -> Recipe | None:
    """The recipe's parts; None when no middleware validates tokens with a Scalekit client.

    Raises Refused (recipe-changed) when its middleware does more than the recipe's.
    """
    statements = statements_of(module.tree, app.block)
    found = [(s, *pair) for s in statements if (pair := _guards(module, app, s)) is not None]
    if not found:
        return None
    statement, where, function = found[0]
    own = where is module
    what = changed(where, function)
    if what is not None:
        raise Refused(_changed(what[0], what[1] if own else statement.lineno))
    removed = [statement]
    routes = [s for s in statements if _is_metadata(module, app, s)]
    removed += routes
    lines = [*dict.fromkeys([*module.tree.body, *statements])]  # all of it may be in a factory
    removed += [s for s in lines if _is_client(module, s)]
    if own and function not in removed:
        removed += [s for s in lines if s is function or _holds(s, function)]
    whole_app = _stands_before_more(seen, removed)
    if not whole_app:
        removed += [s for s in statements if _is_cors(module, app, s)]
    at = places(module.tree)
    return Recipe(
        statement.lineno,
        tuple((at[s], s) for s in dict.fromkeys(removed)),
        left_over(module, removed, lines),
        exempt(where, function),
        any(isinstance(n, ast.keyword) and n.arg == "required_scopes" for n in ast.walk(function)),
        whole_app,
        where,
    )


def _holds(statement: ast.stmt, function: Function) -> bool:
    return isinstance(statement, ast.ClassDef) and function in statement.body


def _guards(module: Module, app: App, statement: ast.stmt) -> tuple[Module, Function] | None:
    """The function by which a statement adds a middleware that asks Scalekit."""
    for where, function in _middleware(module, app, statement):
        if _validates(where, function):
            return where, function
    return None


def _middleware(module: Module, app: App, statement: ast.stmt) -> Iterator[tuple[Module, Function]]:
    if isinstance(statement, Function):
        if any(_is_verb(app, decorator, "middleware") for decorator in statement.decorator_list):
            yield module, statement
        return
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return
    if _is_verb(app, call.func, "middleware") and call.args:
        yield from _defined(module, call.args[0])
    elif _is_verb(app, call, "add_middleware"):
        yield from _defined(module, argument(call, None, "dispatch"))
        yield from _defined(module, argument(call, 0, "middleware_class"))


def _defined(module: Module, named: ast.expr | None) -> Iterator[tuple[Module, Function]]:
    """The function that a name stands for, or the `dispatch` of the class that it stands for."""
    where, bound = siblings.definitions(module, named)
    for made in bound:
        if isinstance(made, Function):
            yield where, made
        elif isinstance(made, ast.ClassDef):
            yield from (
                (where, s) for s in made.body if isinstance(s, Function) and s.name == "dispatch"
            )


def _is_verb(app: App, node: ast.AST, verb: str) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) == f"{app.name}.{verb}"


def _validates(module: Module, function: Function) -> bool:
    """It hands something to `validate_...` of an object that a Scalekit client is bound to."""
    clients = {
        dotted(target)
        for node in nodes(module.tree)
        if isinstance(node, ast.Assign) and _makes_client(module, node.value)
        for target in node.targets
    }
    return any(
        isinstance(node, ast.Attribute)
        and node.attr.startswith("validate_")
        and dotted(node.value) in clients
        for node in ast.walk(function)
    )


def _makes_client(module: Module, value: ast.expr) -> bool:
    return (module.names.called(value) or "").endswith(".ScalekitClient")


def _is_client(module: Module, statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and _makes_client(module, statement.value)


def _is_metadata(module: Module, app: App, statement: ast.stmt) -> bool:
    decorators = statement.decorator_list if isinstance(statement, Function) else []
    return any(
        isinstance(d, ast.Call)
        and dotted(d.func) in (f"{app.name}.get", f"{app.name}.api_route")
        and (module.names.text(argument(d, 0, "path")) or "").startswith(WELL_KNOWN)
        for d in decorators
    )


def _is_cors(module: Module, app: App, statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not (isinstance(call, ast.Call) and _is_verb(app, call, "add_middleware")):
        return False
    added = module.names.origin(argument(call, 0, "middleware_class")) or ""
    origins = argument(call, None, "allow_origins")
    star = origins is not None and ast.unparse(origins) in ("['*']", "('*',)")
    return added.endswith(".CORSMiddleware") and star


def _stands_before_more(seen: Scan, removed: list[ast.stmt]) -> bool:
    """Whether the app has more than the metadata, a health route and mounted apps.

    What an unknown call registers counts as more: it must not open unasked.
    """
    gone = {node for statement in removed for node in ast.walk(statement)}
    mounts = {
        mounting.call
        for mounting in seen.mounts
        if prove(Scope(mounting.module, mounting.functions), argument(mounting.call, 1, "app"))
    }
    return any(
        r.path not in ("/health", "/health/") and r.call not in gone and r.call not in mounts
        for r in seen.registrations
    )


def _changed(what: str, line: int) -> Reason:
    return Reason(
        "recipe-changed",
        f"The middleware that asks Scalekit does more than the published recipe: {what}.",
        "Move what is yours into a middleware of its own, or drop it, and run apply again: the "
        "recipe's middleware is replaced whole.",
        line,
    )
