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
    ours = cst.parse_expression(edit.mcp_lifespan)
    given = argument_named(call, "lifespan")
    if given is None:
        changed = add_argument(call, "lifespan", ours)
    elif edit.merge is None:
        changed = set_argument(call, "lifespan", ours)
    elif _calls(given.value, edit.merge):
        merged = cst.ensure_type(given.value, cst.Call)
        changed = set_argument(call, "lifespan", _with_last(merged, ours))
    else:
        merge = cst.Call(
            cst.Name(edit.merge),
            [cst.Arg(given.value, comma=cst.Comma(whitespace_after=_SPACE)), cst.Arg(ours)],
        )
        changed = set_argument(call, "lifespan", merge)
    draft.replace(edit.place, statement.with_changes(value=changed))


_SPACE = cst.SimpleWhitespace(" ")


def _calls(value: cst.BaseExpression, name: str) -> bool:
    return (
        isinstance(value, cst.Call)
        and isinstance(value.func, cst.Name)
        and value.func.value == name
    )


def _with_last(call: cst.Call, value: cst.BaseExpression) -> cst.Call:
    last = call.args[-1].with_changes(comma=cst.Comma(whitespace_after=_SPACE))
    return call.with_changes(args=[*call.args[:-1], last, cst.Arg(value)])


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
