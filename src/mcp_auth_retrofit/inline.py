"""The inserted module as a part of another file: the same code, names that clash renamed."""

import ast
import re
from collections.abc import Iterator, Mapping

from mcp_auth_retrofit.seal import digest, format_of, guard_source
from mcp_auth_retrofit.wiring.inlined import Inlined, binds

Spot = tuple[int, int, str, str]
"""(1-based line, column, the name that stands there or "" for nothing, new text)."""


def own_names() -> dict[str, str | None]:
    """What the module binds at its level: each name, with where it is imported from."""
    statements = ast.parse(guard_source()).body
    return {name: origin for s in statements for name, origin in binds(s).items()}


def block(renamed: Mapping[str, str]) -> str:
    """The guard as statements for another module, between its marks.

    `renamed` are the names that it has to have under another name there.
    """
    body, number = _body(renamed), format_of(guard_source())
    told = ", ".join(f"{own} as {local}" for own, local in sorted(renamed.items()))
    mark = f"scalekit_auth, format {number}, written by mcp-auth-retrofit: from here to its seal"
    opening = f'"{mark}{f" ({told})" if told else ""}"'
    closing = f'"Untouched, what mcp-auth-retrofit wrote has the seal {digest(body.encode())}"'
    return f"{opening}\n{body}{closing}\n"


def is_untouched(inlined: Inlined, text: str) -> bool:
    """Whether what stands between the marks of a file is what was written there."""
    return digest(between(inlined, text).encode()) == inlined.seal


def is_current(inlined: Inlined, text: str) -> bool:
    """Whether it is what this version writes."""
    return between(inlined, text) == _body(inlined.renamed)


def between(inlined: Inlined, text: str) -> str:
    """What stands between the marks, in four spaces and line feeds."""
    lines = text.replace("\r\n", "\n").splitlines()[inlined.lines[0] : inlined.lines[1] - 1]
    return "".join(f"{_spaced(line)}\n" for line in lines)


def _spaced(line: str) -> str:
    bare = line.lstrip("\t")
    return "    " * (len(line) - len(bare)) + bare


def _body(renamed: Mapping[str, str]) -> str:
    """The module from its first import on, without the one that only eases annotations."""
    tree, lines = ast.parse(guard_source()), guard_source().decode().splitlines()
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    first = next(n for n in imports if getattr(n, "module", "") != "__future__")
    for number, start, old, new in sorted(_spots(tree, renamed), reverse=True):
        line = lines[number - 1]
        if line.startswith(old, start):
            lines[number - 1] = line[:start] + new + line[start + len(old) :]
        else:  # inside an f-string, before Python 3.12: the column is not to be trusted
            lines[number - 1] = re.sub(rf"(?<![\w.]){old}\b", new, line)
    return "".join(f"{line}\n" for line in (*lines[first.lineno - 1 :], "", ""))


def _spots(node: ast.AST, renamed: Mapping[str, str]) -> Iterator[Spot]:
    """Every place where the module's own names are bound or read, a function's locals aside."""
    match node:
        case ast.Name(id=name) if name in renamed:
            yield node.lineno, node.col_offset, name, renamed[name]
        case ast.alias(name=name, asname=None) if name.partition(".")[0] in renamed:
            yield node.lineno, node.col_offset + len(name), "", f" as {renamed[name]}"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            if name in renamed and node.col_offset == 0:
                kinds = {ast.FunctionDef: "def ", ast.AsyncFunctionDef: "async def "}
                yield node.lineno, len(kinds.get(type(node), "class ")), name, renamed[name]
    inner = dict(renamed)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        outer = (*node.decorator_list, node.args, node.returns)
        for part in outer:
            yield from _spots(part, renamed) if part is not None else ()
        for name in _locals(node):
            inner.pop(name, None)
        for statement in node.body:
            yield from _spots(statement, inner)
        return
    for child in ast.iter_child_nodes(node):
        yield from _spots(child, inner)


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
