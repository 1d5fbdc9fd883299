"""What a name was given: every assignment to it, in the function that reads it or else above it.

Flow is not followed: a name that is given several things has all of them, and whoever asks has to
be content with each.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mcp_auth_retrofit.wiring.names import Module, dotted, imports_of
from mcp_auth_retrofit.wiring.nodes import nodes

Function = ast.FunctionDef | ast.AsyncFunctionDef
Value = ast.AST | None
"""A value, a function or class definition, or a parameter; None for what is bound in a way that
can't be followed (a loop, `with`, unpacking)."""


@dataclass(frozen=True, eq=False)
class Scope:
    """Where an expression is read: a module, and the functions around it, outermost first."""

    module: Module
    functions: tuple[Function, ...] = ()


def given(scope: Scope, name: str, line: int | None = None) -> list[tuple[Scope, Value]]:
    """What a dotted name is bound to, each with the scope in which that is read.

    `line` is where it is read: what the same scope binds further down comes too late. Empty for a
    name that is only imported.
    """
    module = scope.module
    if "." in name:
        held = _attributes(module.tree).get(name, [])
        if held:
            return [(Scope(module, (method,)), bound.value) for method, bound in held]
    for depth in range(len(scope.functions), 0, -1):
        function = scope.functions[depth - 1]
        found = [*_parameters(function, name), *_table(function).get(name, [])]
        if found:
            own = line if depth == len(scope.functions) else None
            inside = Scope(module, scope.functions[:depth])
            return [(inside, bound.value) for bound in _above(found, own)]
    top = [*_table(module.tree).get(name, []), *_globals(module.tree).get(name, [])]
    return [(Scope(module), b.value) for b in _above(top, None if scope.functions else line)]


@dataclass(frozen=True, eq=False)
class _Binding:
    line: int
    value: Value


def _above(bound: list[_Binding], line: int | None) -> list[_Binding]:
    return [one for one in bound if line is None or one.line <= line]


def _parameters(function: Function, name: str) -> list[_Binding]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [_Binding(function.lineno, parameter) for parameter in every if parameter.arg == name]


@lru_cache(maxsize=512)
def _table(owner: ast.Module | Function) -> dict[str, list[_Binding]]:
    """The bindings of a scope's own statements, not of those in functions inside."""
    table: dict[str, list[_Binding]] = {}
    known: set[int] = set()

    def note(target: ast.expr, value: Value) -> None:
        name = dotted(target)
        if name is not None:
            known.add(id(target))
            table.setdefault(name, []).append(_Binding(target.lineno, value))

    for node in own_nodes(owner.body):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    note(target, value)
            case ast.AnnAssign(target=target, value=None):
                known.add(id(target))
            case ast.AnnAssign():
                note(node.target, node.value)
                note(_annotated(node.target), node.annotation)
            case ast.NamedExpr():
                note(node.target, node.value)
            case ast.For():
                for part, element in elements(node.target, node.iter):
                    note(part, element)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                table.setdefault(name, []).append(_Binding(node.lineno, node))
            case ast.ClassDef(name=name):
                table.setdefault(name, []).append(_Binding(node.lineno, node))
            case ast.Name(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                if id(node) not in known:
                    note(node, None)
    return table


def elements(target: ast.expr, iterated: ast.expr) -> Iterator[tuple[ast.expr, Value]]:
    """What a loop gives its names: a starred expression stands for any element of it."""
    match target, iterated:
        case ast.Tuple(elts=[_, part]), ast.Call(func=ast.Name(id="enumerate"), args=[given, *_]):
            yield part, ast.Starred(given)
        case ast.Tuple(elts=[_, part]), ast.Call(func=ast.Attribute(value=given, attr="items")):
            yield part, ast.Starred(given)
        case ast.Name(), ast.Call(func=ast.Attribute(value=given, attr="values")):
            yield target, ast.Starred(given)
        case ast.Name(), ast.Name() | ast.Attribute() | ast.List() | ast.Tuple():
            yield target, ast.Starred(iterated)


def _annotated(target: ast.expr) -> ast.expr:
    """The key under which the annotation of a name is kept beside its value."""
    return ast.copy_location(ast.Name(f"{dotted(target)}:"), target)


def annotation(scope: Scope, name: str) -> ast.AST | None:
    """What a name is annotated with where it is assigned; None when with nothing, or twice."""
    found = [value for _, value in given(scope, f"{name}:")]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=128)
def _attributes(tree: ast.Module) -> dict[str, list[tuple[Function, _Binding]]]:
    """Assignments to attributes (`self.mcp`), in whichever method of a class they stand."""
    table: dict[str, list[tuple[Function, _Binding]]] = {}
    for owner in nodes(tree):
        for method in owner.body if isinstance(owner, ast.ClassDef) else ():
            if isinstance(method, Function):
                for name, bound in _table(method).items():
                    if "." in name:
                        table.setdefault(name, []).extend((method, one) for one in bound)
    return table


@lru_cache(maxsize=128)
def _globals(tree: ast.Module) -> dict[str, list[_Binding]]:
    """What functions bind as globals."""
    table: dict[str, list[_Binding]] = {}
    if any(isinstance(node, ast.Global) for node in nodes(tree)):
        for function in (node for node in nodes(tree) if isinstance(node, Function)):
            for node in own_nodes(function.body):
                for name in node.names if isinstance(node, ast.Global) else ():
                    table.setdefault(name, []).extend(_table(function).get(name, []))
    return table


@lru_cache(maxsize=512)
def assigned_in(function: Function) -> frozenset[str]:
    """The names that a function itself assigns or imports, its parameters not among them."""
    found: set[str] = set()
    for node in own_nodes(function.body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name for name, _ in imports_of(node)}
    shared = (node.names for node in own_nodes(function.body) if isinstance(node, ast.Global))
    return frozenset(found.difference(*shared))


def own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Every node of a scope, in source order, without what is inside functions and classes."""
    pending = list(reversed(body))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))
