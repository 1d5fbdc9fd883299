"""Comma lists (arguments, imported names): adding to them and taking away in their own style."""

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from mcp_auth_retrofit.transforms.lines import Statement, comments_in

Whitespace = cst.BaseParenthesizableWhitespace


def plain(space: Whitespace) -> Whitespace:
    """The same gap without comments and empty lines."""
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return space


def is_broken(space: Whitespace) -> bool:
    """Whether a gap holds a line end."""
    return isinstance(space, cst.ParenthesizedWhitespace)


@dataclass(frozen=True)
class Growth:
    """The gaps that change when a comma list gets one item more at its end."""

    between: cst.Comma
    """Behind the item that was last."""
    trailing: cst.Comma | None
    """Behind the new item: there was a trailing comma before."""
    closing: Whitespace
    """In front of the closing parenthesis, where no trailing comma holds it."""


def grow(commas: Sequence[object], opening: Whitespace, closing: Whitespace) -> Growth:
    """What the gaps become; `commas` are those behind each item, `opening` and `closing` the
    gaps inside the parentheses (LibCST keeps the latter in the trailing comma when there is one).
    """
    last = commas[-1] if isinstance(commas[-1], cst.Comma) else None
    gap = last.whitespace_after if last else closing
    inner = [c.whitespace_after for c in commas[:-1] if isinstance(c, cst.Comma)]
    between: Whitespace = cst.SimpleWhitespace(" ")
    if isinstance(gap, cst.ParenthesizedWhitespace):
        broken = [g for g in (opening, *inner) if isinstance(g, cst.ParenthesizedWhitespace)]
        indent = broken[0].last_line if broken else cst.SimpleWhitespace("    ")
        between = gap.with_changes(last_line=indent)
    elif inner:
        between = plain(inner[-1])
    end = plain(gap)
    if last is None:
        return Growth(cst.Comma(whitespace_after=between), None, end)
    trailing = last.with_changes(whitespace_after=end)
    return Growth(last.with_changes(whitespace_after=between), trailing, closing)


def add_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with one keyword more, behind the last argument."""
    argument = cst.Arg(
        value,
        keyword=cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    if not call.args:
        return call.with_changes(args=[argument])
    last = call.args[-1]
    growth = grow(
        [a.comma for a in call.args], call.whitespace_before_args, last.whitespace_after_arg
    )
    kept = last.with_changes(comma=growth.between, whitespace_after_arg=cst.SimpleWhitespace(""))
    added = argument.with_changes(
        comma=growth.trailing or cst.MaybeSentinel.DEFAULT, whitespace_after_arg=growth.closing
    )
    return call.with_changes(args=[*call.args[:-1], kept, added])


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
