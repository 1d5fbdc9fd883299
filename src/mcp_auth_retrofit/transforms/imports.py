"""Imports, merged into what is there: never twice, never above a docstring or `__future__`."""

from collections.abc import Sequence
from typing import Literal

import libcst as cst

from mcp_auth_retrofit.edits import AddImports, DropImports, Import
from mcp_auth_retrofit.transforms.arguments import grow, is_broken, plain
from mcp_auth_retrofit.transforms.draft import Draft
from mcp_auth_retrofit.transforms.lines import comments_in, flat

_WIDTH = 88
_KIN = frozenset({"fastapi", "fastapi_mcp", "fastmcp", "mcp", "starlette"})
"""The libraries among whose imports a new one of theirs goes."""


def add_imports(draft: Draft, edit: AddImports) -> None:
    """Adds names to the file's own `from` imports, and new imports behind its last one."""
    statements = flat(draft.module.body)[: edit.before]
    missing: dict[str, list[Import]] = {}
    for wanted in edit.imports:
        index = next(
            (i for i, s in enumerate(statements) if _module(s) == wanted.module and _listed(s)),
            None,
        )
        if index is None:
            missing.setdefault(wanted.module, []).append(wanted)
        else:
            place = (("body", index),)
            node = cst.ensure_type(draft.statement(place), cst.ImportFrom)
            draft.replace(place, _with_name(draft, node, wanted))
    for module in sorted(missing, key=lambda module: (module == edit.ours, module)):
        ours = module == edit.ours
        index, group = _where(statements, module, edit.kin if ours else _KIN)
        code = _line(module, sorted(missing[module], key=lambda i: _order(i.name)))
        if index == 0 or group == "first":
            draft.insert_before((("body", index),), code, joined=group == "first")
        else:
            apart = ours and group == "new"
            draft.insert_after((("body", index - 1),), code, blank=int(apart), imports=True)


def drop_imports(draft: Draft, edit: DropImports) -> None:
    """Takes names out of an import, or all of it; one with comments in it is left as it is."""
    node = draft.statement(edit.place)
    if not isinstance(node, cst.Import | cst.ImportFrom) or isinstance(node.names, cst.ImportStar):
        return
    kept = [alias for alias in node.names if _local(alias) not in edit.names]
    if not kept:
        draft.remove(edit.place)
    elif len(kept) < len(node.names) and not comments_in(node):
        last = kept[-1].with_changes(comma=node.names[-1].comma)
        draft.replace(edit.place, node.with_changes(names=[*kept[:-1], last]))


def _local(alias: cst.ImportAlias) -> str:
    named = alias.evaluated_alias or alias.evaluated_name
    return str(named) if alias.evaluated_alias else str(named).partition(".")[0]


def _module(statement: object) -> str | None:
    if not isinstance(statement, cst.ImportFrom):
        return None
    dotted = cst.Module([]).code_for_node(statement.module) if statement.module else ""
    return "." * len(statement.relative) + dotted


def _listed(statement: object) -> bool:
    return isinstance(statement, cst.ImportFrom) and not isinstance(statement.names, cst.ImportStar)


def _where(
    statements: Sequence[object], module: str, group: frozenset[str]
) -> tuple[int, Literal["first", "in", "new"]]:
    """The index where a new import goes: first in its group, further down in it, or in a new one.

    The group are the imports of `group`, and relative ones for a relative one.
    """
    found = 0
    imports = {}
    for index, statement in enumerate(statements):
        if _is_docstring(statement, index) or _module(statement) == "__future__":
            found = index + 1
        elif isinstance(statement, cst.Import | cst.ImportFrom):
            imports[index] = _key(statement)
    own = _key_of(module, plain=False)
    imports = _behind_checks(statements, imports)
    for start, (_, name) in imports.items():
        if name.partition(".")[0] in group or (name.startswith(".") and module.startswith(".")):
            if imports[start] > own:
                return start, "first"
            index = start + 1
            relative = module.startswith(".")
            while index in imports and imports[index] < own:
                if imports[index][1].startswith(".") and not relative:
                    break
                index += 1
            return index, "in"
    last = max(imports, default=-1) + 1
    return max(found, last), "new" if last else "in"


def _behind_checks(
    statements: Sequence[object], imports: dict[int, tuple[int, str]]
) -> dict[int, tuple[int, str]]:
    """The imports behind what the file does before it first imports one of the libraries.

    `require("web", ("fastapi",))` has to speak before anything of ours imports them too.
    """
    first = next((i for i, (_, n) in imports.items() if n.partition(".")[0] in _KIN), 0)
    done = [
        index
        for index, statement in enumerate(statements[:first])
        if index not in imports and not _is_docstring(statement, index)
    ]
    floor = max(done, default=-1)
    return {index: key for index, key in imports.items() if index > floor}


def _key(statement: cst.Import | cst.ImportFrom) -> tuple[int, str]:
    """Plain imports before `from` imports, each by name: as isort and ruff sort a group."""
    if isinstance(statement, cst.Import):
        return _key_of(str(statement.names[0].evaluated_name), plain=True)
    return _key_of(_module(statement) or "", plain=False)


def _key_of(module: str, *, plain: bool) -> tuple[int, str]:
    return (0 if plain else 1), module


def _is_docstring(statement: object, index: int) -> bool:
    return (
        index == 0
        and isinstance(statement, cst.Expr)
        and isinstance(statement.value, cst.SimpleString | cst.ConcatenatedString)
    )


def _line(module: str, imports: Sequence[Import]) -> str:
    names = [i.name + (f" as {i.alias}" if i.alias else "") for i in imports]
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line + "\n"
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"


def _order(name: str) -> tuple[int, str]:
    """Constants, classes, functions: the order that isort and ruff keep."""
    if name.isupper():
        return 0, name
    return (1, name) if name[:1].isupper() else (2, name)


def _with_name(draft: Draft, node: cst.ImportFrom, wanted: Import) -> cst.ImportFrom:
    names = list(node.names) if not isinstance(node.names, cst.ImportStar) else []
    alias = cst.ImportAlias(
        cst.Name(wanted.name),
        asname=cst.AsName(cst.Name(wanted.alias)) if wanted.alias else None,
    )
    index = _position(names, wanted.name)
    if index < len(names):
        gap = _gap_before(node, names, index)
        names.insert(index, alias.with_changes(comma=cst.Comma(whitespace_after=gap)))
        changed = node.with_changes(names=names)
        too_long = not node.rpar and len(draft.module.code_for_node(changed)) > _WIDTH
        return _one_a_line(draft, changed) if too_long else changed
    opening = node.lpar.whitespace_after if node.lpar else cst.SimpleWhitespace("")
    closing = node.rpar.whitespace_before if node.rpar else cst.SimpleWhitespace("")
    growth = grow([name.comma for name in names], opening, closing)
    names[-1] = names[-1].with_changes(comma=growth.between)
    names.append(alias.with_changes(comma=growth.trailing or cst.MaybeSentinel.DEFAULT))
    changed = node.with_changes(names=names)
    if not node.rpar and len(draft.module.code_for_node(changed)) > _WIDTH:
        return _one_a_line(draft, changed)
    if node.rpar:
        changed = changed.with_changes(
            rpar=node.rpar.with_changes(whitespace_before=growth.closing)
        )
    return changed


def _one_a_line(draft: Draft, node: cst.ImportFrom) -> cst.ImportFrom:
    """A line that grew too long, in parentheses, one name a line."""
    names = list(node.names) if not isinstance(node.names, cst.ImportStar) else []
    inside = cst.ParenthesizedWhitespace(
        indent=True, last_line=cst.SimpleWhitespace(draft.module.default_indent)
    )
    end = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(""))
    gaps = [inside] * (len(names) - 1) + [end]
    return node.with_changes(
        lpar=cst.LeftParen(whitespace_after=inside),
        names=[
            name.with_changes(comma=cst.Comma(whitespace_after=gap))
            for name, gap in zip(names, gaps, strict=True)
        ],
        rpar=cst.RightParen(),
    )


def _gap_before(
    node: cst.ImportFrom, names: Sequence[cst.ImportAlias], index: int
) -> cst.BaseParenthesizableWhitespace:
    before = names[index - 1].comma if index else None
    if isinstance(before, cst.Comma):
        return plain(before.whitespace_after)
    if node.lpar and is_broken(node.lpar.whitespace_after):
        return plain(node.lpar.whitespace_after)
    return cst.SimpleWhitespace(" ")


def _position(names: Sequence[cst.ImportAlias], name: str) -> int:
    """Where a name goes: in order when the list is in order, else at the end."""
    present = [str(alias.evaluated_name) for alias in names]
    for key in (_order, _folded, _plain):
        ordered = [key(n) for n in present]
        if ordered == sorted(ordered):
            return sum(1 for n in ordered if n < key(name))
    return len(names)


def _folded(name: str) -> tuple[int, str]:
    return 0, name.lower()


def _plain(name: str) -> tuple[int, str]:
    return 0, name
