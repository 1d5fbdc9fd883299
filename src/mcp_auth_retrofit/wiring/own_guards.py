"""Guards that a file has already: what stands around an MCP app, and what a server asks itself."""

import ast
import re
from typing import Literal

from mcp_auth_retrofit.wiring.bindings import Function, Scope, given
from mcp_auth_retrofit.wiring.names import Module, argument, dotted, has_keyword
from mcp_auth_retrofit.wiring.nodes import nodes

Guard = Literal["own", "unclear", "none"]
"""It refuses who brings no credentials; it may; it does not."""

_CREDENTIALS = re.compile(r"auth|jwt|token|api[-_]?key|credential|bearer|csrf|xsrf", re.IGNORECASE)
_REFUSALS = frozenset({"HTTP_401_UNAUTHORIZED", "HTTP_403_FORBIDDEN", "UNAUTHORIZED", "FORBIDDEN"})
_KEYWORDS = ("auth", "token_verifier", "auth_server_provider")


def guard_of_text(text: ast.AST) -> Guard:
    """What a class or function does, told from its words and from whether it answers 401 or 403."""
    said = _said(text)
    if not any(map(_CREDENTIALS.search, said)):
        return "none"
    refuses = any(
        (isinstance(node, ast.Constant) and node.value in (401, 403))
        or (isinstance(node, ast.Attribute) and node.attr in _REFUSALS)
        for node in ast.walk(text)
    )
    return "own" if refuses else "unclear"


def _said(text: ast.AST) -> set[str]:
    """Its names and texts, without docstrings, and without what `ContextVar.set()` gives back."""
    said: set[str] = set()
    passed: set[ast.AST] = set()
    kept: set[str] = set()
    for node in ast.walk(text):
        match node:
            case ast.Expr(value=ast.Constant() as alone):
                passed.add(alone)
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="set"))
            ):
                kept.add(name)
            case ast.Constant(value=str() | bytes() as value) if node not in passed:
                said.add(str(value))
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                said.add(name)
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
            ):
                said.add(name)
    return said - kept


def guard_of_server(scope: Scope, call: ast.Call | None) -> Guard:
    """Whether a server's constructor is given a guard, and whether that may be None."""
    for name in _KEYWORDS:
        if call is not None and has_keyword(call, name):
            return "unclear" if _may_be_none(scope, argument(call, None, name)) else "own"
    return "none"


def _may_be_none(scope: Scope, value: ast.AST | None, depth: int = 0) -> bool:
    match value:
        case ast.Constant(value=None) | ast.arg():
            return True
        case ast.IfExp(body=first, orelse=second):
            return any(_may_be_none(scope, one, depth) for one in (first, second))
        case ast.Name() | ast.Attribute() if depth < 3 and dotted(value):
            found = given(scope, dotted(value) or "")
            return any(_may_be_none(where, one, depth + 1) for where, one in found)
    return False


def scope_of(module: Module, node: ast.AST) -> Scope:
    """Where a node is read: the functions around it, outermost first."""
    functions = [f for f in nodes(module.tree) if isinstance(f, Function)]
    return Scope(module, tuple(f for f in functions if node in ast.walk(f)))
