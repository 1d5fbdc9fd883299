"""Comma lists (arguments, imported names): adding to them and taking away in their own style."""

from collections.abc import Sequence
from typing import TypeVar

import libcst as cst

from mcp_auth_retrofit.transforms.lines import Statement, comments_in

Whitespace = cst.BaseParenthesizableWhitespace
Item = TypeVar("Item", cst.Arg, cst.ImportAlias)


def plain(space: Whitespace) -> Whitespace:
    """The same gap without comments and empty lines."""
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return space


def is_broken(space: Whitespace) -> bool:
    """Whether a gap holds a line end."""
    return isinstance(space, cst.ParenthesizedWhitespace)


def append(
    items: Sequence[Item], item: Item, opening: Whitespace, closing: Whitespace
) -> tuple[list[Item], Whitespace]:
    """The list with one item more, and the gap in front of its closing parenthesis.

    `opening` and `closing` are the gaps inside the parentheses; LibCST keeps the latter in the
    trailing comma when there is one.
    """
    if not items:
        return [item], closing
    last = items[-1]
    comma = last.comma if isinstance(last.comma, cst.Comma) else None
    gap = comma.whitespace_after if comma else closing
    if isinstance(gap, cst.ParenthesizedWhitespace):
        indent = _item_indent(items, opening)
        between: Whitespace = gap.with_changes(last_line=indent)
        end = plain(gap)
    else:
        before = items[-2].comma if len(items) > 1 else None
        between = plain(before.whitespace_after) if isinstance(before, cst.Comma) else _SPACE
        end = gap
    kept = last.with_changes(comma=cst.Comma(whitespace_after=between))
    head = [*list(items[:-1]), kept]
    if comma:
        closed = item.with_changes(comma=comma.with_changes(whitespace_after=end))
        return [*head, closed], closing
    return [*head, item], end


_SPACE = cst.SimpleWhitespace(" ")


def _item_indent(items: Sequence[Item], opening: Whitespace) -> cst.SimpleWhitespace:
    gaps: list[Whitespace] = [opening]
    gaps += [i.comma.whitespace_after for i in items[:-1] if isinstance(i.comma, cst.Comma)]
    for gap in gaps:
        if isinstance(gap, cst.ParenthesizedWhitespace):
            return gap.last_line
    return cst.SimpleWhitespace("    ")


def add_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with one keyword more, behind the last argument."""
    argument = cst.Arg(
        value,
        keyword=cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    if not call.args:
        return call.with_changes(args=[argument])
    closing = call.args[-1].whitespace_after_arg
    bare = [
        *call.args[:-1],
        call.args[-1].with_changes(whitespace_after_arg=cst.SimpleWhitespace("")),
    ]
    args, end = append(bare, argument, call.whitespace_before_args, closing)
    return call.with_changes(args=[*args[:-1], args[-1].with_changes(whitespace_after_arg=end)])


def set_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with the value of one keyword replaced."""
    return call.with_changes(
        args=[
            a.with_changes(value=value) if a.keyword and a.keyword.value == name else a
            for a in call.args
        ]
    )


def drop_arguments(call: cst.Call, names: Sequence[str]) -> tuple[cst.Call, list[str]]:
    """The call without some keywords, and the comments that would go with them."""
    kept: list[cst.Arg] = []
    lost: list[str] = []
    for argument in call.args:
        if not (argument.keyword and argument.keyword.value in names):
            kept.append(argument)
            continue
        lost += comments_in(argument.value)
        gap = (
            argument.comma.whitespace_after
            if isinstance(argument.comma, cst.Comma)
            else argument.whitespace_after_arg
        )
        lost += comments_in(gap)
        if argument is call.args[-1] and kept:
            # What stood in front of the closing parenthesis stays in front of it.
            last = kept[-1]
            if isinstance(last.comma, cst.Comma):
                lost = comments_in(last.comma.whitespace_after) + lost
                broken = isinstance(argument.comma, cst.Comma)
                kept[-1] = last.with_changes(
                    comma=last.comma.with_changes(whitespace_after=plain(gap))
                    if broken
                    else cst.MaybeSentinel.DEFAULT,
                    whitespace_after_arg=last.whitespace_after_arg if broken else plain(gap),
                )
    before = call.whitespace_before_args
    if not kept:
        lost = comments_in(before) + lost
        before = cst.SimpleWhitespace("")
    return call.with_changes(args=kept, whitespace_before_args=before), lost


def argument_named(call: cst.Call, name: str) -> cst.Arg | None:
    """A call's keyword argument."""
    return next((a for a in call.args if a.keyword and a.keyword.value == name), None)


def assigned_call(statement: Statement) -> cst.Call:
    """The call in `x = f(...)`, `x: T = f(...)` or a bare `f(...)`."""
    value = getattr(statement, "value", None)
    if not isinstance(value, cst.Call):
        raise TypeError(f"no call in {type(statement).__name__}")
    return value
