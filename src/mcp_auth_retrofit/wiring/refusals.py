"""What can't be followed or must not be touched: each refusal with its reason and way out."""

import ast
import re

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount
from mcp_auth_retrofit.wiring.names import FASTAPI, FASTMCP, OFFICIAL, Module, argument, has_keyword
from mcp_auth_retrofit.wiring.routers import target
from mcp_auth_retrofit.wiring.scan import Scan

_SERVES = frozenset({"http_app", "streamable_http_app", "sse_app"})
_BY_HAND = 'Wrap what is mounted by hand: app.mount("/mcp", ScalekitAuthMiddleware(mcp_app)).'


def refuse_unproved_mounts(module: Module, seen: Scan, entry: Entrypoint) -> None:
    """Raises Refused for a mount that looks like MCP and can't be proved to be one alone."""
    proved = {id(mount.call) for mount in entry.mounts}
    for mount in entry.mounts:
        if mount.wrapped:
            raise Refused(_wrapped(mount))
    for call in seen.inner_mounts:
        if re.search("http_app|mcp", ast.unparse(call), re.IGNORECASE):
            raise Refused(_mount_elsewhere(seen.inner_mounts[call]))
    for call, verb, _ in seen.calls:
        if verb == "mount" and id(call) not in proved:
            _refuse_lookalike(module, call)
    known = {id(call) for call, _, _ in seen.calls}
    names, servers = {a.name for a in entry.mcp_apps}, {s.name for s in entry.servers}
    for node in ast.walk(module.tree):
        _refuse_elsewhere(node, known, names, servers)
    _refuse_hidden_lifespan(module, entry)
    for server in entry.servers:
        if server.auth:
            raise Refused(_has_own_guard(server.line))


def _refuse_lookalike(module: Module, call: ast.Call) -> None:
    given = argument(call, 1, "app")
    if given is None:
        return
    path = module.names.text(argument(call, 0, "path"))
    names = {n.id for n in ast.walk(given) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(given) if isinstance(n, ast.Attribute)}
    if attributes & {"streamable_http_app", "sse_app"}:
        raise Refused(official_sdk(call.lineno))
    if getattr(getattr(given, "func", None), "attr", None) == "http_app":
        raise Refused(unproved(module, call, given))
    for name in names:
        followed = siblings.follow(module, ast.Name(name, ast.Load()))
        there = _binding_call(followed[0], followed[1]) if followed else None
        if getattr(getattr(there, "func", None), "attr", "") in _SERVES:
            raise Refused(unproved(module, call, given))
    makes = [_binding_call(module, name) for name in names]
    if any(module.names.called(made) in FASTAPI for made in makes):
        return
    if isinstance(given, ast.Call) and (module.names.called(given) or "").endswith("StaticFiles"):
        return
    if "mcp" in (path or "").lower() or any("mcp" in name.lower() for name in names | attributes):
        raise Refused(unproved(module, call, given))


def _binding_call(module: Module, name: str) -> ast.AST | None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            made = target(node)
            if isinstance(made, ast.Name) and made.id == name:
                return node.value
    return None


def _refuse_elsewhere(node: ast.AST, known: set[int], proved: set[str], servers: set[str]) -> None:
    match node:
        case ast.Call(func=ast.Attribute(attr="mount")) if id(node) not in known:
            given = argument(node, 1, "app")
            made = given.func if isinstance(given, ast.Call) else None
            of_server = (
                isinstance(made, ast.Attribute)
                and made.attr == "http_app"
                and isinstance(made.value, ast.Name)
                and made.value.id in servers
            )
            if of_server or (isinstance(given, ast.Name) and given.id in proved):
                raise Refused(_mount_elsewhere(node.lineno))


def _mount_elsewhere(line: int) -> Reason:
    return Reason(
        "mount-elsewhere",
        "The MCP app is mounted by something else than the app, or in a function that did not "
        "make it.",
        "Move the mount to where the app is made, behind its last route, and run apply again.",
        line,
    )


def _wrapped(mount: Mount) -> Reason:
    given = argument(mount.call, 1, "app")
    shown = ast.unparse(given) if given is not None else ""
    return Reason(
        "wrapped-mount",
        f"What is mounted is wrapped: `{shown}`.",
        "Find out whether the wrapper guards MCP already; if not, put "
        "ScalekitAuthMiddleware(...) around it by hand.",
        mount.line,
    )


def _refuse_hidden_lifespan(module: Module, entry: Entrypoint) -> None:
    """A lifespan that is set by a way around `app.router` would silently replace the merged one."""
    known = {line for _, line in (*entry.lifespan.assigned, *entry.lifespan.wrapped)}
    for node in ast.walk(module.tree):
        line = None
        match node:
            case ast.Attribute(attr="lifespan_context", ctx=ast.Store()):
                line = node.lineno
            case ast.Call(args=[_, ast.Constant(value="lifespan_context"), _]):
                line = node.lineno
        if line is not None and line not in known:
            raise Refused(
                Reason(
                    "lifespan-set-elsewhere",
                    "The app's lifespan is set in a way that can't be followed from here.",
                    "Pass it to the constructor, FastAPI(lifespan=...), or set "
                    "app.router.lifespan_context where the app is made.",
                    line,
                )
            )


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
        if origin in FASTMCP and has_keyword(node, "auth"):
            raise Refused(_has_own_guard(node.lineno))
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


def _has_own_guard(line: int) -> Reason:
    return Reason(
        "guarded-otherwise",
        "The server has its own guard: FastMCP(auth=...).",
        "Keep that one, or take `auth=` away and run apply again.",
        line,
    )
