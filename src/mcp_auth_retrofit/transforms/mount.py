"""The MCP mount: what it mounts, under which path, and where it stands."""

import libcst as cst

from mcp_auth_retrofit.edits import Hoist, RewriteMount
from mcp_auth_retrofit.transforms.arguments import add_argument, argument_named, assigned_call
from mcp_auth_retrofit.transforms.draft import Draft
from mcp_auth_retrofit.transforms.lines import comments_in


def rewrite_mount(draft: Draft, edit: RewriteMount) -> None:
    """Wraps what is mounted, and moves the statement with the comments directly above it."""
    statement = draft.statement(edit.place)
    call = assigned_call(statement) if edit.listed is None else _listed(statement, edit.listed)
    lost: list[str] = []
    args = list(call.args)
    for index, argument in enumerate(args):
        name = argument.keyword.value if argument.keyword else None
        if name == edit.argument[0] or (name is None and index == edit.argument[1]):
            mounted, gone = _mounted(argument.value, edit)
            lost += gone
            args[index] = argument.with_changes(value=mounted)
        elif edit.path is not None and (name == "path" or (name is None and index == 0)):
            args[index] = argument.with_changes(value=cst.parse_expression(edit.path))
    replaced = statement.deep_replace(call, call.with_changes(args=args))
    if not isinstance(replaced, cst.BaseStatement | cst.BaseSmallStatement):
        raise TypeError(f"{type(replaced).__name__} is no statement")
    draft.replace(edit.place, replaced)
    draft.keep_comments(edit.place, lost)
    draft.space_above(edit.place, edit.above)
    if edit.target is not None:
        draft.move(edit.statement or edit.place, edit.target, edit.blank)


def _listed(statement: cst.CSTNode, number: int) -> cst.Call:
    """The n-th `Mount(...)` inside a statement, in source order."""
    found: list[cst.Call] = []
    pending: list[cst.CSTNode] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, cst.Call):
            named = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
            if isinstance(named, cst.Name) and named.value == "Mount":
                found.append(node)
        pending += reversed(node.children)
    return found[number]


def _mounted(value: cst.BaseExpression, edit: RewriteMount) -> tuple[cst.BaseExpression, list[str]]:
    """What is to be mounted, and the comments that its guard leaves behind."""
    lost: list[str] = []
    if edit.bare:
        guard = cst.ensure_type(value, cst.Call)
        lost = [c for c in comments_in(guard) if c not in comments_in(guard.args[0].value)]
        value = guard.args[0].value
    if edit.hoisted is not None:
        value = cst.parse_expression(edit.hoisted)
    if edit.guard is not None:
        value = cst.Call(cst.parse_expression(edit.guard), [cst.Arg(value)])
    return value, lost


def hoist(draft: Draft, edit: Hoist) -> None:
    """Gives what is made in the mount a name, so that the lifespan is the mounted app's own."""
    call = assigned_call(draft.statement(edit.mount))
    made = _made_in(call, guarded=edit.guarded)
    for name, value in edit.keywords:
        if isinstance(made, cst.Call) and argument_named(made, name) is None:
            made = add_argument(made, name, cst.parse_expression(value))
    (statement,) = draft.parse(f"{edit.name} = None\n", edit.blank)
    line = cst.ensure_type(statement, cst.SimpleStatementLine)
    assign = cst.ensure_type(line.body[0], cst.Assign)
    hoisted = line.with_changes(body=[assign.with_changes(value=made)])
    draft.insert_statement(edit.place, hoisted, joined=edit.joined)


def _made_in(call: cst.Call, *, guarded: bool) -> cst.BaseExpression:
    """What a mount's second argument makes, out of our guard."""
    given = argument_named(call, "app") or call.args[1]
    return cst.ensure_type(given.value, cst.Call).args[0].value if guarded else given.value
