"""Leading lines, comments and blank lines of LibCST statements."""

from collections.abc import Sequence

import libcst as cst

from mcp_auth_retrofit.results import Reason, Refused

Statement = cst.BaseStatement | cst.BaseSmallStatement


def flat(body: Sequence[cst.BaseStatement]) -> list[Statement]:
    """A block's statements as `ast` counts them: `a; b` on one line are two."""
    found: list[Statement] = []
    for line in body:
        found.extend(line.body if isinstance(line, cst.SimpleStatementLine) else [line])
    return found


def split_line(line: cst.SimpleStatementLine) -> list[cst.SimpleStatementLine]:
    """`a; b  # c` as two lines; the comment stays with the last, what leads with the first."""
    count = len(line.body)
    if count == 1:
        return [line]
    return [
        cst.SimpleStatementLine(
            body=[
                small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
                if index < count - 1
                else small
            ],
            leading_lines=line.leading_lines if index == 0 else [],
            trailing_whitespace=line.trailing_whitespace
            if index == count - 1
            else cst.TrailingWhitespace(),
        )
        for index, small in enumerate(line.body)
    ]


def leading_lines(statement: cst.BaseStatement) -> list[cst.EmptyLine]:
    """The blank and comment lines above a statement."""
    return list(getattr(statement, "leading_lines", ()))


def with_leading(statement: cst.BaseStatement, lines: Sequence[cst.EmptyLine]) -> cst.BaseStatement:
    """The same statement under other blank and comment lines."""
    return statement.with_changes(leading_lines=list(lines))


def split_leading(
    lines: Sequence[cst.EmptyLine],
) -> tuple[list[cst.EmptyLine], list[cst.EmptyLine]]:
    """Leading lines in two: what stands apart, and the comments directly above the statement."""
    cut = len(lines)
    while cut and lines[cut - 1].comment is not None:
        cut -= 1
    return list(lines[:cut]), list(lines[cut:])


def blank_line() -> cst.EmptyLine:
    """One empty line in the file's own line end."""
    return cst.EmptyLine(indent=False)


def comment_line(text: str) -> cst.EmptyLine:
    """A comment on a line of its own."""
    return cst.EmptyLine(comment=cst.Comment(text))


def comments_in(node: cst.CSTNode) -> list[str]:
    """Every comment anywhere below a node, in order."""
    found = [node.value] if isinstance(node, cst.Comment) else []
    for child in node.children:
        found += comments_in(child)
    return found


def suite_of(statement: Statement, name: str) -> cst.IndentedBlock:
    """The block of a compound statement that `ast` calls `name`.

    Raises Refused for an `elif` and for a suite on the line of its head (`else: y`): no block.
    """
    holder: cst.CSTNode = statement
    if name == "orelse":
        holder = getattr(statement, "orelse", None) or statement
    elif name == "finalbody":
        holder = getattr(statement, "finalbody", None) or statement
    elif "." in name:
        listed, _, index = name.partition(".")
        holder = getattr(statement, listed)[int(index)]
    suite = getattr(holder, "body", None)
    if isinstance(holder, cst.If) and holder is not statement:
        # `elif` is an `if` in an `else` for ast, and has no block of its own in LibCST.
        suite = None
    if not isinstance(suite, cst.IndentedBlock):
        raise Refused(
            Reason(
                "mount-in-block",
                "What would have to change stands on one line with its `if`, `else` or `try`.",
                "Put it on a line of its own, and run apply again.",
            )
        )
    return suite


def with_suite(
    statement: cst.BaseStatement,
    name: str,
    body: Sequence[cst.BaseStatement],
    footer: Sequence[cst.EmptyLine],
) -> cst.BaseStatement:
    """The same compound statement with another body in the block that `ast` calls `name`."""
    suite = suite_of(statement, name)
    changed = statement.with_deep_changes(suite, body=list(body), footer=list(footer))
    return as_statement(changed)


def as_statement(node: cst.CSTNode) -> cst.BaseStatement:
    """A node that must be a statement."""
    if not isinstance(node, cst.BaseStatement):
        raise TypeError(f"{type(node).__name__} is no statement")
    return node
