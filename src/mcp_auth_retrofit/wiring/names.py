"""What a name stands for: imports and their aliases, names bound once, literals behind names."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcp_auth_retrofit.wiring.nodes import nodes

FASTAPI = frozenset({"fastapi.FastAPI", "fastapi.applications.FastAPI"})
FASTMCP = frozenset({"fastmcp.FastMCP", "fastmcp.server.FastMCP", "fastmcp.server.server.FastMCP"})
OFFICIAL = frozenset(
    {
        "mcp.server.FastMCP",
        "mcp.server.fastmcp.FastMCP",
        "mcp.server.fastmcp.server.FastMCP",
        "mcp.server.MCPServer",
        "mcp.server.mcpserver.MCPServer",
    }
)
HELPER = "scalekit_auth"
GUARD = "ScalekitAuthMiddleware"
BY_HAND = "(`mcp-auth-retrofit helper` writes what that needs, and says how.)"


def is_transport(origin: str) -> bool:
    """`mcp.server.sse.SseServerTransport` and its kin: MCP wired by hand."""
    module, _, name = origin.rpartition(".")
    return module.startswith("mcp.server.") and name in (
        "SseServerTransport",
        "StreamableHTTPServerTransport",
        "StreamableHTTPSessionManager",
    )


class Names:
    """The names of one module.

    An import counts wherever it stands, since real files import in `try:`, `if` and factories;
    a name that is also bound by something else stands for nothing we can be sure of.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.imported: dict[str, str] = {}
        self.bound: dict[str, list[ast.AST]] = {}
        self.taken: set[str] = set()
        self.attributes: set[str] = set()
        """What follows a dot anywhere."""
        self.strings: dict[str, str] = {}
        self.parameters: set[str] = set()
        self.lines: dict[str, int] = {}
        """Where a name is imported first."""
        self.narrow: dict[str, str] = {}
        """Imports that only the type checker or a single function sees."""
        typing_only, local = _narrow_imports(tree)
        for node in nodes(tree):
            if isinstance(node, ast.Attribute):
                self.attributes.add(node.attr)
            self._note(node, typing_only=id(node) in typing_only, local=id(node) in local)
        self._forget_absent(tree)
        for statement in tree.body:
            match statement:
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))
                ) | (
                    ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
                ) if len(self.bound.get(name, ())) == 1:
                    self.strings[name] = text

    def _forget_absent(self, tree: ast.Module) -> None:
        """`FastMCP = None`, where its import fails, does not make the name another thing."""
        absent = {
            id(target)
            for node in nodes(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and node.value.value is None
            for target in node.targets
        }
        for name in self.imported.keys() & self.bound.keys():
            left = [node for node in self.bound[name] if id(node) not in absent]
            self.bound[name] = left
            if not left:
                del self.bound[name]

    def _note(self, node: ast.AST, *, typing_only: bool, local: bool) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                for name, origin in imports_of(node):
                    self.taken.add(name)
                    self.lines.setdefault(name, node.lineno)
                    if typing_only or local:
                        self.narrow.setdefault(name, origin)
                    if not typing_only:
                        first = self.imported.setdefault(name, origin)
                        if first != origin and HELPER in f"{first}.{origin}".split("."):
                            self._bind(name, node)  # a second import makes a guard doubtful
            case ast.Name(id=name, ctx=context):
                self.taken.add(name)
                if not isinstance(context, ast.Load):
                    self.bound.setdefault(name, []).append(node)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                self._bind(name, node)
            case ast.arg(arg=name):
                # A parameter hides the outer name only inside its function.
                self.taken.add(name)
                self.parameters.add(name)
            case ast.ExceptHandler(name=str(name)):
                self._bind(name, node)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self.taken.update(names)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bind(name, node)

    def _bind(self, name: str, node: ast.AST) -> None:
        self.taken.add(name)
        self.bound.setdefault(name, []).append(node)

    def origin(self, expression: ast.AST | None) -> str | None:
        """The dotted name behind `fa.FastAPI`, through the file's imports; None when unsure."""
        match expression:
            case ast.Name(id=name):
                return self.imported.get(name) if name not in self.bound else None
            case ast.Attribute(value=value, attr=attr):
                inner = self.origin(value)
                return f"{inner}.{attr}" if inner else None
        return None

    def called(self, expression: ast.AST | None) -> str | None:
        """The dotted name of what a call calls."""
        return self.origin(expression.func) if isinstance(expression, ast.Call) else None

    def text(self, expression: ast.AST | None) -> str | None:
        """A literal string, or a module constant that is bound to one and to nothing else."""
        match expression:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self.strings.get(name)
        return None

    def local_name(self, origins: frozenset[str], before: int) -> str | None:
        """How the file spells one of these above a line: `FastMCP`, `fm.FastMCP`, an alias."""
        for local, origin in self.imported.items():
            late = self.lines[local] >= before
            if late or local in self.bound or local in self.narrow:
                continue
            if origin in origins:
                return local
            # A module inside the imported one need not be there: what is in it is imported anew.
            named = [name for name in sorted(origins) if name.rpartition(".")[0] == origin]
            if named:
                return f"{local}.{named[0].rpartition('.')[2]}"
        return None


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(local name, dotted origin) of each name that an import binds."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            local = alias.asname or alias.name.partition(".")[0]
            yield local, alias.name if alias.asname else local
        else:
            origin = "." * node.level + (node.module or "")
            joint = "" if origin.endswith(".") else "."
            yield alias.asname or alias.name, f"{origin}{joint}{alias.name}"


def _narrow_imports(tree: ast.Module) -> tuple[set[int], set[int]]:
    """Imports under `if TYPE_CHECKING:`, and imports inside functions, by node id."""
    typing_only: set[int] = set()
    local: set[int] = set()
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            local |= set(_imports_in(node.body))
        elif isinstance(node, ast.If) and (dotted(node.test) or "").endswith("TYPE_CHECKING"):
            typing_only |= set(_imports_in(node.body))
    return typing_only, local


def _imports_in(body: list[ast.AST] | list[ast.stmt]) -> Iterator[int]:
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield id(statement)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(statement, field, None)
            if isinstance(inner, list):  # the body of a lambda or of `a if b else c` is none
                yield from _imports_in(inner)


def has_keyword(call: ast.Call, keyword: str) -> bool:
    """Whether a call is given something by this name; None counts as nothing."""
    value = argument(call, None, keyword)
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


@dataclass(frozen=True, eq=False)
class Module:
    """One source file, parsed."""

    path: Path
    tree: ast.Module
    names: Names


def is_helper(path: Path, module: str) -> bool:
    """Whether an imported module is the helper beside this file, and no namesake elsewhere."""
    *package, name = module.lstrip(".").split(".")
    dots = len(module) - len(module.lstrip("."))
    if name != HELPER or dots > 1 or (dots and package):
        return False
    return not package or list(path.parent.parts[-len(package) :]) == package


def dotted(expression: ast.AST | None) -> str | None:
    """`app`, `self.app` or `tools.mcp` as it is spelled; None for what is no plain name."""
    match expression:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            inner = dotted(value)
            return f"{inner}.{attr}" if inner else None
    return None


def argument(call: ast.Call, position: int | None, keyword: str) -> ast.expr | None:
    """A call's argument by position or by name."""
    for given in call.keywords:
        if given.arg == keyword:
            return given.value
    if position is not None and position < len(call.args):
        return call.args[position]
    return None


def is_literal(value: ast.expr) -> bool:
    """Made of literals alone: no name, no call."""
    return not any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(value))


def blocks(statement: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The lists of statements directly inside one that runs them in its own scope."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for field in ("body", "orelse", "finalbody"):
        inner = getattr(statement, field, None)
        if inner:
            yield field, inner
    for index, handler in enumerate(getattr(statement, "handlers", ())):
        yield f"handlers.{index}", handler.body
    for index, case in enumerate(getattr(statement, "cases", ())):
        yield f"cases.{index}", case.body


def is_main_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, either way round."""
    match statement:
        case ast.If(
            test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]),
        ):
            sides = {ast.dump(left), ast.dump(right)}
            return ast.dump(ast.Name("__name__", ast.Load())) in sides
    return False
