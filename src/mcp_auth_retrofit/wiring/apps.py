"""Finding the FastAPI app of an entrypoint: one that has a name and a block it lives in."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import App, Place
from mcp_auth_retrofit.wiring.names import FASTAPI, FASTMCP, Module, argument, blocks
from mcp_auth_retrofit.wiring.routers import REGISTERS, calls_on, target

Function = ast.FunctionDef | ast.AsyncFunctionDef
Trouble = tuple[str, str] | None
_PROVIDER = (
    "Give FastMCP's own ScalekitProvider to the server: FastMCP(auth=ScalekitProvider(...))."
)

_MAKE_ONE = (
    "Make the app in one statement, `app = FastAPI(...)`, at module level or directly in one "
    "factory function, and run apply again."
)


@dataclass(frozen=True, eq=False)
class _Made:
    """One FastAPI() call and what becomes of it."""

    call: ast.Call
    name: str | None
    place: Place
    functions: tuple[Function, ...]
    trouble: Trouble
    """(code, what is in the way) when this app's block can't be read as one street."""


def find_app(module: Module, wanted: str | None) -> App:
    """The app that is to be guarded.

    Raises Refused when there is none, when there are several and nothing tells them apart, or
    when it is made in a way whose order can't be followed.
    """
    made = list(_made(module))
    if not made:
        raise Refused(_none(module))
    if wanted is not None:
        chosen = [m for m in made if m.name == wanted]
        if not chosen:
            names = ", ".join(sorted({m.name for m in made if m.name})) or "none with a name"
            raise Refused(
                Reason(
                    "no-such-app",
                    f"No `{wanted} = FastAPI(...)` in this file.",
                    f"Apps made here: {names}.",
                )
            )
        made = chosen
    made = _without_subapps(module, made)
    if len(made) > 1:
        mounting = [m for m in made if m.name and _mounts_mcp(module, m)]
        made = mounting if len(mounting) == 1 else made
    first = made[0]
    if len(made) > 1:
        raise Refused(_several(made))
    if first.trouble or first.name is None:
        code, message = first.trouble or (
            "app-not-named",
            "The FastAPI app is not bound to one plain name, as in `app = FastAPI(...)`.",
        )
        raise Refused(
            Reason(
                code,
                message,
                _MAKE_ONE,
                first.call.lineno,
            )
        )
    return _app(module, first, first.name)


def find_apps(module: Module) -> list[App]:
    """Every app that has a name and a block that can be followed."""
    return [
        _app(module, made, made.name) for made in _made(module) if made.name and not made.trouble
    ]


def _app(module: Module, made: _Made, name: str) -> App:
    return App(
        name,
        made.place,
        made.call,
        made.call.lineno,
        made.functions[-1] if made.functions else None,
        module.names.called(made.call) not in FASTAPI,
    )


def makes_app(module: Module, call: ast.Call) -> bool:
    """`FastAPI(...)`, or a subclass made in this file that registers nothing by itself."""
    if module.names.called(call) in FASTAPI:
        return True
    if not isinstance(call.func, ast.Name):
        return False
    bound = module.names.bound.get(call.func.id, [])
    made = bound[0] if len(bound) == 1 else None
    if not isinstance(made, ast.ClassDef):
        return False
    registers = any(verb in REGISTERS for _, verb in calls_on({"self"}, made))
    return not registers and any(module.names.origin(base) in FASTAPI for base in made.bases)


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
        bound = target(statement)
        match bound:
            case ast.Name(id=name):
                global_name = ("app-global", f"The factory makes a global of the app, `{name}`.")
                shared = functions and name in _globals(functions[-1])
                yield _Made(value, name, place, functions, global_name if shared else trouble)
            case ast.Attribute():
                problem = (
                    "app-attribute",
                    f"The app is held in an attribute: `{ast.unparse(bound)} = FastAPI(...)`.",
                )
                yield _Made(value, None, place, functions, problem)
            case _:
                yield _Made(value, None, place, functions, None)
    for node in ast.walk(module.tree):
        unnamed = isinstance(node, ast.Call) and id(node) not in named
        if unnamed and makes_app(module, cast("ast.Call", node)):
            yield _Made(cast("ast.Call", node), None, (), (), None)


def _globals(function: Function) -> set[str]:
    return {name for n in ast.walk(function) if isinstance(n, ast.Global) for name in n.names}


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
        if isinstance(statement, Function):
            nested = ("app-nested", "The app is made in a function inside another function.")
            problem = trouble or (nested if functions else None)
            if statement.body[0].lineno == statement.lineno:
                problem = ("app-one-line", "The app is made in a function written on one line.")
            yield from _statements(statement.body, place, "body", (*functions, statement), problem)
        elif isinstance(statement, ast.ClassDef):
            problem = trouble or ("app-in-class", "The app is made inside a class.")
            yield from _statements(statement.body, place, "body", functions, problem)
        else:
            problem = trouble or (
                "app-conditional",
                "The app is made inside an `if`, `try`, `with` or loop.",
            )
            for name, inner in blocks(statement):
                yield from _statements(inner, place, name, functions, problem)


def _without_subapps(module: Module, made: list[_Made]) -> list[_Made]:
    """Leaves out apps that another app of this file mounts: requests reach them through it."""
    names = {m.name for m in made if m.name}
    mounted = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="mount")) if (
                owner in names
            ):
                given = argument(node, 1, "app")
                if isinstance(given, ast.Name) and given.id in names and given.id != owner:
                    mounted.add(given.id)
    return [m for m in made if m.name not in mounted] or made


def _mounts_mcp(module: Module, made: _Made) -> bool:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="mount")) if (
                owner == made.name
            ):
                if "mcp" in ast.unparse(node).lower():
                    return True
    return False


def _several(made: list[_Made]) -> Reason:
    names = {m.name for m in made}
    lines = ", ".join(str(m.call.lineno) for m in made)
    if len(names) == 1 and made[0].trouble:
        code, message = made[0].trouble
        return Reason(code, f"{message} Lines {lines}.", _MAKE_ONE, made[0].call.lineno)
    if len(names) == 1 and None not in names:
        return Reason(
            "app-bound-twice",
            f"`{made[0].name} = FastAPI(...)` stands more than once (lines {lines}).",
            "Keep one of them, or move one into a file of its own, and run apply again.",
            made[1].call.lineno,
        )
    known = ", ".join(f"`{m.name}`" for m in made if m.name) or "none of them has a name"
    return Reason(
        "several-apps",
        f"Several FastAPI apps are made here (lines {lines}): {known}.",
        "Name the one that serves MCP: --app NAME.",
        made[0].call.lineno,
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
