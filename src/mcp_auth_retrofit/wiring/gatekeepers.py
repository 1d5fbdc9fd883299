"""Middlewares and dependencies of the app that look as if they asked for credentials."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.handed import function_of, hands, verb_of
from mcp_auth_retrofit.wiring.model import App
from mcp_auth_retrofit.wiring.names import Module, argument
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.own_guards import guard_of_text
from mcp_auth_retrofit.wiring.recipe import Recipe
from mcp_auth_retrofit.wiring.scanned import Scan

_CREDENTIALS = re.compile(r"auth|jwt|token|api[-_]?key|credential|bearer|csrf|xsrf", re.IGNORECASE)


@dataclass(frozen=True)
class Gatekeeper:
    """One of them, judged by its name and its text."""

    name: str
    line: int
    sure: bool
    """It answers 401 or 403, or it can't be read and its name says it."""


def find_gatekeepers(
    module: Module, app: App, seen: Scan, recipe: Recipe | None
) -> tuple[Gatekeeper, ...]:
    """Those of the app, in source order, without what is the recipe's own."""
    found: dict[int, Gatekeeper] = {}
    for given, line in _given(module, app, seen, recipe):
        bound = list(_behind(module, given))
        texts = [ast.unparse(one) for one in (given, *bound)]
        # CORS names the Authorization header, and lets everybody in.
        if "CORSMiddleware" not in texts[0] and any(map(_CREDENTIALS.search, texts)):
            named = _CREDENTIALS.search(_name(given)) is not None
            guards = {guard_of_text(one) for one in bound}
            sure = "own" in guards or (named and (not bound or "unclear" in guards))
            found.setdefault(line, Gatekeeper(_name(given), line, sure))
    return tuple(found[line] for line in sorted(found))


def _behind(module: Module, given: ast.AST) -> Iterator[ast.stmt]:
    """The functions and classes that it names, or that it is."""
    if isinstance(given, ast.stmt):
        yield given
        return
    for node in ast.walk(given):
        if isinstance(node, ast.Name | ast.Attribute):
            _, bound = siblings.definitions(module, node)
            yield from (one for one in bound if isinstance(one, ast.stmt))


def _given(
    module: Module, app: App, seen: Scan, recipe: Recipe | None
) -> Iterator[tuple[ast.AST, int]]:
    """What stands in front of the app's routes, each with its line."""
    added = [call for call in seen.middleware if recipe is None or not recipe.is_of(call)]
    for call in added:
        if call.args or call.keywords:
            yield call, call.lineno
    for node in nodes(module.tree):
        if isinstance(node, ast.Call) and hands(node, {app.name}) and _adds(module, node):
            yield node.func, node.lineno  # `add_api_key_middleware(app, ...)`
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(call in ast.walk(d) for d in node.decorator_list for call in added):
                yield node, node.lineno  # `@app.middleware("http")`
        elif isinstance(node, ast.Call) and node.func in added:
            yield node, node.lineno  # `app.middleware("http")(check)`
    value = argument(app.call, None, "middleware")
    listed = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    yield from ((element, element.lineno) for element in listed if element is not None)


def _adds(module: Module, call: ast.Call) -> bool:
    """Whether a function that is handed the app puts a middleware in front of it."""
    body = function_of(module, call)
    if body is None:
        return "middleware" in verb_of(call).lower()
    text = ast.unparse(body[1])
    return re.search(r"\.(add_middleware\((?!CORSMiddleware)|middleware\()", text) is not None


def _name(given: ast.AST) -> str:
    """`SessionGuard` of `app.add_middleware(SessionGuard, ...)`; of a function its own name."""
    if isinstance(given, ast.FunctionDef | ast.AsyncFunctionDef):
        return given.name
    inner = given.args[0] if isinstance(given, ast.Call) and given.args else given
    return ast.unparse(inner).partition("(")[0]
