"""The guard inside the entrypoint itself: found by its marks, and set aside while the rest is read.

The marks are texts that stand alone, which `ast` keeps: comments it does not.
"""

import ast
import re
from dataclasses import dataclass

from mcp_auth_retrofit.wiring.names import HELPER, Names, imports_of

BEGIN = re.compile(
    r"scalekit_auth, format \d+, written by mcp-auth-retrofit: from here to its seal"
    r"(?: \((.*)\))?"
)
END = re.compile(r"Untouched, what mcp-auth-retrofit wrote has the seal ([0-9a-f]{16})")


@dataclass(frozen=True, eq=False)
class Inlined:
    """The statements of a module that are the guard."""

    first: int
    """Index of the opening mark; the guard is what stands between it and the closing one."""
    last: int
    lines: tuple[int, int]
    """1-based lines of the two marks."""
    seal: str
    renamed: dict[str, str]
    """Names that it has here under another name, by their own."""
    bound: dict[str, str]
    """What it binds here: local name to its own."""


def set_aside(tree: ast.Module) -> tuple[ast.Module, Inlined | None]:
    """The module with the guard's statements passed over, each in its place; and the guard."""
    found = find_inlined(tree)
    if found is None:
        return tree, None
    body = [
        ast.copy_location(ast.Pass(), statement)
        if found.first <= index <= found.last
        else statement
        for index, statement in enumerate(tree.body)
    ]
    return ast.Module(body, tree.type_ignores), found


def find_inlined(tree: ast.Module) -> Inlined | None:
    """The guard between its two marks; None where they are not both there."""
    marks = [(i, s, text) for i, s in enumerate(tree.body) if (text := _text(s)) is not None]
    begins = [(i, s, m) for i, s, text in marks if (m := BEGIN.fullmatch(text))]
    ends = [(i, s, m) for i, s, text in marks if (m := END.fullmatch(text))]
    if len(begins) != 1 or len(ends) != 1 or begins[0][0] > ends[0][0]:
        return None
    (first, opening, begin), (last, closing, end) = begins[0], ends[0]
    pairs = (pair.partition(" as ") for pair in (begin[1] or "").split(", ") if pair)
    renamed = {own: local for own, _, local in pairs}
    back = {local: own for own, local in renamed.items()}
    bound = {name: back.get(name, name) for s in tree.body[first:last] for name in binds(s)}
    lines = (opening.lineno, closing.lineno)
    return Inlined(first, last, lines, end[1], renamed, bound)


def _text(statement: ast.stmt) -> str | None:
    value = statement.value if isinstance(statement, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else None
    return text if isinstance(text, str) else None


def binds(statement: ast.stmt) -> dict[str, str | None]:
    """The names that a statement of the guard's own level binds, with where each is imported from.

    It imports, defines, and assigns to plain names: nothing else.
    """
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return dict(imports_of(statement))
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name: None}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id: None for target in targets if isinstance(target, ast.Name)}


def adopt(names: Names, inlined: Inlined) -> None:
    """The guard's names count as imported from the module that it would be elsewhere."""
    for local, own in inlined.bound.items():
        names.taken.add(local)
        if local not in names.imported and local not in names.bound:
            names.imported[local] = f".{HELPER}.{own}"
            names.lines[local] = inlined.lines[0]
