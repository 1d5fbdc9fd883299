"""What the recipe's middleware may say, and what it lets through."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring.bindings import Function
from mcp_auth_retrofit.wiring.names import Module, dotted
from mcp_auth_retrofit.wiring.nodes import nodes

_METHODS = frozenset(
    {"get", "getlist", "startswith", "strip", "split", "partition", "replace", "removeprefix"}
    | {"lower", "lstrip", "rstrip", "dumps", "encode", "format", "validate_access_token"}
    | {"validate_token", "validate_access_token_and_get_claims"}
    | {"debug", "info", "warning", "error", "exception", "critical"}
)
"""What it may call of something: the header's text, its own answer, the SDK, a log."""
_NAMES = frozenset(
    {"call_next", "print", "len", "str", "bool", "type", "repr", "dict", "getattr", "set"}
    | {"Response", "JSONResponse", "PlainTextResponse", "HTTPException", "TokenValidationOptions"}
    | {"Exception", "ValueError", "PermissionError", "RuntimeError", "Request"}
)


def changed(module: Module, function: Function) -> tuple[str, int] | None:
    """What a middleware does beyond the recipe's, and where; None when that is nothing."""
    for node in (inner for statement in function.body for inner in ast.walk(statement)):
        what = None
        match node:
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                what = f"it sets `{ast.unparse(node)}`"
            case ast.Call(func=ast.Attribute(value=held, attr="startswith"), args=[prefix]) if (
                _is_path(held) and not _is_metadata(prefix)
            ):
                what = f"it lets through all that begins with {ast.unparse(prefix)}"
            case ast.Constant(value=int(status)) if 400 <= status < 600 and status != 401:
                what = f"it answers {status}"
            case ast.Constant(value=str(text)) if "realm=" in text and 'realm="OAuth"' not in text:
                what = f"it has a realm of its own, `{text}`"
            case ast.Delete() | ast.Global() | ast.Nonlocal() | ast.With() | ast.AsyncWith():
                what = f"it has a `{type(node).__name__.lower()}` statement"
        if what is None and isinstance(node, ast.Call):
            what = _call(module, node)
        if what is not None:
            return what, getattr(node, "lineno", function.lineno)
    return None


def _call(module: Module, call: ast.Call) -> str | None:
    called = dotted(call.func) or ""
    name = called.rpartition(".")[2] or (
        call.func.attr if isinstance(call.func, ast.Attribute) else ""
    )
    known = name in (_METHODS if isinstance(call.func, ast.Attribute) else _NAMES)
    if not known and name not in _NAMES:
        return f"it calls `{ast.unparse(call.func)}`"
    headers = called.endswith("headers.get") and call.args
    if headers and (module.names.text(call.args[0]) or "").lower() != "authorization":
        return f"it reads another header, `{ast.unparse(call)}`"
    return None


def exempt(module: Module, function: Function) -> tuple[str, ...]:
    """The paths below which no token is asked for, without those of the metadata."""
    found = [path for node in ast.walk(function) for path in _compared(module, node)]
    return tuple(dict.fromkeys(path for path in found if ".well-known" not in path))


def _compared(module: Module, node: ast.AST) -> Iterator[str]:
    """The strings that `request.url.path` is held against."""
    compared: list[ast.expr] = []
    match node:
        case ast.Compare(left=left, comparators=[right]) if _is_path(left) or _is_path(right):
            compared = [left, right]
    for expression in compared:
        listed = expression
        if isinstance(expression, ast.Name):
            values = [
                n.value
                for n in nodes(module.tree)
                if isinstance(n, ast.Assign) and dotted(n.targets[0]) == expression.id
            ]
            listed = values[0] if len(values) == 1 else expression
        for inner in ast.walk(listed):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value


def _is_metadata(prefix: ast.expr) -> bool:
    """Whether a prefix, or each of a tuple of them, is one of the metadata."""
    texts = [node.value for node in ast.walk(prefix) if isinstance(node, ast.Constant)]
    return bool(texts) and all(".well-known" in str(text) for text in texts)


def _is_path(expression: ast.expr) -> bool:
    return (dotted(expression) or "").endswith("url.path") or dotted(expression) == "path"
