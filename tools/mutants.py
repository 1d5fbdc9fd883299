"""The ways in which a module is broken on purpose: one small change each, by its syntax tree."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TURNED = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
PASSED_ON = ("lower", "strip", "rstrip", "removeprefix", "split", "escape", "quote", "unquote")
"""Calls that give a text back nearly as it came: each is left out once."""
Change = tuple[ast.AST, str]
"""A place, and the text that takes its place."""


@dataclass(frozen=True)
class Mutant:
    """A module with one place changed."""

    line: int
    was: str
    now: str
    source: bytes

    def __str__(self) -> str:
        shown = (" ".join(text.split())[:70] for text in (self.was, self.now))
        return f"line {self.line}: {' -> '.join(shown)}"


def mutants(source: bytes) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen = {source}
    for node in sorted(_places(ast.parse(source)), key=lambda one: (one.lineno, one.col_offset)):
        for part, text in _changes(node):
            place: Any = part
            begin = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            changed = source[:begin] + text.encode() + source[end:]
            if changed not in seen and _parses(changed):
                seen.add(changed)
                yield Mutant(place.lineno, source[begin:end].decode(), text, changed)


def _places(node: ast.AST) -> Iterator[Any]:
    """What may be changed: no annotations, no docstrings, and f-strings as a whole."""
    if hasattr(node, "lineno"):
        yield node
    if isinstance(node, ast.JoinedStr):
        return
    for name, child in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for one in child if isinstance(child, list) else [child]:
            text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            if isinstance(one, ast.AST) and not text:
                yield from _places(one)


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _changes(node: ast.AST) -> Iterator[Change]:
    yield from _conditions(node)
    yield from _values(node)
    yield from _statements(node)
    yield from _parts(node)
    if isinstance(node, ast.Call):
        yield from _calls(node)


def _conditions(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield node, f"({ast.unparse(left)} {TURNED[type(op)]} {ast.unparse(right)})"
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield node, f"({ast.unparse(ast.BoolOp(other, values))})"
            for number in range(len(values)):
                rest = _without(values, number)
                kept = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
                yield node, f"({ast.unparse(kept)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield from ((test, constant) for constant in ("True", "False"))
        case ast.comprehension(ifs=tests):
            yield from ((test, constant) for test in tests for constant in ("True", "False"))


def _values(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from ((node, repr(changed)) for changed in (value + 1, value - 1))
        case ast.Constant(value=str(value)) if " " not in value:  # sentences are for people
            yield node, repr(f"{value}x")
        case ast.Constant(value=bytes(value)):
            yield node, repr(value + b"x")


def _statements(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Return(value=ast.expr()):
            yield node, "return None"


def _parts(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts, ctx=ast.Load()) | ast.Set(elts=parts):
            for number in range(len(parts)):
                rest = _without(parts, number)
                one = (
                    type(node)(rest) if isinstance(node, ast.Set) else type(node)(rest, ast.Load())
                )
                yield node, ast.unparse(one)
        case ast.Dict(keys=keys, values=values):
            for number in range(len(keys)):
                kept = [*keys[:number], *keys[number + 1 :]]
                yield node, ast.unparse(ast.Dict(kept, _without(values, number)))
        case ast.JoinedStr(values=values):
            for number in range(len(values)):
                yield node, ast.unparse(ast.JoinedStr(_without(values, number)))


def _calls(node: ast.Call) -> Iterator[Change]:
    for left_out in node.keywords:
        kept = [keyword for keyword in node.keywords if keyword is not left_out]
        yield node, ast.unparse(ast.Call(node.func, node.args, kept))
    match node.func:
        case ast.Attribute(value=ast.Name(id="re"), attr="escape"):
            yield node, ast.unparse(node.args[0])
        case ast.Attribute(attr="fullmatch", value=value):
            match_ = ast.Attribute(value, "match", ast.Load())
            yield node, ast.unparse(ast.Call(match_, node.args, node.keywords))
        case ast.Attribute(attr=attr, value=value) if attr in PASSED_ON:
            yield node, f"({ast.unparse(value)})"
        case ast.Name(id=name) if name in PASSED_ON:
            yield node, f"({ast.unparse(node.args[0])})"


def _without(values: Sequence[ast.expr], number: int) -> list[ast.expr]:
    return [*values[:number], *values[number + 1 :]]
