"""Places: a statement's way down from the module, and back from the place to the statement.

LibCST has the same statements in the same order, so a place leads to the same statement there.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache

from mcp_auth_retrofit.wiring.names import blocks

Step = tuple[str, int]
Place = tuple[Step, ...]
"""(list field, index) by (list field, index): ("body", 3), ("orelse", 0)."""


def all_blocks(statement: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The lists of statements directly inside one, those of functions and classes too."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield "body", statement.body
    else:
        yield from blocks(statement)


def statements_of(tree: ast.Module, block: Place) -> list[ast.stmt]:
    """The statements of a block; every step on the way leads into a `body`."""
    body = tree.body
    for _, index in block:
        body = getattr(body[index], "body", [])
    return body


def on_the_way(tree: ast.Module, place: Place) -> Iterator[tuple[Place, ast.stmt]]:
    """The statements around the one at a place, outermost first, and that one itself."""
    found: dict[str, list[ast.stmt]] = {"body": tree.body}
    for depth, (field, index) in enumerate(place, 1):
        statement = found[field][index]
        yield place[:depth], statement
        found = dict(all_blocks(statement))


@lru_cache(maxsize=64)
def places(tree: ast.Module) -> dict[ast.stmt, Place]:
    """The place of every statement of a module."""
    found: dict[ast.stmt, Place] = {}
    pending: list[tuple[Place, str, list[ast.stmt]]] = [((), "body", tree.body)]
    while pending:
        block, field, body = pending.pop()
        for index, statement in enumerate(body):
            place = (*block, (field, index))
            found[statement] = place
            pending += [(place, name, inner) for name, inner in all_blocks(statement)]
    return found
