"""What nobody uses any more once some statements are gone: constants, and imported names."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_auth_retrofit.wiring.names import Module, dotted, imports_of
from mcp_auth_retrofit.wiring.places import Place, places

_WORD = re.compile(r"[A-Za-z_]\w*")
_PLAIN = frozenset({"os.getenv", "os.environ.get", "int", "str", "json.loads", "frozenset", "set"})


@dataclass(frozen=True, eq=False)
class Left:
    """Leftovers of what is removed."""

    constants: tuple[tuple[Place, ast.stmt], ...]
    imports: tuple[tuple[Place, tuple[str, ...]], ...]
    """Of an import statement, the names that go."""


def left_over(module: Module, removed: Sequence[ast.stmt], lines: Sequence[ast.stmt]) -> Left:
    """What of some lines only the removed statements used, and what only that used, and so on.

    A constant goes when working it out does nothing but read: settings, numbers, texts.
    """
    at, gone = places(module.tree), list(removed)
    while True:
        used, touched = _used(module.tree, gone), _names(gone)
        more = [
            statement
            for statement in lines
            if statement not in gone
            and isinstance(statement, ast.Assign)
            and _is_plain(statement.value)
            and all(dotted(t) in touched and dotted(t) not in used for t in statement.targets)
        ]
        if not more:
            break
        gone += more
    constants = tuple((at[s], s) for s in gone if s not in removed)
    imports = []
    for statement in lines:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = tuple(n for n, _ in imports_of(statement) if n in touched and n not in used)
            if names and getattr(statement, "module", "") != "__future__":
                imports.append((at[statement], names))
    return Left(constants, tuple(imports))


def _names(statements: Sequence[ast.stmt]) -> set[str]:
    return {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}


def _used(tree: ast.Module, gone: Sequence[ast.stmt]) -> set[str]:
    """Names that the rest reads, quoted ones in annotations and in `__all__` too."""
    dead = {node for statement in gone for node in ast.walk(statement)}
    used: set[str] = set()
    for node in ast.walk(tree):
        if node in dead:
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            used.add(node.id)
        for quoting in _quoting(node):
            for inner in ast.walk(quoting):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    used.update(_WORD.findall(inner.value))
    return used


def _quoting(node: ast.AST) -> list[ast.expr]:
    """Expressions in which a text may stand for a name."""
    found: list[ast.expr | None] = []
    match node:
        case ast.arg(annotation=told) | ast.AnnAssign(annotation=told):
            found = [told]
        case ast.FunctionDef(returns=told) | ast.AsyncFunctionDef(returns=told):
            found = [told]
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            found = [value]
    return [expression for expression in found if expression is not None]


def _is_plain(value: ast.expr) -> bool:
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    return all(dotted(call.func) in _PLAIN for call in calls)
