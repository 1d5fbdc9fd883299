"""Other clothes: comments, decorators, lines, keywords, parentheses."""

from collections.abc import Sequence
from typing import TypeVar

import libcst as cst

from harness.cases import Case
from harness.spellings.program import Line, Program, assigned, first_code, rebuilt, statement

_Line = TypeVar("_Line", bound=cst.CSTNode)
_NONE, _SPACE, _STEP = (cst.SimpleWhitespace(text) for text in ("", " ", "    "))


def comments(case: Case) -> Case | None:
    """A comment above each statement and at the end of each line."""
    program = Program(case)
    return program.spelled(cst.ensure_type(program.module.visit(_Comments()), cst.Module))


class _Comments(cst.CSTTransformer):
    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def _next(self) -> cst.Comment:
        self._count += 1
        return cst.Comment(f"# note {self._count}")

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        if isinstance(updated_node, cst.SimpleStatementLine):
            end = updated_node.trailing_whitespace
            said = end.with_changes(
                whitespace=cst.SimpleWhitespace("  "), comment=end.comment or self._next()
            )
            return self._under_comment(updated_node.with_changes(trailing_whitespace=said))
        if isinstance(updated_node, cst.BaseCompoundStatement):
            return self._under_comment(updated_node)
        return updated_node

    def _under_comment(self, line: _Line) -> _Line:
        above = [*getattr(line, "leading_lines", ()), cst.EmptyLine(comment=self._next())]
        return line.with_changes(leading_lines=above)


def decorators(case: Case) -> Case | None:
    """Every decorated function gets two decorators more, which do nothing."""
    program = Program(case)
    name = program.free("same")
    dressed = cst.ensure_type(program.module.visit(_Decorators(name)), cst.Module)
    if dressed.code == program.module.code:
        return None
    index = first_code(dressed.body)
    code = f"def {name}(function):\n    return function"
    leading = [cst.EmptyLine(indent=False)] * 2
    helper = statement(code).with_changes(leading_lines=leading)
    return program.spelled(rebuilt(dressed, [*dressed.body[:index], helper, *dressed.body[index:]]))


class _Decorators(cst.CSTTransformer):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        if not updated_node.decorators:
            return updated_node
        same = cst.Decorator(cst.Name(self._name))
        return updated_node.with_changes(decorators=[same, *updated_node.decorators, same])


def multi_line(case: Case) -> Case | None:
    """Each argument of each call on a line of its own, with comments and a trailing comma."""
    program = Program(case)
    return program.spelled(
        cst.ensure_type(program.module.visit(_Calls(program.module)), cst.Module)
    )


class _Calls(cst.CSTTransformer):
    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self._module = module
        self._depth = 0
        self._count = 0

    def visit_FormattedString(self, node: cst.FormattedString) -> bool:
        return False  # no line may end in it

    def visit_Call(self, node: cst.Call) -> bool:
        self._depth += 1
        # A call that has lines and comments already stays as it is, with all in it.
        return "\n" not in self._module.code_for_node(node)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        self._depth -= 1
        args = updated_node.args
        bare = any(isinstance(a.value, cst.GeneratorExp) and not a.value.lpar for a in args)
        if not args or bare or "\n" in self._module.code_for_node(original_node):
            return updated_node
        broken = [
            argument.with_changes(
                comma=cst.Comma(whitespace_after=self._gap(self._depth + (not last))),
                whitespace_after_arg=_NONE,
            )
            for argument, last in _with_last(args)
        ]
        return updated_node.with_changes(
            whitespace_before_args=self._gap(self._depth + 1), args=broken
        )

    def _gap(self, depth: int) -> cst.ParenthesizedWhitespace:
        self._count += 1
        said = cst.TrailingWhitespace(
            whitespace=cst.SimpleWhitespace("  "), comment=cst.Comment(f"# gap {self._count}")
        )
        indent = cst.SimpleWhitespace(_STEP.value * depth)
        return cst.ParenthesizedWhitespace(said, indent=True, last_line=indent)


def _with_last(args: Sequence[cst.Arg]) -> list[tuple[cst.Arg, bool]]:
    return [(argument, argument is args[-1]) for argument in args]


def parenthesised(case: Case) -> Case | None:
    """`app = (FastAPI(...))`, and parentheses around what is mounted."""
    program = Program(case)
    return program.spelled(cst.ensure_type(program.module.visit(_Parentheses()), cst.Module))


class _Parentheses(cst.CSTTransformer):
    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        _, value = assigned(updated_node)
        if isinstance(updated_node, cst.Arg) and updated_node.star == "":
            value = updated_node.value
        if isinstance(value, cst.Call) and not value.lpar:
            around = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
            return updated_node.with_changes(value=value.with_changes(**around))
        return updated_node


_PARAMETERS = {
    "mount": ("path", "app", "name"),
    "include_router": ("router",),
    "http_app": ("path",),
    "add_middleware": ("middleware_class",),
    "add_api_route": ("path", "endpoint"),
    "add_route": ("path", "route"),
    "FastMCP": ("name", "instructions"),
    "MCPServer": ("name",),
    "Mount": ("path", "app"),
}
_ROUTES = ("get", "post", "put", "delete", "api_route", "websocket")


def keywords(case: Case) -> Case | None:
    """Keywords where arguments go by their place."""
    program = Program(case)
    return program.spelled(cst.ensure_type(program.module.visit(_Keywords()), cst.Module))


class _Keywords(cst.CSTTransformer):
    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        func = original_node.func
        name = func.attr if isinstance(func, cst.Attribute) else func
        called = name.value if isinstance(name, cst.Name) else ""
        return _with_keywords(updated_node, _PARAMETERS.get(called, ()))

    def leave_Decorator(
        self, original_node: cst.Decorator, updated_node: cst.Decorator
    ) -> cst.Decorator:
        call = updated_node.decorator
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
            return updated_node
        names = ("path",) if call.func.attr.value in _ROUTES else ()
        return updated_node.with_changes(decorator=_with_keywords(call, names))


def _with_keywords(call: cst.Call, names: Sequence[str]) -> cst.Call:
    args = list(call.args)
    for index, name in enumerate(names[: len(args)]):
        if args[index].keyword is None and args[index].star == "":
            equal = cst.AssignEqual(_NONE, _NONE)
            args[index] = args[index].with_changes(keyword=cst.Name(name), equal=equal)
    return call.with_changes(args=args)


def one_line(case: Case) -> Case | None:
    """Statements joined by semicolons, and bodies on the line of their `def`."""
    program = Program(case)
    joined = program.module.visit(_OneLine())
    return program.spelled(cst.ensure_type(joined, cst.Module))


class _OneLine(cst.CSTTransformer):
    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        return updated_node.with_changes(body=_joined(updated_node.body))

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock | cst.SimpleStatementSuite:
        body = _joined(updated_node.body)
        only = body[0]
        plain = len(body) == 1 and not updated_node.header.comment and not updated_node.footer
        if plain and isinstance(only, cst.SimpleStatementLine) and not only.leading_lines:
            return cst.SimpleStatementSuite(
                body=only.body, trailing_whitespace=only.trailing_whitespace
            )
        return updated_node.with_changes(body=body)


def _joined(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    done: list[cst.BaseStatement] = []
    for line in body:
        last = done[-1] if done else None
        if _compact(line) and last is not None and _compact(last, opening=True):
            first, second = (cst.ensure_type(x, cst.SimpleStatementLine) for x in (last, line))
            *rest, final = first.body
            final = final.with_changes(semicolon=cst.Semicolon(whitespace_after=_SPACE))
            tail = second.trailing_whitespace
            joint = [*rest, final, *second.body]
            done[-1] = first.with_changes(body=joint, trailing_whitespace=tail)
        else:
            done.append(line)
    return done


def _compact(line: Line | cst.BaseStatement, *, opening: bool = False) -> bool:
    """Whether a line may share one: it is no import, and no comment would be lost."""
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    above = () if opening else line.leading_lines
    imports = any(isinstance(small, cst.Import | cst.ImportFrom) for small in line.body)
    said = opening and line.trailing_whitespace.comment
    return not imports and not said and not any(blank.comment for blank in above)
