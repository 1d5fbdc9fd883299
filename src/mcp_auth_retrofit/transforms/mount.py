"""The MCP mount: what it mounts, under which path, and where it stands."""

import libcst as cst

from mcp_auth_retrofit.edits import RewriteMount
from mcp_auth_retrofit.transforms.arguments import assigned_call
from mcp_auth_retrofit.transforms.draft import Draft
from mcp_auth_retrofit.transforms.lines import comments_in


def rewrite_mount(draft: Draft, edit: RewriteMount) -> None:
    """Wraps what is mounted, and moves the statement with the comments directly above it."""
    statement = draft.statement(edit.place)
    call = assigned_call(statement)
    mounted = cst.parse_expression(edit.mounted)
    lost: list[str] = []
    args = list(call.args)
    for index, argument in enumerate(args):
        name = argument.keyword.value if argument.keyword else None
        if name == "app" or (name is None and index == 1):
            lost += comments_in(argument.value)
            args[index] = argument.with_changes(value=mounted)
        elif edit.path is not None and (name == "path" or (name is None and index == 0)):
            args[index] = argument.with_changes(value=cst.parse_expression(edit.path))
    draft.replace(edit.place, statement.with_changes(value=call.with_changes(args=args)))
    draft.keep_comments(edit.place, lost)
    if edit.target is not None:
        draft.move(edit.statement or edit.place, edit.target, edit.blank)
