"""Where a FastAPI app of a file comes from: its constructor, a function, another module."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, Scope
from mcp_auth_retrofit.wiring.names import FASTAPI, Module, dotted, imports_of
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import Place, all_blocks
from mcp_auth_retrofit.wiring.proof import meanings
from mcp_auth_retrofit.wiring.routers import REGISTERS, calls_on, target

Trouble = tuple[str, str] | None


@dataclass(frozen=True, eq=False)
class Made:
    """One place that an app comes from and what becomes of it."""

    call: ast.Call
    name: str | None
    place: Place
    functions: tuple[Function, ...]
    trouble: Trouble = None
    """(code, what is in the way) when this app's block can't be read as one street."""
    indirect: bool = False
    """No FastAPI() call: a function's result, or an import."""

    @property
    def line(self) -> int:
        """1-based, of the call."""
        return self.call.lineno


def makes_app(module: Module, call: ast.Call) -> bool:
    """`FastAPI(...)`, or a subclass of the project's that registers nothing by itself."""
    if module.names.called(call) in FASTAPI:
        return True
    name = dotted(call.func)
    is_class = name is not None and name.rpartition(".")[2][:1].isupper()
    return is_class and _is_subclass(module, call.func)


def _is_subclass(module: Module, named: ast.expr) -> bool:
    where, bound = siblings.definitions(module, named)
    made = bound[0] if len(bound) == 1 else None
    if not isinstance(made, ast.ClassDef):
        return False
    if not any(where.names.origin(base) in FASTAPI for base in made.bases):
        return False
    return not any(verb in REGISTERS for _, verb in calls_on({"self"}, made))


def _is_app(scope: Scope, expression: ast.AST | None, depth: int = 0) -> ast.Call | None:
    """The constructor's call that an expression leads to; None when it leads to none."""
    if isinstance(expression, ast.Call) and makes_app(scope.module, expression):
        return expression
    steps = [] if depth > 6 else list(meanings(scope, expression))
    found = [_is_app(there, value, depth + 1) for there, value in steps]
    return found[-1] if found and None not in found else None


def received(module: Module, wanted: set[str | None]) -> Iterator[Made]:
    """Apps that come ready, of these names: `app = create_app()`, `from core import app`."""
    for statement, place, functions, trouble in _statements(module.tree.body, (), "body", (), None):
        scope = Scope(module, functions)
        names: list[tuple[str | None, ast.expr]] = []
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            if not (isinstance(statement.value, ast.Call) and makes_app(module, statement.value)):
                names = [(dotted(target(statement)), statement.value)]
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            brought = {name for name, _ in imports_of(statement)}
            names = [(name, ast.Name(name, ast.Load())) for name in brought]
            # `from shop import api; api.app.mount(...)`
            names += [(n, _read(n)) for n in wanted if n and n.partition(".")[0] in brought]
        for name, value in names:
            call = _is_app(scope, value) if name in wanted else None
            if call is not None:
                shown = ast.copy_location(ast.Call(ast.Name("FastAPI"), [], []), statement)
                yield Made(shown, name, place, functions, trouble, indirect=True)


def _read(name: str) -> ast.expr:
    return ast.parse(name, mode="eval").body


def made_here(module: Module) -> Iterator[Made]:
    named: set[int] = set()
    for statement, place, functions, trouble in _statements(module.tree.body, (), "body", (), None):
        value = getattr(statement, "value", None)
        if not (
            isinstance(statement, ast.Assign | ast.AnnAssign)
            and isinstance(value, ast.Call)
            and makes_app(module, value)
        ):
            continue
        named.add(id(value))
        name = dotted(target(statement))
        yield Made(value, name, place, functions, _trouble(name, functions) or trouble)
    for node in nodes(module.tree):
        if isinstance(node, ast.Call) and id(node) not in named and makes_app(module, node):
            yield Made(node, None, (), ())


def _trouble(name: str | None, functions: tuple[Function, ...]) -> Trouble:
    inside = ast.walk(functions[-1]) if functions else ()
    if any(name in node.names for node in inside if isinstance(node, ast.Global)):
        return "app-global", f"The factory makes a global of the app, `{name}`."
    if name and "." in name and not name.startswith("self."):
        return "app-attribute", f"The app is held in an attribute: `{name}`."
    return None


def _statements(
    body: list[ast.stmt],
    block: Place,
    field: str,
    functions: tuple[Function, ...],
    trouble: Trouble,
) -> Iterator[tuple[ast.stmt, Place, tuple[Function, ...], Trouble]]:
    """Every statement with its place, its functions, and what makes its block unreadable."""
    for index, statement in enumerate(body):
        place = (*block, (field, index))
        yield statement, place, functions, trouble
        inside, problem = functions, trouble
        if isinstance(statement, Function):
            inside, problem = (*functions, statement), None
            if statement.body[0].lineno == statement.lineno:
                problem = ("app-one-line", "The app is made in a function written on one line.")
        elif isinstance(statement, ast.ClassDef):
            problem = ("app-in-class", "The app is made inside a class, in none of its methods.")
        for name, inner in all_blocks(statement):
            yield from _statements(inner, place, name, inside, problem)
