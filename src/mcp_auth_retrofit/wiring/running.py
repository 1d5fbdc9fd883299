"""Who runs an MCP app's lifespan today: entered twice, it is an error; not at all, a 500."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeGuard

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, Scope, given
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import dotted
from mcp_auth_retrofit.wiring.proof import Served, prove, prove_server

_DEPTH = 3


def runs(entry: Entrypoint, served: Served) -> bool:
    """Whether the app's lifespan, as far as it can be read, enters this MCP app's.

    `X.lifespan` and `X.router.lifespan_context` count for the MCP app, `X.session_manager` for its
    server, under whatever names the text knows them.
    """
    return any(_is_of(scope, held, served) for scope, held in _entered(entry))


def entered(entry: Entrypoint) -> list[ast.Attribute]:
    """What the app's lifespan enters, as far as it can be read: `X.lifespan` and its kin."""
    return [held for _, held in _entered(entry)]


def unclear(entry: Entrypoint) -> ast.expr | None:
    """A session manager that the app's lifespan enters, and nobody can tell whose it is."""
    for scope, held in _entered(entry):
        if held.attr == "session_manager" and prove_server(scope, held.value) is None:
            return held
    return None


def _is_of(scope: Scope, held: ast.Attribute, served: Served) -> bool:
    if held.attr == "session_manager":
        made, own = prove_server(scope, held.value), served.server
        if made is None or own.call is None:
            # Neither is followed to its constructor: the same words in the same function.
            return own.call is None and dotted(held.value) == dotted(_server(served))
        return made.call is own.call
    owner = held.value
    if held.attr == "lifespan_context" and isinstance(owner, ast.Attribute):
        owner = owner.value if owner.attr == "router" else owner
    other = prove(scope, owner)
    return other is not None and other.call is served.call


def _server(served: Served) -> ast.expr | None:
    return served.call.func.value if isinstance(served.call.func, ast.Attribute) else None


@lru_cache(maxsize=8)
def _entered(entry: Entrypoint) -> tuple[tuple[Scope, ast.Attribute], ...]:
    seen: set[ast.AST] = set()
    texts = _texts(entry)
    return tuple(pair for scope, text in texts for pair in _read(scope, text, 0, seen))


def _texts(entry: Entrypoint) -> Iterator[tuple[Scope, ast.AST]]:
    """The lifespan that the app is given, and what is assigned to its router's."""
    life = entry.lifespan
    last = max((setting.place for setting in life.assigned), default=())
    # What was wrapped before the user's own assignment is lost with it.
    if life.value is not None:
        yield entry.scope, life.value
    for setting in (*life.assigned, *(w for w in life.wrapped if w.place > last)):
        yield setting.scope, setting.statement.value


def _read(
    scope: Scope, text: ast.AST, depth: int, seen: set[ast.AST]
) -> Iterator[tuple[Scope, ast.Attribute]]:
    """What a text enters, also in the functions of the project that it names or calls."""
    if text in seen:
        return
    seen.add(text)
    told = {id(inner) for call in ast.walk(text) if _tells(call) for inner in ast.walk(call)}
    for node in ast.walk(text):
        if id(node) in told:
            continue
        if isinstance(node, ast.Attribute) and node.attr in ("lifespan", "lifespan_context"):
            yield scope, node
        elif isinstance(node, ast.Attribute) and node.attr == "run" and _is_manager(node.value):
            yield scope, node.value
        elif isinstance(node, ast.Name | ast.Attribute) and depth < _DEPTH:
            for inside, meant in _behind(scope, node):
                yield from _read(inside, meant, depth + 1, seen)


def _is_manager(node: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "session_manager"


def _behind(scope: Scope, node: ast.Name | ast.Attribute) -> Iterator[tuple[Scope, ast.AST]]:
    """What a name stands for: a value, a function, a class, here or in the project's modules."""
    name = dotted(node)
    if name is None or not isinstance(node.ctx, ast.Load):
        return
    known = given(scope, name)
    for where, value in known:
        if isinstance(value, Function) and value not in scope.functions:
            yield Scope(where.module, (*where.functions, value)), value
        elif isinstance(value, ast.expr | ast.ClassDef):
            yield where, value
    found = None if known else siblings.follow(scope.module, node)
    if found is not None:
        yield from _behind(Scope(found[0]), ast.Name(found[1], ast.Load()))


def _tells(node: ast.AST) -> bool:
    """A call that prints or logs what it is given, and enters nothing."""
    called = node.func if isinstance(node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else dotted(called)
    return name in {"print", "debug", "info", "warning", "error", "exception"}
