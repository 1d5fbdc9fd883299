"""The MCP mount: what it mounts, under which path, and where it stands."""

import libcst as cst

from mcp_auth_retrofit.edits import Hoist, RewriteMount
from mcp_auth_retrofit.transforms.arguments import add_argument, argument_named, assigned_call
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
            lost += [] if edit.hoisted else comments_in(argument.value)
            args[index] = argument.with_changes(value=mounted)
        elif edit.path is not None and (name == "path" or (name is None and index == 0)):
            args[index] = argument.with_changes(value=cst.parse_expression(edit.path))
    draft.replace(edit.place, statement.with_changes(value=call.with_changes(args=args)))
    draft.keep_comments(edit.place, lost)
    draft.space_above(edit.place, edit.above)
    if edit.target is not None:
        draft.move(edit.statement or edit.place, edit.target, edit.blank)


def hoist(draft: Draft, edit: Hoist) -> None:
    """Gives the inline `http_app(...)` a name, so that the lifespan is the mounted app's own."""
    call = assigned_call(draft.statement(edit.mount))
    made = _http_app(call)
    for name, value in edit.keywords:
        if argument_named(made, name) is None:
            made = add_argument(made, name, cst.parse_expression(value))
    (statement,) = draft.parse(f"{edit.name} = None\n", edit.blank)
    line = cst.ensure_type(statement, cst.SimpleStatementLine)
    assign = cst.ensure_type(line.body[0], cst.Assign)
    hoisted = line.with_changes(body=[assign.with_changes(value=made)])
    draft.insert_statement(edit.place, hoisted, joined=edit.joined)


def _http_app(node: cst.CSTNode) -> cst.Call:
    """The `X.http_app(...)` call inside a mount's arguments, bare or wrapped in our guard."""
    pending = list(node.children)
    while pending:
        child = pending.pop(0)
        name = child.func if isinstance(child, cst.Call) else None
        if isinstance(name, cst.Attribute) and name.attr.value == "http_app":
            return cst.ensure_type(child, cst.Call)
        pending += child.children
    raise TypeError("no http_app() call in the mount")
