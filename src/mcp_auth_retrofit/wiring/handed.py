"""Calls that are handed the app: what they may do to it, and the function they run."""

import ast
import copy

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.names import Module

_HARMLESS = (
    "fastapi_pagination.",
    "logfire.",
    "opentelemetry.",
    "prometheus_fastapi_instrumentator.",
    "sentry_sdk.",
    "fastapi.testclient.",
    "starlette.testclient.",
)
_SERVERS = ("uvicorn.", "hypercorn.", "granian.", "a2wsgi.", "asgiref.wsgi.")
_WRAPPERS = ("Middleware", "ASGIApp", "Mangum", "SocketManager")
_BUILTINS = frozenset({"print", "isinstance", "id", "repr", "type", "hasattr"})


def hands(call: ast.Call, owners: set[str]) -> bool:
    """Whether the app itself, or its router, is an argument."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(is_app(value, owners) for value in given)


def is_app(value: ast.expr, owners: set[str]) -> bool:
    """Whether an expression is the app, under one of its names, or its router."""
    match value:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="router"):
            return name in owners
        case ast.Starred(value=inner):
            return is_app(inner, owners)
    return False


def mentions(value: ast.AST | None, owners: set[str]) -> bool:
    return value is not None and any(
        isinstance(node, ast.Name) and node.id in owners for node in ast.walk(value)
    )


def hands_on(module: Module, call: ast.Call) -> bool:
    """Whether a call serves the app it is handed, or makes another ASGI app around it.

    Whatever comes after it comes too late, or goes past it.
    """
    made = _own_class(module, call)
    if made is not None:
        return _method(made, "__call__") is not None
    return serves(module, call) or (module.names.called(call) or "").endswith(_WRAPPERS)


def serves(module: Module, call: ast.Call) -> bool:
    """Whether a call runs the app, or readies it to be run."""
    return (module.names.called(call) or "").startswith(_SERVERS)


def _own_class(module: Module, call: ast.Call) -> ast.ClassDef | None:
    bound = module.names.bound.get(call.func.id, []) if isinstance(call.func, ast.Name) else []
    return bound[0] if len(bound) == 1 and isinstance(bound[0], ast.ClassDef) else None


def _method(made: ast.ClassDef, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return next((s for s in made.body if isinstance(s, functions) and s.name == name), None)


def is_harmless(call: ast.Call, module: Module) -> bool:
    """Takes the app and registers nothing that could stand in anybody's way."""
    if isinstance(call.func, ast.Name) and call.func.id in _BUILTINS:
        return True
    innermost: ast.AST = call
    while isinstance(innermost, ast.Call | ast.Attribute):
        origin = module.names.origin(innermost)
        if origin:
            return origin.startswith(_HARMLESS)
        innermost = innermost.func if isinstance(innermost, ast.Call) else innermost.value
    origin = module.names.origin(innermost) or ""
    return origin.startswith(_HARMLESS)


def verb_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def function_of(
    module: Module, call: ast.Call
) -> tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef] | None:
    """The function a call runs, when it stands in this file or in a module of the project."""
    if not isinstance(call.func, ast.Name | ast.Attribute):
        return None
    if isinstance(call.func, ast.Name):
        own = module.names.bound.get(call.func.id, [])
        if len(own) == 1 and isinstance(own[0], ast.FunctionDef):
            return module, own[0]
        made = _own_class(module, call)
        init = _method(made, "__init__") if made else None
        if init is not None:
            given = copy.copy(init.args)
            given.args = given.args[1:]
            inside = copy.copy(init)
            inside.args = given
            return module, inside
    found = siblings.follow(module, call.func)
    if found is None:
        return None
    other, name = found
    defined = other.names.bound.get(name, [])
    if len(defined) == 1 and isinstance(defined[0], ast.FunctionDef):
        return other, defined[0]
    return None


def parameters(
    function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, owners: set[str]
) -> set[str]:
    """The names under which a function knows the app it is handed."""
    positional = [*function.args.posonlyargs, *function.args.args]
    names = {
        parameter.arg
        for parameter, given in zip(positional, call.args, strict=False)
        if is_app(given, owners)
    }
    return names | {k.arg for k in call.keywords if k.arg and is_app(k.value, owners)}


def local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    shared = {
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    }
    return (arguments | stored) - shared
