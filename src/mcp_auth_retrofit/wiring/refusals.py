"""What can't be followed or must not be touched: each refusal with its reason and way out."""

import ast

from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.bindings import Scope, given
from mcp_auth_retrofit.wiring.handed import function_of, hands
from mcp_auth_retrofit.wiring.model import Entrypoint, Mount
from mcp_auth_retrofit.wiring.names import (
    BY_HAND,
    FASTAPI,
    FASTMCP,
    HELPER,
    OFFICIAL,
    Module,
    argument,
    dotted,
    has_keyword,
    is_transport,
)
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.other_ways import has_own_guard, partly_guarded
from mcp_auth_retrofit.wiring.own_guards import Guard, guard_of_text
from mcp_auth_retrofit.wiring.proof import SERVES, meanings, prove
from mcp_auth_retrofit.wiring.scanned import Mounting, Scan

_METADATA = "/.well-known/oauth-protected-resource"


def refuse_unproved_mounts(module: Module, seen: Scan, entry: Entrypoint) -> None:
    """Raises Refused for a mount that looks like MCP and can't be proved to be one alone."""
    proved = {mount.call for mount in entry.mounts}
    for mount in entry.mounts:
        if mount.wrapped:
            _refuse_wrapper(module, mount)
        if mount.served is not None and mount.served.server.auth:
            raise Refused(has_own_guard(mount.line, mount.served.server.guard))
    for mounting in seen.mounts:
        if mounting.call not in proved:
            _refuse_lookalike(module, mounting)
    known = {mounting.call for mounting in seen.mounts}
    for node in nodes(module.tree):
        if isinstance(node, ast.Call) and node not in known:
            _refuse_elsewhere(entry, node)
    _refuse_hidden_lifespan(module, entry)
    guarded = [server for server in entry.servers if server.made and server.made.auth]
    if guarded and guarded[0].made is not None:
        if len(guarded) < len(entry.servers):
            raise Refused(partly_guarded(guarded[0].line))
        raise Refused(has_own_guard(guarded[0].line, guarded[0].made.guard))


def refuse_served_by_hand(module: Module, app: str) -> None:
    """Raises Refused where another module's function, handed the app, serves a server's tools."""
    for node in nodes(module.tree):
        body = function_of(module, node) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or body is None or not hands(node, {app}):
            continue
        where, function = body
        made = [where.names.called(n) in FASTMCP | OFFICIAL for n in ast.walk(function)]
        asked = [isinstance(n, ast.Attribute) and n.attr == "call_tool" for n in ast.walk(function)]
        if where is not module and any(made) and any(asked):
            raise Refused(
                Reason(
                    "mcp-by-hand",
                    f"`{function.name}` of {where.path.name} serves the tools of an MCP server by "
                    "routes of its own: they would stay open.",
                    "Serve its tools with FastMCP, or guard those routes by hand, in that file.",
                    node.lineno,
                )
            )


def refuse_own_metadata(entry: Entrypoint) -> None:
    for registration in entry.registrations:
        if (registration.path or "").startswith(_METADATA):
            raise Refused(
                Reason(
                    "metadata-route-taken",
                    f"The app serves `{registration.path}` itself, as what has a sign-in of its "
                    "own does.",
                    "Keep that sign-in, or take all of it out, its check and all its routes under "
                    "/.well-known, and run apply again.",
                    registration.line,
                )
            )


def _refuse_lookalike(module: Module, mounting: Mounting) -> None:
    mounted = argument(mounting.call, 1, "app")
    if mounted is None:
        return
    scope = Scope(mounting.module, mounting.functions)
    if mounting.module is not module:
        by_hand = any(map(is_transport, mounting.module.names.imported.values()))
        if by_hand or prove(scope, mounted) is not None:
            raise Refused(_in_other_module(mounting))
        return
    if _is_static(scope, mounted):
        return
    values = [value for _, value in given(scope, dotted(mounted) or "")]
    made = [_class_of(module, v.func) if isinstance(v, ast.Call) else None for v in values]
    guards = {guard_of_text(own) if own is not None else "none" for own in made}
    if guards & {"own", "unclear"}:
        sure: Guard = "own" if guards == {"own"} else "unclear"
        raise Refused(_behind_own_guard(ast.unparse(mounted), mounting.call.lineno, sure))
    path = module.names.text(argument(mounting.call, 0, "path"))
    words = [n.id for n in ast.walk(mounted) if isinstance(n, ast.Name)]
    words += [n.attr for n in ast.walk(mounted) if isinstance(n, ast.Attribute)]
    serves = bool(SERVES & {*words})
    if serves or any("mcp" in word.lower() for word in (*words, path or "")):
        raise Refused(_unproved(module, mounting.call, mounted, scope))


def _is_static(scope: Scope, mounted: ast.expr) -> bool:
    """StaticFiles, or a FastAPI app of this file: it is what it is, whatever its path is called."""
    origins = [scope.module.names.called(mounted)]
    origins += [
        scope.module.names.called(value) for _, value in given(scope, dotted(mounted) or "")
    ]
    return any(o in FASTAPI or (o or "").endswith("StaticFiles") for o in origins)


def _refuse_elsewhere(entry: Entrypoint, call: ast.Call) -> None:
    """A mount of the MCP app that nothing the app's block does leads to."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "mount"):
        return
    held = argument(call, 1, "app")
    if held is not None and (
        dotted(held) in {mcp_app.name for mcp_app in entry.mcp_apps}
        or prove(entry.scope, held) is not None
    ):
        raise Refused(_mount_elsewhere(call.lineno))


def _mount_elsewhere(line: int) -> Reason:
    return Reason(
        "mount-elsewhere",
        "The MCP app is mounted by something else than the app, or in a function that nothing "
        "here calls with it.",
        "Move the mount to where the app is made, behind its last route, and run apply again.",
        line,
    )


def _in_other_module(mounting: Mounting) -> Reason:
    return Reason(
        "mount-in-other-module",
        f"The MCP app is mounted by code of {mounting.module.path.name}, line "
        f"{mounting.call.lineno}, which this file calls.",
        "Move the mount into this file, behind the app's last route, and run apply again.",
    )


def _refuse_wrapper(module: Module, mount: Mount) -> None:
    """A wrapper of the project's own that asks for nothing may stay inside the guard; no other."""
    wrapper = argument(mount.call, 1, "app")
    shown = ast.unparse(wrapper) if wrapper is not None else ""
    own = _class_of(module, wrapper.func) if isinstance(wrapper, ast.Call) else None
    if own is None:
        raise Refused(
            Reason(
                "wrapped-mount",
                f"What is mounted is wrapped in something that can't be read here: `{shown}`.",
                "Find out whether the wrapper guards MCP already; if not, put "
                f"ScalekitAuthMiddleware(...) around it by hand. {BY_HAND}",
                mount.line,
            )
        )
    guard = guard_of_text(own)
    if guard != "none":
        raise Refused(_behind_own_guard(shown, mount.line, guard))


def _behind_own_guard(shown: str, line: int, guard: Guard) -> Reason:
    hint = (
        "Keep that one, or mount the MCP app without it and run apply again. What it hands on to "
        "the tools has to come from the token then: get_access_token()."
    )
    if guard == "own":
        what = f"What is mounted stands behind a guard of its own: `{shown}`."
        return Reason("guarded-otherwise", what, hint, line)
    return Reason(
        "guard-unclear",
        f"What is mounted may stand behind a guard of its own, and may not: `{shown}`.",
        hint,
        line,
    )


def _class_of(module: Module, called: ast.expr) -> ast.ClassDef | None:
    """The class that a call makes an object of, when it is one of the project's; ours is none."""
    where, bound = siblings.definitions(module, called)
    if where.path.stem == HELPER:
        return None
    return bound[0] if len(bound) == 1 and isinstance(bound[0], ast.ClassDef) else None


def _refuse_hidden_lifespan(module: Module, entry: Entrypoint) -> None:
    """A lifespan that is set by a way around `app.router` would silently replace the merged one."""
    known = {setting.line for setting in (*entry.lifespan.assigned, *entry.lifespan.wrapped)}
    for node in nodes(module.tree):
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


def _unproved(module: Module, call: ast.Call, mounted: ast.expr, scope: Scope) -> Reason:
    loops = [n for n in nodes(module.tree) if isinstance(n, ast.For | ast.While)]
    if any(call in ast.walk(loop) for loop in loops):
        return mount_in_loop(call.lineno)
    shown = ast.unparse(mounted)
    where, origin = _traced(scope, mounted)
    if origin in FASTAPI:
        return _sub_app(where, shown, call.lineno)
    stranger = origin is not None and siblings.find(where.path, origin) is None
    far = f" (it comes from `{(origin or '').rpartition('.')[0]}`, which is no module here)"
    called = mounted.func if isinstance(mounted, ast.Call) else mounted
    told = dotted(called) or shown
    return Reason(
        "mcp-elsewhere",
        f"`{shown}` looks like an MCP app, but nothing proves what it is{far if stranger else ''}.",
        f"If it is what serves MCP there, say so: --mcp {told.removesuffix(_serving(called))}.",
        call.lineno,
    )


def _serving(called: ast.expr) -> str:
    """`.http_app`: of `tools.http_app()`, it is the server that the user can tell of."""
    serves = isinstance(called, ast.Attribute) and called.attr in SERVES
    return f".{called.attr}" if serves and isinstance(called, ast.Attribute) else ""


def _sub_app(where: Module, shown: str, line: int) -> Reason:
    """What is mounted is a FastAPI app, in which MCP is served, and maybe guarded, by its file."""
    for node in nodes(where.tree):
        if isinstance(node, ast.Call) and has_keyword(node, "auth_config"):
            return _behind_own_guard(shown, line, "own")
    return Reason(
        "mcp-sub-app",
        f"`{shown}` is a FastAPI app of its own, made in {where.path.name}.",
        f"Run apply on {where.path.name}; guard it here by hand if it is served only through this "
        "mount.",
        line,
    )


def _traced(scope: Scope, mounted: ast.expr) -> tuple[Module, str | None]:
    """How far it can be followed: the module, and the dotted name that it ends with there."""
    for _ in range(8):
        steps = [(s, value) for s, value in meanings(scope, mounted) if isinstance(value, ast.expr)]
        if len(steps) != 1:
            break
        scope, mounted = steps[0]
    names = scope.module.names
    return scope.module, names.origin(mounted) or names.called(mounted)


def mount_in_loop(line: int) -> Reason:
    """The refusal for mounts whose number only a run can tell."""
    return Reason(
        "mount-in-loop",
        "MCP is mounted in a loop: several servers, or one under several paths.",
        "Write the mounts out one by one.",
        line,
    )
