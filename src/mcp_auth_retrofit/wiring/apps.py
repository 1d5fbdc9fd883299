"""Finding the FastAPI app of an entrypoint: one that has a name and a block it lives in."""

import ast
from collections.abc import Iterator, Sequence

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.app_makers import Made, made_here, received
from mcp_auth_retrofit.wiring.app_reasons import no_app, no_such_app, several_apps
from mcp_auth_retrofit.wiring.bindings import Function, Scope, assigned_in
from mcp_auth_retrofit.wiring.fastapi_mcp import conversions, made_of
from mcp_auth_retrofit.wiring.handed import local_names
from mcp_auth_retrofit.wiring.model import App
from mcp_auth_retrofit.wiring.names import (
    FASTAPI,
    Module,
    argument,
    dotted,
    is_main_guard,
)
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import Place, all_blocks, on_the_way, statements_of
from mcp_auth_retrofit.wiring.proof import prove

_MAKE_ONE = (
    "Make the app in one statement, `app = FastAPI(...)`, at module level or directly in one "
    "factory function, and run apply again."
)
_IMPORTS = ast.Import | ast.ImportFrom
_LOOPS = ast.For | ast.AsyncFor | ast.While


def find_app(module: Module, wanted: str | None) -> App:
    """The app that is to be guarded.

    Raises Refused when there is none, when there are several and nothing tells them apart, or
    when it is made in a way whose order can't be followed.
    """
    groups = _groups(module)
    if wanted is not None:
        chosen = [group for group in groups if group[0].name == wanted]
        if not chosen and groups:
            raise Refused(no_such_app(wanted, groups))
        groups = chosen
    if not groups:
        raise Refused(no_app(module))
    groups = _without_subapps(module, groups)
    if len(groups) > 1:
        mounting = [group for group in groups if _mounts_mcp(module, group)]
        groups = mounting if len(mounting) == 1 else groups
    if len(groups) > 1:
        raise Refused(several_apps(groups))
    app = _app(module, groups[0])
    if isinstance(app, Reason):
        raise Refused(app)
    return app


def find_apps(module: Module) -> list[App]:
    """Every app that has a name and a block that can be followed."""
    apps = [_app(module, group) for group in _groups(module)]
    return [app for app in apps if isinstance(app, App)]


def _groups(module: Module) -> list[list[Made]]:
    """The apps of a file, each with all the places that its name is bound at.

    What a function returns, or another module has, is an app of this file only when MCP is
    mounted on it here.
    """
    direct = _grouped(made_here(module))
    mounting = {
        dotted(node.func.value)
        for node in nodes(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "mount"
    }
    mounting |= {made_of(call) for call in conversions(module)} - {None}
    others = mounting - {made.name for group in direct for made in group}
    if not others or any(_mounts_mcp(module, group) for group in direct):
        return direct
    indirect = _grouped(made for made in received(module, others))
    return [group for group in indirect if _mounts_mcp(module, group)] or direct


def _grouped(made: Iterator[Made]) -> list[list[Made]]:
    groups: dict[object, list[Made]] = {}
    for one in made:
        scope = one.functions[-1] if one.functions else None
        groups.setdefault((one.name, scope) if one.name else one, []).append(one)
    return list(groups.values())


def _app(module: Module, group: Sequence[Made]) -> App | Reason:
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


def _home(module: Module, made: Made) -> Place:
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


def _without_subapps(module: Module, groups: list[list[Made]]) -> list[list[Made]]:
    """Leaves out apps that another app of this file mounts: requests reach them through it."""
    names = {group[0].name for group in groups if group[0].name}
    mounted = set()
    for node in nodes(module.tree):
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


def _elsewhere(module: Module, node: ast.AST, name: str, group: Sequence[Made]) -> bool:
    """Whether a node stands in a function, none of the group's, with an app of its own by that
    name. What a function is handed under it may well be the group's.
    """
    functions = [f for f in nodes(module.tree) if isinstance(f, Function)]
    own = {made.functions[-1] for made in group if made.functions}
    around = [f for f in functions if name in assigned_in(f) and node in ast.walk(f)]
    return bool(around) and around[-1] not in own


def _mounts_mcp(module: Module, group: Sequence[Made]) -> bool:
    name = group[0].name
    if name and any(made_of(call) == name for call in conversions(module)):
        return True
    for node in nodes(module.tree):
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
