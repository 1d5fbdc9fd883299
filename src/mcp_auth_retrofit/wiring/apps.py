"""Finding the FastAPI app of an entrypoint: one that has a name and a block it lives in."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Function, Scope, assigned_in
from mcp_auth_retrofit.wiring.handed import local_names
from mcp_auth_retrofit.wiring.model import App
from mcp_auth_retrofit.wiring.names import (
    FASTAPI,
    FASTMCP,
    Module,
    argument,
    dotted,
    imports_of,
    is_main_guard,
)
from mcp_auth_retrofit.wiring.places import Place, all_blocks, on_the_way, statements_of
from mcp_auth_retrofit.wiring.proof import meanings, prove
from mcp_auth_retrofit.wiring.routers import REGISTERS, calls_on, target

Trouble = tuple[str, str] | None
_PROVIDER = (
    "Give FastMCP's own ScalekitProvider to the server: FastMCP(auth=ScalekitProvider(...))."
)

_MAKE_ONE = (
    "Make the app in one statement, `app = FastAPI(...)`, at module level or directly in one "
    "factory function, and run apply again."
)
_IMPORTS = ast.Import | ast.ImportFrom
_LOOPS = ast.For | ast.AsyncFor | ast.While


@dataclass(frozen=True, eq=False)
class _Made:
    """One place that an app comes from and what becomes of it."""

    call: ast.Call
    name: str | None
    place: Place
    functions: tuple[Function, ...]
    trouble: Trouble = None
    """(code, what is in the way) when this app's block can't be read as one street."""
    indirect: bool = False
    """No FastAPI() call: a function's result, or an import."""

    @property
    def line(self) -> int:
        return self.call.lineno


def find_app(module: Module, wanted: str | None) -> App:
    """The app that is to be guarded.

    Raises Refused when there is none, when there are several and nothing tells them apart, or
    when it is made in a way whose order can't be followed.
    """
    groups = _groups(module)
    if wanted is not None:
        chosen = [group for group in groups if group[0].name == wanted]
        if not chosen and groups:
            raise Refused(_no_such_app(wanted, groups))
        groups = chosen
    if not groups:
        raise Refused(_none(module))
    groups = _without_subapps(module, groups)
    if len(groups) > 1:
        mounting = [group for group in groups if _mounts_mcp(module, group)]
        groups = mounting if len(mounting) == 1 else groups
    if len(groups) > 1:
        raise Refused(_several(groups))
    app = _app(module, groups[0])
    if isinstance(app, Reason):
        raise Refused(app)
    return app


def find_apps(module: Module) -> list[App]:
    """Every app that has a name and a block that can be followed."""
    apps = [_app(module, group) for group in _groups(module)]
    return [app for app in apps if isinstance(app, App)]


def _groups(module: Module) -> list[list[_Made]]:
    """The apps of a file, each with all the places that its name is bound at.

    What a function returns, or another module has, is an app of this file only when MCP is
    mounted on it here.
    """
    direct = _grouped(_made(module))
    mounting = {
        dotted(node.func.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "mount"
    }
    mounting |= {dotted(argument(call, 0, "fastapi")) for call in _conversions(module)} - {None}
    others = mounting - {made.name for group in direct for made in group}
    if not others or any(_mounts_mcp(module, group) for group in direct):
        return direct
    indirect = _grouped(made for made in _received(module, others))
    return [group for group in indirect if _mounts_mcp(module, group)] or direct


def _grouped(made: Iterator[_Made]) -> list[list[_Made]]:
    groups: dict[object, list[_Made]] = {}
    for one in made:
        scope = one.functions[-1] if one.functions else None
        groups.setdefault((one.name, scope) if one.name else one, []).append(one)
    return list(groups.values())


def _app(module: Module, group: Sequence[_Made]) -> App | Reason:
    """The app in the innermost block that does everything to it, or why there is no such block."""
    last = group[-1]
    trouble = next((made.trouble for made in group if made.trouble), None)
    if last.name is None and trouble is None:
        trouble = (
            "app-not-named",
            "The FastAPI app is not bound to one plain name, as in `app = FastAPI(...)`.",
        )
    if trouble is not None or last.name is None:
        code, message = trouble or ("", "")
        return Reason(code, message, _MAKE_ONE, last.line)
    block = _home(module, last)
    depth = len(block) + 1
    makers = [made for made in group if made.place[: len(block)] == block]
    top = max((made.place[:depth] for made in makers), key=lambda place: place[-1][1])
    direct = any(made.place == top for made in makers)
    statements = statements_of(module.tree, block)
    holder = statements[top[-1][1]]
    if isinstance(holder, _IMPORTS):
        while isinstance(statements[top[-1][1] + 1], _IMPORTS):
            top = (*block, ("body", top[-1][1] + 1))
    if isinstance(holder, _LOOPS):
        return Reason("app-in-loop", "The app is made in a loop.", _MAKE_ONE, last.line)
    return App(
        last.name,
        top,
        last.call,
        last.line,
        last.functions,
        subclass=module.names.called(last.call) not in FASTAPI,
        indirect=last.indirect or not direct,
    )


def _home(module: Module, made: _Made) -> Place:
    """The innermost block that mentions the app, inside the function that makes it.

    Only a `body` counts: of what stands in an `else` or a handler, the `if` or `try` is the place.
    """
    around = list(on_the_way(module.tree, made.place))
    depth = max((len(p) for p, holder in around if holder in made.functions), default=0)
    while True:
        statements = statements_of(module.tree, made.place[:depth])
        inner = around[depth][1] if depth < len(around) - 1 else None
        mentioning = [
            s for s in statements if _mentions(s, made.name) and (s is inner or not _serves_only(s))
        ]
        if inner is None or mentioning != [inner] or made.place[depth + 1][0] != "body":
            return made.place[:depth]
        body = dict(all_blocks(inner)).get("body", [])
        outside = sum(_mentions(child, made.name) for child in ast.iter_child_nodes(inner))
        if isinstance(inner, _LOOPS) or outside != sum(_mentions(s, made.name) for s in body):
            return made.place[:depth]
        depth += 1


def _serves_only(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":` or `return app`: behind all that is done to the app."""
    returns = isinstance(statement, ast.Return) and dotted(statement.value) is not None
    return returns or is_main_guard(statement)


def _mentions(node: ast.AST, name: str | None) -> bool:
    """Whether a node reads or binds the app, not a parameter or local that is called the same."""
    if dotted(node) == name:
        return True
    inside: Iterator[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, Function) and name in local_names(node):
        inside = iter([*node.decorator_list, *ast.iter_child_nodes(node.args)])
    return any(_mentions(child, name) for child in inside)


def makes_app(module: Module, call: ast.Call) -> bool:
    """`FastAPI(...)`, or a subclass of the project's that registers nothing by itself."""
    if module.names.called(call) in FASTAPI:
        return True
    name = dotted(call.func)
    is_class = name is not None and name.rpartition(".")[2][:1].isupper()
    return is_class and _is_subclass(module, str(name))


@lru_cache(maxsize=1024)
def _is_subclass(module: Module, name: str) -> bool:
    where = module
    if name not in module.names.bound:
        found = siblings.follow(module, ast.parse(name, mode="eval").body)
        where, name = found or (module, name)
    bound = where.names.bound.get(name, [])
    made = bound[0] if len(bound) == 1 else None
    if not isinstance(made, ast.ClassDef):
        return False
    registers = any(verb in REGISTERS for _, verb in calls_on({"self"}, made))
    return not registers and any(where.names.origin(base) in FASTAPI for base in made.bases)


def _is_app(scope: Scope, expression: ast.AST | None, depth: int = 0) -> ast.Call | None:
    """The constructor's call that an expression leads to; None when it leads to none."""
    if isinstance(expression, ast.Call) and makes_app(scope.module, expression):
        return expression
    steps = [] if depth > 6 else list(meanings(scope, expression))
    found = [_is_app(there, value, depth + 1) for there, value in steps]
    return found[-1] if found and None not in found else None


def _received(module: Module, wanted: set[str | None]) -> Iterator[_Made]:
    """Apps that come ready, of these names: `app = create_app()`, `from core import app`."""
    for statement, place, functions, trouble in _statements(module.tree.body, (), "body", (), None):
        scope = Scope(module, functions)
        names: list[tuple[str | None, ast.expr]] = []
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            if not (isinstance(statement.value, ast.Call) and makes_app(module, statement.value)):
                names = [(dotted(target(statement)), statement.value)]
        elif isinstance(statement, ast.ImportFrom):
            names = [(name, ast.Name(name, ast.Load())) for name, _ in imports_of(statement)]
        for name, value in names:
            call = _is_app(scope, value) if name in wanted else None
            if call is not None:
                shown = ast.copy_location(ast.Call(ast.Name("FastAPI"), [], []), statement)
                yield _Made(shown, name, place, functions, trouble, indirect=True)


def _made(module: Module) -> Iterator[_Made]:
    named: set[int] = set()
    for statement, place, functions, trouble in _statements(module.tree.body, (), "body", (), None):
        value = getattr(statement, "value", None)
        if not (
            isinstance(statement, ast.Assign | ast.AnnAssign)
            and isinstance(value, ast.Call)
            and makes_app(module, value)
        ):
            continue
        named.add(id(value))
        name = dotted(target(statement))
        yield _Made(value, name, place, functions, _trouble(name, functions) or trouble)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and id(node) not in named and makes_app(module, node):
            yield _Made(node, None, (), ())


def _trouble(name: str | None, functions: tuple[Function, ...]) -> Trouble:
    nodes = ast.walk(functions[-1]) if functions else ()
    if any(name in node.names for node in nodes if isinstance(node, ast.Global)):
        return "app-global", f"The factory makes a global of the app, `{name}`."
    if name and "." in name and not name.startswith("self."):
        return "app-attribute", f"The app is held in an attribute: `{name}`."
    return None


def _statements(
    body: list[ast.stmt],
    block: Place,
    field: str,
    functions: tuple[Function, ...],
    trouble: Trouble,
) -> Iterator[tuple[ast.stmt, Place, tuple[Function, ...], Trouble]]:
    """Every statement with its place, its functions, and what makes its block unreadable."""
    for index, statement in enumerate(body):
        place = (*block, (field, index))
        yield statement, place, functions, trouble
        inside, problem = functions, trouble
        if isinstance(statement, Function):
            inside, problem = (*functions, statement), None
            if statement.body[0].lineno == statement.lineno:
                problem = ("app-one-line", "The app is made in a function written on one line.")
        elif isinstance(statement, ast.ClassDef):
            problem = ("app-in-class", "The app is made inside a class, in none of its methods.")
        for name, inner in all_blocks(statement):
            yield from _statements(inner, place, name, inside, problem)


def _without_subapps(module: Module, groups: list[list[_Made]]) -> list[list[_Made]]:
    """Leaves out apps that another app of this file mounts: requests reach them through it."""
    names = {group[0].name for group in groups if group[0].name}
    mounted = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="mount" | "add_route" as verb)) if (
                dotted(owner) in names
            ):
                given = argument(node, 1, "app" if verb == "mount" else "route")
                while isinstance(given, ast.Call) and given.args:
                    given = given.args[0]
                if dotted(given) in names and dotted(given) != dotted(owner):
                    mounted.add(dotted(given))
    return [group for group in groups if group[0].name not in mounted] or groups


def _conversions(module: Module) -> list[ast.Call]:
    """Every `FastApiMCP(app)`."""
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    return [c for c in calls if (module.names.called(c) or "").endswith(".FastApiMCP")]


def _elsewhere(module: Module, node: ast.AST, name: str, group: Sequence[_Made]) -> bool:
    """Whether a node stands in a function, none of the group's, with an app of its own by that
    name. What a function is handed under it may well be the group's.
    """
    functions = [f for f in ast.walk(module.tree) if isinstance(f, Function)]
    own = {made.functions[-1] for made in group if made.functions}
    around = [f for f in functions if name in assigned_in(f) and node in ast.walk(f)]
    return bool(around) and around[-1] not in own


def _mounts_mcp(module: Module, group: Sequence[_Made]) -> bool:
    name = group[0].name
    if name and any(dotted(argument(c, 0, "fastapi")) == name for c in _conversions(module)):
        return True
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="mount")) if (
                name and dotted(owner) == name and not _elsewhere(module, node, name, group)
            ):
                scope = Scope(module, group[-1].functions)
                mounted = argument(node, 1, "app")
                while isinstance(mounted, ast.Call) and mounted.args and not prove(scope, mounted):
                    mounted = mounted.args[0]
                if "mcp" in ast.unparse(node).lower() or prove(scope, mounted):
                    return True
    return False


def _no_such_app(wanted: str, groups: list[list[_Made]]) -> Reason:
    names = ", ".join(sorted({group[0].name or "" for group in groups} - {""}))
    return Reason(
        "no-such-app",
        f"No `{wanted} = FastAPI(...)` in this file.",
        f"Apps made here: {names or 'none with a name'}.",
    )


def _several(groups: list[list[_Made]]) -> Reason:
    lines = ", ".join(str(made.line) for group in groups for made in group)
    names = dict.fromkeys(f"`{group[0].name}`" for group in groups if group[0].name)
    known = ", ".join(names) or "none of them has a name"
    first = groups[0][0]
    if len(names) == 1 and all(group[0].name for group in groups):
        return Reason(
            "app-bound-twice",
            f"`{first.name} = FastAPI(...)` stands in several functions (lines {lines}).",
            "Keep one of them, or move one into a file of its own, and run apply again.",
            groups[1][0].line,
        )
    return Reason(
        "several-apps",
        f"Several FastAPI apps are made here (lines {lines}): {known}.",
        "Name the one that serves MCP: --app NAME.",
        first.line,
    )


def _none(module: Module) -> Reason:
    """Why there is no FastAPI() call to be found, told from what the file has instead."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and any(
            module.names.origin(base) in FASTAPI for base in node.bases
        ):
            return Reason(
                "app-subclass",
                f"The app is made from a subclass of FastAPI, `{node.name}`.",
                "Make the app with FastAPI(...) itself, or guard the mount by hand: "
                'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app)).',
                node.lineno,
            )
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            for parameter in (*node.args.args, *node.args.kwonlyargs):
                if parameter.annotation and module.names.origin(parameter.annotation) in FASTAPI:
                    return Reason(
                        "app-is-parameter",
                        f"`{node.name}` is handed the app; it is made where this is called from.",
                        "Run apply on the file that makes the app. If that lies in other people's "
                        "hands, put ScalekitAuthMiddleware(...) around what is mounted here.",
                        node.lineno,
                    )
    imported = module.names.imported.get("app")
    if imported:
        return Reason(
            "app-elsewhere",
            f"No FastAPI() call here: `app` is imported from `{imported.rpartition('.')[0]}`.",
            "Run apply on the file that makes the app.",
        )
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and module.names.called(node) in FASTMCP:
            return Reason(
                "plain-fastmcp",
                "This is a FastMCP server of its own; there is no FastAPI app to retrofit.",
                _PROVIDER,
                node.lineno,
            )
    return Reason(
        "no-fastapi",
        "No FastAPI() call in this file.",
        "Run apply on the file that makes the app. For a FastMCP server without FastAPI: "
        + _PROVIDER,
    )
