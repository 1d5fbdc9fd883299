"""What can't be followed or must not be touched: each refusal with its reason and way out."""

import ast

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.names import FASTMCP, OFFICIAL, Module, argument

_BY_HAND = 'Wrap what is mounted by hand: app.mount("/mcp", ScalekitAuthMiddleware(mcp_app)).'


def unproved(module: Module, call: ast.Call, given: ast.expr) -> Reason:
    loops = [n for n in ast.walk(module.tree) if isinstance(n, ast.For | ast.While)]
    if any(call in ast.walk(loop) for loop in loops):
        return mount_in_loop(call.lineno)
    return Reason(
        "mcp-elsewhere",
        f"`{ast.unparse(given)}` looks like an MCP app, but nothing here proves what it is.",
        "If it is a FastMCP server's app, make it here: mcp_app = server.http_app("
        'path="/"), mount that, and name the server with --mcp NAME.',
        call.lineno,
    )


def mount_in_loop(line: int) -> Reason:
    """The refusal for mounts whose number only a run can tell."""
    return Reason(
        "mount-in-loop",
        "MCP is mounted in a loop: several servers, or one under several paths.",
        "Write the mounts out one by one.",
        line,
    )


def official_sdk(line: int) -> Reason:
    """The refusal for servers of the `mcp` package itself."""
    return Reason(
        "official-sdk",
        "This server is made with the official `mcp` SDK, whose HTTP app has no `.lifespan`.",
        "Make it with FastMCP (`from fastmcp import FastMCP`), or guard it by hand. " + _BY_HAND,
        line,
    )


def refuse_other_ways(module: Module) -> None:
    """Raises Refused where MCP is served, or guarded, in a way this file can't show us whole."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        origin = module.names.called(node) or ""
        if origin.startswith("fastapi_mcp."):
            raise Refused(
                Reason(
                    "fastapi-mcp",
                    "MCP is served by `FastApiMCP`, which registers its routes by itself.",
                    "Serve the same tools with FastMCP.from_fastapi(app) and mount its http_app(), "
                    "or use FastApiMCP's own auth_config.",
                    node.lineno,
                )
            )
        if origin in OFFICIAL:
            raise Refused(official_sdk(node.lineno))
        if origin.rpartition(".")[0] in FASTMCP and origin.endswith(
            (".from_fastapi", ".from_openapi")
        ):
            raise Refused(
                Reason(
                    "from-fastapi",
                    "The MCP server is made from the app itself (`FastMCP.from_fastapi`).",
                    "The app must be whole before the server exists: mount it by hand as the last "
                    "statement. " + _BY_HAND,
                    node.lineno,
                )
            )
        if origin in FASTMCP and _given(node, "auth"):
            raise Refused(
                Reason(
                    "guarded-otherwise",
                    "The server has its own guard: FastMCP(auth=...).",
                    "Keep that one, or take `auth=` away and run apply again.",
                    node.lineno,
                )
            )
        if origin.startswith("scalekit.") and origin.endswith("ScalekitClient"):
            raise Refused(
                Reason(
                    "recipe-present",
                    "This file already talks to Scalekit by itself (ScalekitClient).",
                    "Remove the hand-written middleware, its client and its metadata route, and "
                    "run apply again.",
                    node.lineno,
                )
            )


def _given(call: ast.Call, keyword: str) -> bool:
    value = argument(call, None, keyword)
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)
