"""The app's part of a module moved into a block: a factory, an `if`, a `try`."""

import ast
from collections.abc import Sequence

import libcst as cst

from harness.cases import Case
from harness.spellings.program import Line, Program, assigned, first_code, nodes, rebuilt, statement

_BLANK = cst.EmptyLine(indent=False)


def factory(case: Case) -> Case | None:
    """All from the app on becomes the body of `create_app()`, which is called behind it."""
    program = Program(case)
    return _in_factory(program, _from_app(program))


def factory_of_all(case: Case) -> Case | None:
    """All behind the imports becomes the body of `create_app()`, which is called behind it."""
    program = Program(case)
    return _in_factory(program, first_code(program.module.body))


def _in_factory(program: Program, start: int | None) -> Case | None:
    case, body = program.case, program.module.body
    if start is None or case.factory or not case.app.isidentifier():
        return None
    end = _end(program, start)
    if not _may_be_local(program, start, end):
        return None
    name = program.free("create_app", "build")
    typed = "FastAPI" in _bound(ast.parse(rebuilt(program.module, body[:start]).code).body)
    head = f"def {name}() -> FastAPI:" if typed else f"def {name}():"
    inner = [*body[start:end], statement(f"return {case.app}").with_changes(leading_lines=[_BLANK])]
    made = cst.ensure_type(statement(f"{head}\n    pass"), cst.FunctionDef)
    wrapped = made.with_changes(
        body=cst.IndentedBlock(_flush(inner)), leading_lines=[_BLANK, _BLANK]
    )
    call = statement(f"{case.app} = {name}()").with_changes(leading_lines=[_BLANK, _BLANK])
    return program.spelled(rebuilt(program.module, [*body[:start], wrapped, call, *body[end:]]))


def if_true(case: Case) -> Case | None:
    """All from the app on stands in an `if`."""
    return _in_block(case, "if not False:\n    pass")


def try_finally(case: Case) -> Case | None:
    """All from the app on stands in a `try`."""
    return _in_block(case, "try:\n    pass\nfinally:\n    pass")


def _in_block(case: Case, code: str) -> Case | None:
    program = Program(case)
    body, start = program.module.body, _from_app(program)
    if start is None:
        return None
    end = _end(program, start)
    block = cst.IndentedBlock(_flush(body[start:end]))
    wrapped = statement(code).with_changes(body=block, leading_lines=[_BLANK])
    return program.spelled(rebuilt(program.module, [*body[:start], wrapped, *body[end:]]))


def mount_in_if(case: Case) -> Case | None:
    """The mount of MCP stands alone in an `if`."""
    program = Program(case)
    mounts = _Mounts(program)
    module = cst.ensure_type(program.module.visit(mounts), cst.Module)
    if not mounts.found:
        return None
    index = first_code(module.body)
    switch = statement(f"{mounts.switch} = True").with_changes(leading_lines=[_BLANK])
    return program.spelled(rebuilt(module, [*module.body[:index], switch, *module.body[index:]]))


class _Mounts(cst.CSTTransformer):
    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program
        self.switch = program.free("ENABLED", "SERVES_TOOLS")
        self.found = False

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Line:
        only = original_node.body[0]
        call = only.value if isinstance(only, cst.Expr) else None
        if len(original_node.body) > 1 or not isinstance(call, cst.Call):
            return updated_node
        mounts = isinstance(call.func, cst.Attribute) and call.func.attr.value == "mount"
        held = [
            inner
            for inner in nodes(call)
            if self._program.role(inner) == "mcp_app"
            or self._program.roles.get(getattr(inner, "value", None) or "") == "mcp_app"
        ]
        if not mounts or not held:
            return updated_node
        self.found = True
        inner = cst.IndentedBlock([updated_node.with_changes(leading_lines=[])])
        leading = updated_node.leading_lines
        return cst.If(cst.Name(self.switch), inner, leading_lines=leading)


def _flush(body: Sequence[cst.CSTNode]) -> list[cst.BaseStatement]:
    """The lines of a block: empty ones without blanks, and none of them above the first."""
    first, *rest = (line.visit(_Empty()) for line in body)
    leading = [line for line in getattr(first, "leading_lines", ()) if line.comment]
    # visit() may give a sentinel or None by its type; _Empty gives neither.
    return [first.with_changes(leading_lines=leading), *rest]  # type: ignore[list-item,union-attr]


class _Empty(cst.CSTTransformer):
    def leave_EmptyLine(
        self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine
    ) -> cst.EmptyLine:
        return updated_node.with_changes(indent=updated_node.comment is not None)


def _from_app(program: Program) -> int | None:
    """The index of the first line that has to do with making the app."""
    case = program.case
    for index, line in enumerate(program.module.body):
        for node in nodes(line):
            target, value = assigned(node)
            named = isinstance(target, cst.Name) and target.value == case.app
            if program.role(value) == "app" or named:
                return index
    return None


def _end(program: Program, start: int) -> int:
    """The index of the first line behind `start` that is `if __name__ == "__main__":`."""
    body = program.module.body
    guards = (i for i, line in enumerate(body) if i > start and isinstance(line, cst.If))
    texts = {i: program.module.code_for_node(cst.ensure_type(body[i], cst.If).test) for i in guards}
    return min((i for i, text in texts.items() if "__name__" in text), default=len(body))


def _may_be_local(program: Program, start: int, end: int) -> bool:
    """Whether lines mean the same as locals: nobody else reads what they bind, save the app."""
    module, body = program.module, program.module.body
    inside = ast.parse(rebuilt(module, body[start:end]).code)
    above = ast.parse(rebuilt(module, body[:start]).code)
    below = ast.parse(rebuilt(module, body[end:]).code)
    bound = _bound(inside.body)
    if program.case.app not in bound or bound & (_read(above) | _bound(above.body)):
        return False
    if (bound - {program.case.app}) & _read(below):
        return False
    if any(isinstance(node, ast.Global) for node in ast.walk(inside)):
        return False
    # Annotations that are strings are read with the module's names alone.
    return "annotations" not in _bound(above.body) or not bound & _annotated(inside)


def _bound(body: Sequence[ast.stmt]) -> set[str]:
    found: set[str] = set()
    pending: list[ast.AST] = [*body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            pending += ast.iter_child_nodes(node)
    return found


def _read(tree: ast.AST) -> set[str]:
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return read | {name for n in ast.walk(tree) if isinstance(n, ast.Global) for name in n.names}


def _annotated(tree: ast.AST) -> set[str]:
    annotations = [getattr(n, f, None) for n in ast.walk(tree) for f in ("annotation", "returns")]
    return {name for annotation in annotations if annotation for name in _read(annotation)}
