"""A case's entrypoint under way to another spelling: parsed, its names resolved to their scopes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import libcst as cst
from libcst.metadata import (
    Assignment,
    ClassScope,
    GlobalScope,
    MetadataWrapper,
    Scope,
    ScopeProvider,
)

from harness.cases import Case

Line = cst.SimpleStatementLine | cst.BaseCompoundStatement
Swaps = Mapping[cst.CSTNode, cst.CSTNode]
ROLES = {
    "FastAPI": "app",
    "FastMCP": "server",
    "MCPServer": "server",
    "from_fastapi": "server",
    "http_app": "mcp_app",
    "streamable_http_app": "mcp_app",
}
"""What the result of a call is, by the last part of the called name."""


class Program:
    """One case's entrypoint as LibCST has it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._wrapper = MetadataWrapper(cst.parse_module(case.before))
        self.module = self._wrapper.module

    @cached_property
    def scopes(self) -> set[Scope]:
        """Every scope of the file."""
        return {scope for scope in self._wrapper.resolve(ScopeProvider).values() if scope}

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """What imported names are called where they come from."""
        return {
            alias.evaluated_alias: alias.evaluated_name
            for alias in nodes(self.module)
            if isinstance(alias, cst.ImportAlias) and alias.evaluated_alias
        }

    def spelled(self, module: cst.Module, **changes: object) -> Case | None:
        """The case in this spelling; None when it is the spelling that it has."""
        text = module.bytes
        if text == self.case.before:
            return None
        return replace(self.case, text=text, **changes)  # type: ignore[arg-type]  # Case's fields

    def role(self, value: cst.CSTNode | None) -> str | None:
        """`app` for `FastAPI(...)` under whatever name it is imported, and so on; else None."""
        if not isinstance(value, cst.Call):
            return None
        name = self.module.code_for_node(value.func).rpartition(".")[2]
        return ROLES.get(self._aliases.get(name, name))

    @cached_property
    def roles(self) -> dict[str, str]:
        """The plain names that the file gives its app, its server and its MCP app."""
        found = {self.case.app.partition(".")[0]: "app"} if not self.case.factory else {}
        for node in nodes(self.module):
            target, value = assigned(node)
            role = self.role(value)
            if isinstance(target, cst.Name) and role:
                found[target.value] = role
        return found

    @property
    def taken(self) -> set[str]:
        """Every identifier of the file."""
        return {node.value for node in nodes(self.module) if isinstance(node, cst.Name)}

    def free(self, *names: str) -> str:
        """The first of these names that the file does not use, else the last, underscored."""
        return next((name for name in names if name not in self.taken), names[-1] + "_")

    def bindings(self, scope: Scope, name: str) -> list[Assignment]:
        """What binds a name in a scope."""
        return [a for a in scope.assignments if isinstance(a, Assignment) and a.name == name]

    def owners(self, name: str) -> list[Scope]:
        """The scopes, other than classes, that bind a name."""
        scopes = [s for s in self.scopes if not isinstance(s, ClassScope)]
        return [scope for scope in scopes if self.bindings(scope, name)]

    def is_global(self, scope: Scope) -> bool:
        """Whether a scope is the module's own."""
        return isinstance(scope, GlobalScope)


def uses(binding: Assignment) -> Iterator[cst.Name]:
    """The names that read a binding."""
    for access in binding.references:
        node: cst.CSTNode = access.node
        while isinstance(node, cst.Attribute):
            node = node.value
        if isinstance(node, cst.Name):
            yield node


def nodes(root: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all below it, in the order of the source."""
    yield root
    for child in root.children:
        yield from nodes(child)


def assigned(node: cst.CSTNode) -> tuple[cst.BaseExpression | None, cst.BaseExpression | None]:
    """(target, value) of an assignment to one thing."""
    if isinstance(node, cst.AnnAssign):
        return node.target, node.value
    if isinstance(node, cst.Assign) and len(node.targets) == 1:
        return node.targets[0].target, node.value
    return None, None


def swapped(module: cst.Module, swaps: Swaps) -> cst.Module:
    """The module with some of its nodes replaced."""
    return cst.ensure_type(module.visit(_Swap(swaps)), cst.Module)


class _Swap(cst.CSTTransformer):
    def __init__(self, swaps: Swaps) -> None:
        super().__init__()
        self._swaps = swaps

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        # A swap may be of another kind than what it replaces.
        return self._swaps.get(original_node, updated_node)  # type: ignore[return-value]


def is_import(line: cst.CSTNode) -> bool:
    """Whether a line imports, or is the docstring."""
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    first = line.body[0]
    if isinstance(first, cst.Expr):
        return isinstance(first.value, cst.SimpleString)
    return isinstance(first, cst.Import | cst.ImportFrom)


def first_code(body: Sequence[cst.CSTNode]) -> int:
    """The index of the first line of a module that is neither docstring nor import."""
    return next((i for i, line in enumerate(body) if not is_import(line)), len(body))


def statement(code: str) -> Line:
    """One statement from its text."""
    parsed = cst.parse_statement(code)
    assert isinstance(parsed, cst.SimpleStatementLine | cst.BaseCompoundStatement)
    return parsed


def rebuilt(module: cst.Module, body: Iterable[cst.CSTNode]) -> cst.Module:
    """The module with another body."""
    return module.with_changes(body=[*body])
