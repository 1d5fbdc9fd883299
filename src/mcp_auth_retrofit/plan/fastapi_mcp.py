"""FastApiMCP: its routes are put on a small app of their own, and that one is guarded.

The library adds MCP routes to the app itself, where nothing can stand in front of them alone. Given
another app, it adds them there; an exact ASGI route of the user's app then leads to that one, with
every method, so that the guard answers preflights too.
"""

import ast
from collections.abc import Sequence

from mcp_auth_retrofit.edits import AddKeywords, Insert, RewriteMount
from mcp_auth_retrofit.plan.decision import Decision, listed, quoted, spelled
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.fastapi_mcp import conversions, mounts_converted
from mcp_auth_retrofit.wiring.model import Converted, Entrypoint
from mcp_auth_retrofit.wiring.names import BY_HAND, GUARD, dotted
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import on_the_way

_BY_HAND = (
    "Give the library an app of its own, mcp_app = FastAPI(); mcp.mount_http(mcp_app); and lead to "
    f'it with app.add_route("/mcp", ScalekitAuthMiddleware(mcp_app)). {BY_HAND}'
)


def refuse_converted(entry: Entrypoint) -> None:
    """Raises Refused where the library's routes can't be led through a guard."""
    made = [n for n in nodes(entry.tree) if isinstance(n, ast.Call)]
    servers = conversions(entry.module)
    for converted in entry.converted:
        if converted.auth:
            raise Refused(
                Reason(
                    "guarded-otherwise",
                    "The server has its own guard: FastApiMCP(auth_config=...).",
                    "Keep that one, or take `auth_config=` away and run apply again.",
                    converted.line,
                )
            )
        if converted.app != entry.app.name:
            raise Refused(
                _refusal(
                    "other-app",
                    f"The server is made from `{converted.app}`, and not from the app that is "
                    f"guarded, `{entry.app.name}`.",
                    converted.line,
                )
            )
        given = dotted(converted.router)
        if converted.router is not None and not converted.routes and given != entry.app.name:
            shown = ast.unparse(converted.router)
            raise Refused(
                _refusal(
                    "router", f"The library is given `{shown}` to register on.", converted.line
                )
            )
        _refuse_place(entry, converted)
    followed = {converted.call for converted in entry.converted}
    lost = [c for c in made if mounts_converted(entry.module, c) and c not in followed]
    if servers and (lost or not entry.converted):
        raise Refused(
            _refusal(
                "unnamed",
                "MCP is served by `FastApiMCP`, and where it is mounted can't be followed.",
                (lost or servers)[0].lineno,
            )
        )
    if entry.converted and (entry.mounts or entry.mcp_apps):
        raise Refused(
            _refusal(
                "beside-fastmcp",
                "`FastApiMCP` and an MCP server of another kind are served side by side.",
                entry.converted[0].line,
            )
        )


def _refuse_place(entry: Entrypoint, converted: Converted) -> None:
    around = list(on_the_way(entry.tree, converted.place))
    block = entry.app.block
    looped = any(isinstance(s, ast.For | ast.AsyncFor | ast.While) for _, s in around)
    outside = converted.place[: len(block)] != block
    lines = [statement.lineno for _, statement in around]
    if looped or outside or len(set(lines)) < len(lines):
        raise Refused(
            _refusal(
                "place",
                "The server is mounted where nothing can be put beside it.",
                converted.line,
            )
        )
    if converted.path is not None and not _is_plain(converted.path):
        raise Refused(
            _refusal("path", "The server's mount path is worked out in place.", converted.line)
        )


def _is_plain(path: ast.expr) -> bool:
    return isinstance(path, ast.Constant) or dotted(path) is not None


def _refusal(kind: str, message: str, line: int) -> Reason:
    return Reason(f"fastapi-mcp-{kind}", message, _BY_HAND, line)


def decide_converted(decision: Decision) -> None:
    """The library's routes on an app of their own, and the guard in front of that."""
    plan, naming = decision.plan, decision.naming
    guarded = plan.protect == "mcp"
    for converted in decision.entry.converted:
        if converted.routes:
            _switch(decision, converted, guarded)
            continue
        name = naming.free("mcp_app", "mcp_http_app", "mcp_asgi_app")
        plan.edits.append(
            Insert(converted.place, f"{name} = {naming.fastapi()}(openapi_url=None)\n", joined=True)
        )
        if converted.router is not None:
            plan.edits.append(RewriteMount(converted.place, argument=("router", 0), hoisted=name))
        else:
            plan.edits.append(AddKeywords(converted.place, (("router", name),)))
        served = f"{naming.ours(GUARD)}({name})" if guarded else name
        paths = _paths(converted)
        code = "".join(
            f"{decision.app}.add_route({path}, {served}, include_in_schema=False)\n"
            for path in paths
        )
        plan.add(
            Insert(converted.place, code, after=True),
            "mount",
            converted.line,
            f"Puts the routes of `{converted.name}` on an app of their own"
            + (f", and the guard in front of {listed(paths)}." if guarded else "."),
        )
        if guarded:
            plan.locked.append(converted.answers_at)


def _paths(converted: Converted) -> list[str]:
    """The paths, as source: of SSE, that for messages too."""
    if converted.path is None or isinstance(converted.path, ast.Constant):
        first = converted.answers_at
        return [quoted(first)] + ([quoted(f"{first}/messages/")] if converted.sse else [])
    first = spelled(converted.path)
    return [first] + ([f'{first} + "/messages/"'] if converted.sse else [])


def _switch(decision: Decision, converted: Converted, guarded: bool) -> None:
    """What an earlier run wrote: the guard put around it, or taken off."""
    for place, has in converted.routes:
        if has != guarded:
            guard = decision.naming.ours(GUARD) if guarded else None
            edit = RewriteMount(place, guard=guard, bare=not guarded, argument=("route", 1))
            said = "puts the guard around it" if guarded else "takes the guard off it"
            decision.plan.add(edit, "mount", converted.line, f"The MCP route: {said}.")


def first_path(converted: Sequence[Converted]) -> tuple[str, str | None]:
    """(where MCP is mounted, where it answers), the second None when only a run can tell."""
    path = converted[0].answers_at
    return path, path if path.startswith("/") else None
