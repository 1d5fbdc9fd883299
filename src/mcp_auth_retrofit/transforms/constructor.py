"""Keywords of the constructors: `lifespan=` of FastAPI(), what FastMCP() no longer takes."""

import libcst as cst

from mcp_auth_retrofit.edits import AddKeywords, MoveKeywords, SetLifespan
from mcp_auth_retrofit.transforms.arguments import (
    add_argument,
    argument_named,
    assigned_call,
    drop_arguments,
    set_argument,
)
from mcp_auth_retrofit.transforms.draft import Draft


def set_lifespan(draft: Draft, edit: SetLifespan) -> None:
    """Merges outermost first: the user's lifespan starts before MCP and ends after it."""
    statement = draft.statement(edit.place)
    call = assigned_call(statement)
    ours = [cst.parse_expression(source) for source in edit.mcp_lifespans]
    given = argument_named(call, "lifespan")
    value = ours[0]
    if edit.merge is not None:
        merge = cst.Call(cst.Name(edit.merge), [])
        if given is not None and _calls(given.value, edit.merge):
            merge = cst.ensure_type(given.value, cst.Call)
        elif given is not None and not edit.replaces:
            merge = _with_last(merge, given.value)
        for lifespan in ours:
            merge = _with_last(merge, lifespan)
        value = merge
    change = add_argument if given is None else set_argument
    draft.replace(edit.place, statement.with_changes(value=change(call, "lifespan", value)))


_SPACE = cst.SimpleWhitespace(" ")


def _calls(value: cst.BaseExpression, name: str) -> bool:
    return (
        isinstance(value, cst.Call)
        and isinstance(value.func, cst.Name)
        and value.func.value == name
    )


def _with_last(call: cst.Call, value: cst.BaseExpression) -> cst.Call:
    last = [arg.with_changes(comma=cst.Comma(whitespace_after=_SPACE)) for arg in call.args[-1:]]
    return call.with_changes(args=[*call.args[:-1], *last, cst.Arg(value)])


def drop_keywords(draft: Draft, edit: MoveKeywords) -> None:
    """Takes keywords from FastMCP(); their comments stay above the statement."""
    statement = draft.statement(edit.server)
    call, lost = drop_arguments(assigned_call(statement), edit.keywords)
    draft.replace(edit.server, statement.with_changes(value=call))
    draft.keep_comments(edit.server, lost)


def add_keywords(draft: Draft, edit: AddKeywords) -> None:
    """Adds keywords to the call of an assignment."""
    statement = draft.statement(edit.place)
    call = assigned_call(statement)
    for name, value in edit.keywords:
        if argument_named(call, name) is None:
            call = add_argument(call, name, cst.parse_expression(value))
    draft.replace(edit.place, statement.with_changes(value=call))
