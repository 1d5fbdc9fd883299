"""MCP served, or guarded, in a way that an entrypoint can't show whole: each refused by itself."""

import ast

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.bindings import Function, Scope
from mcp_auth_retrofit.wiring.names import BY_HAND, FASTMCP, Module, argument, dotted, is_transport
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.own_guards import Guard, guard_of_server, scope_of
from mcp_auth_retrofit.wiring.proof import prove


def refuse_other_ways(module: Module) -> None:
    """Raises Refused where MCP is served, or guarded, in a way this file can't show us whole."""
    _refuse_own_guards(module)
    for node in nodes(module.tree):
        if not isinstance(node, ast.Call):
            continue
        origin = module.names.called(node) or ""
        if origin == "starlette.applications.Starlette":
            _refuse_outer_app(module, node)
        if is_transport(origin):
            raise Refused(_by_hand(module, node))
        if origin == "ray.serve.ingress" and not _is_maker(module, argument(node, 0, "app")):
            raise Refused(_pickled(node.lineno))


def refuse_client(module: Module) -> None:
    """Raises Refused where the file asks Scalekit about tokens, and not as the recipe does.

    A client that signs people in to the app's own pages is none of our business.
    """
    asks = any(name.startswith("validate_") for name in module.names.attributes)
    for node in nodes(module.tree) if asks else ():
        origin = module.names.called(node) or ""
        if origin.startswith("scalekit.") and origin.endswith("ScalekitClient"):
            raise Refused(
                Reason(
                    "recipe-present",
                    "This file talks to Scalekit by itself (ScalekitClient), and not in a "
                    "middleware as the published recipe has it.",
                    "Remove the hand-written check, its client and its metadata route, and run "
                    "apply again.",
                    getattr(node, "lineno", None),
                )
            )


def _by_hand(module: Module, call: ast.Call) -> Reason:
    name = (module.names.called(call) or "").rpartition(".")[2]
    return Reason(
        "low-level-transport",
        f"MCP is wired by hand here, with `{name}`: which paths lead to it can't be told.",
        "Serve the tools with FastMCP and mount its http_app(), or put "
        f"ScalekitAuthMiddleware(...) around each ASGI app that answers for MCP. {BY_HAND}",
        call.lineno,
    )


def _is_maker(module: Module, given: ast.expr | None) -> bool:
    """Whether what Ray Serve is given makes the app where it runs."""
    bound = module.names.bound.get(dotted(given) or "", [])
    return bool(bound) and all(isinstance(one, Function) for one in bound)


def _pickled(line: int) -> Reason:
    return Reason(
        "app-pickled",
        "Ray Serve pickles the app it is given, and an MCP server can't be pickled.",
        "Give serve.ingress() a function that makes the app, and run apply again.",
        line,
    )


def _refuse_outer_app(module: Module, call: ast.Call) -> None:
    """`Starlette(routes=[Mount("/mcp", mcp_app), Mount("/", api)])`: nothing of it is FastAPI's."""
    routes = argument(call, 1, "routes")
    for node in ast.walk(routes) if routes is not None else ():
        named = module.names.called(node) or ""
        if named.endswith(".Mount") and isinstance(node, ast.Call):
            mounted = argument(node, 1, "app")
            if prove(Scope(module), mounted) is not None:
                raise Refused(
                    Reason(
                        "outer-starlette",
                        "MCP is mounted by a Starlette app that stands around the FastAPI app.",
                        'Mount it on the FastAPI app, app.mount("/mcp", mcp_app), serve that one '
                        "and give it the lifespan, and run apply again.",
                        node.lineno,
                    )
                )


def _refuse_own_guards(module: Module) -> None:
    """Servers that ask for tokens themselves: all of them, some of them, or perhaps."""
    made = [
        node
        for node in nodes(module.tree)
        if isinstance(node, ast.Call) and module.names.called(node) in FASTMCP
    ]
    guards = {call: guard_of_server(scope_of(module, call), call) for call in made}
    guarded = [call for call in made if guards[call] != "none"]
    if guarded and len(guarded) < len(made):
        raise Refused(partly_guarded(guarded[0].lineno))
    if guarded:
        raise Refused(has_own_guard(guarded[0].lineno, guards[guarded[0]]))


def partly_guarded(line: int) -> Reason:
    """Some servers ask for tokens themselves, some do not."""
    return Reason(
        "guard-unclear",
        "Of the MCP servers here this one has a guard of its own, and another has none.",
        "Take `auth=` away and run apply again, or give it to all of them.",
        line,
    )


def has_own_guard(line: int, guard: Guard = "own") -> Reason:
    """The server asks for tokens itself, or may."""
    if guard == "unclear":
        return Reason(
            "guard-unclear",
            "The server's own guard may be off: what stands behind `auth=` can be None, and then "
            "MCP is open to everybody.",
            "See to it that it never is, or take `auth=` away and run apply again.",
            line,
        )
    return Reason(
        "guarded-otherwise",
        "The server has its own guard: FastMCP(auth=...).",
        "Keep that one, or take `auth=` away and run apply again.",
        line,
    )
