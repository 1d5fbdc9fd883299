"""Why no app of a file can be guarded: what it has instead, and what to do."""

import ast

from mcp_auth_retrofit.results import Reason
from mcp_auth_retrofit.wiring.app_makers import Made
from mcp_auth_retrofit.wiring.bindings import Function
from mcp_auth_retrofit.wiring.names import BY_HAND, FASTAPI, FASTMCP, Module, dotted
from mcp_auth_retrofit.wiring.nodes import nodes

_PROVIDER = (
    "Give FastMCP's own ScalekitProvider to the server: FastMCP(auth=ScalekitProvider(...))."
)


def no_such_app(wanted: str, groups: list[list[Made]]) -> Reason:
    """No app has the name that is asked for."""
    names = ", ".join(sorted({group[0].name or "" for group in groups} - {""}))
    return Reason(
        "no-such-app",
        f"No `{wanted} = FastAPI(...)` in this file.",
        f"Apps made here: {names or 'none with a name'}.",
    )


def several_apps(groups: list[list[Made]]) -> Reason:
    """Several apps, and nothing tells which is meant."""
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


def _is_fastapi(module: Module, annotation: ast.expr | None) -> bool:
    """Whether an annotation names FastAPI, also in quotes, or imported for the type checker."""
    if isinstance(annotation, ast.Constant):
        name = str(annotation.value)
        return module.names.imported.get(name, module.names.narrow.get(name)) in FASTAPI
    named = module.names.origin(annotation)
    return (named or module.names.narrow.get(dotted(annotation) or "")) in FASTAPI


def no_app(module: Module) -> Reason:
    """Why there is no FastAPI() call to be found, told from what the file has instead."""
    for node in nodes(module.tree):
        if isinstance(node, ast.ClassDef) and any(
            module.names.origin(base) in FASTAPI for base in node.bases
        ):
            return Reason(
                "app-subclass",
                f"The app is made from a subclass of FastAPI, `{node.name}`.",
                "Make the app with FastAPI(...) itself, or guard the mount by hand: "
                f'app.mount("/mcp", ScalekitAuthMiddleware(mcp_app)). {BY_HAND}',
                node.lineno,
            )
    for node in nodes(module.tree):
        if isinstance(node, Function):
            for parameter in (*node.args.args, *node.args.kwonlyargs):
                if _is_fastapi(module, parameter.annotation):
                    return Reason(
                        "app-is-parameter",
                        f"`{node.name}` is handed the app; it is made where this is called from.",
                        "Run apply on the file that makes the app. If that lies in other people's "
                        "hands, put ScalekitAuthMiddleware(...) around what is mounted here. "
                        + BY_HAND,
                        node.lineno,
                    )
    imported = module.names.imported.get("app")
    if imported:
        return Reason(
            "app-elsewhere",
            f"No FastAPI() call here: `app` is imported from `{imported.rpartition('.')[0]}`.",
            "Run apply on the file that makes the app.",
        )
    for node in nodes(module.tree):
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
