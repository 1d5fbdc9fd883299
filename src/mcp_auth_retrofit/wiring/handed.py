"""Calls that are handed the app: what they may do to it, and the function they run."""

import ast
import copy

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.names import Module, dotted
from mcp_auth_retrofit.wiring.nodes import nodes

Function = ast.FunctionDef | ast.AsyncFunctionDef

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
    if isinstance(value, ast.Starred):
        return is_app(value.value, owners)
    return (dotted(value) or "").removesuffix(".router") in owners


def mentions(value: ast.AST | None, owners: set[str]) -> bool:
    return value is not None and any(dotted(node) in owners for node in ast.walk(value))


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


def _method(made: ast.ClassDef, name: str) -> Function | None:
    return next((s for s in made.body if isinstance(s, Function) and s.name == name), None)


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


def function_of(module: Module, call: ast.Call) -> tuple[Module, Function] | None:
    """The function a call runs, when it stands in this file or in a module of the project."""
    if not isinstance(call.func, ast.Name | ast.Attribute):
        return None
    if isinstance(call.func, ast.Attribute) and dotted(call.func.value) == "self":
        return _own_method(module, call.func.attr)
    if isinstance(call.func, ast.Name):
        own = _only_function(module, call.func.id)
        made = _own_class(module, call)
        init = _method(made, "__init__") if made else None
        own = _without_self(init) if init else own
        if own is not None:
            return module, own
    found = siblings.follow(module, call.func)
    there = _only_function(*found) if found else None
    return (found[0], there) if found and there else None


def _only_function(module: Module, name: str) -> Function | None:
    bound = module.names.bound.get(name, [])
    return bound[0] if len(bound) == 1 and isinstance(bound[0], Function) else None


def _own_method(module: Module, name: str) -> tuple[Module, Function] | None:
    """`self.name()`, when one class of the file alone has a method of that name."""
    classes = [node for node in nodes(module.tree) if isinstance(node, ast.ClassDef)]
    methods = [method for made in classes if (method := _method(made, name)) is not None]
    return (module, _without_self(methods[0])) if len(methods) == 1 else None


def _without_self(method: Function) -> Function:
    """The method as its caller sees it."""
    given = copy.copy(method.args)
    given.args = given.args[1:]
    inside = copy.copy(method)
    inside.args = given
    return inside


def parameters(function: Function, call: ast.Call, owners: set[str]) -> set[str]:
    """The names under which a function knows the app it is handed."""
    positional = [*function.args.posonlyargs, *function.args.args]
    names = {
        parameter.arg
        for parameter, given in zip(positional, call.args, strict=False)
        if is_app(given, owners)
    }
    return names | {k.arg for k in call.keywords if k.arg and is_app(k.value, owners)}


def local_names(function: Function) -> set[str]:
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
