"""What follows from a plan for the app's own routes and for its users."""

import ast
from collections.abc import Sequence

from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import argument, dotted, has_keyword
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.own_guards import guard_of_text
from mcp_auth_retrofit.wiring.routers import REGISTERS
from mcp_auth_retrofit.wiring.siblings import definitions


def tell_consequences(decisions: Sequence[Decision]) -> None:
    """Fills in what opens, what locks, what stays open, and what to look at."""
    first = decisions[0]
    entry, plan = first.entry, first.plan
    mounts = {mount.call for mount in entry.mounts}
    own = [r for r in entry.registrations if r.call not in mounts]
    paths = list(dict.fromkeys(r.path for r in own if r.path is not None))
    plan.opened = [path for decision in decisions for path in decision.spot.opened]
    plan.complete = not _registers_unseen(entry) and all(
        r.path is not None and r.kind != "router" for r in own
    )
    guarded_all = entry.ours.everywhere is not None
    if plan.protect == "mcp":
        plan.open_routes = len([path for path in paths if path != "/health"])
    elif not guarded_all:
        public = {"/health", *first.options.public}
        plan.locked = [path for path in (*paths, *documentation(entry)) if path not in public]
    for decision in decisions:
        mount = decision.chosen.mount
        if mount is not None and not (mount.guarded or guarded_all or entry.recipe):
            plan.locked.append(decision.mcp_path or decision.shown_path)
        _tell_inner_path(decision)
        _tell_family(decision)
    _tell_several(decisions)
    _tell_gatekeepers(first)
    for decision in decisions:
        _tell_server_middleware(decision)
    _tell_star(first)
    _tell_other_server(first)


def _tell_gatekeepers(first: Decision) -> None:
    for one in (one for one in first.entry.gatekeepers if one.sure):
        first.plan.warnings.append(
            Caution(
                "other-guard",
                f"`{one.name}` looks as if it asked for credentials: it stands outside of this "
                "guard, and must let pass /.well-known/oauth-protected-resource, /health and what "
                "carries a Scalekit token.",
                one.line,
            )
        )


def _tell_server_middleware(decision: Decision) -> None:
    """`mcp.add_middleware(Check())`: FastMCP's own, which asks for what no Scalekit token has."""
    served = decision.chosen.served
    module = served.server.scope.module if served is not None else decision.entry.module
    for node in nodes(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="add_middleware"), args=[given, *_]):
                made = given.func if isinstance(given, ast.Call) else given
                _, bound = definitions(module, made)
                asks = any(guard_of_text(one) != "none" for one in bound)
                if asks and dotted(owner) != decision.app:
                    decision.plan.warnings.append(
                        Caution(
                            "server-guard",
                            f"The MCP server has `{ast.unparse(made)}` "
                            f"({module.path.name}, line {node.lineno}), which looks as if it asked "
                            "for credentials too: a Scalekit token has to satisfy it as well.",
                        )
                    )


def _tell_star(first: Decision) -> None:
    for node in nodes(first.entry.tree):
        origins = argument(node, None, "allow_origins") if isinstance(node, ast.Call) else None
        if origins is not None and "'*'" in ast.unparse(origins):
            first.plan.warnings.append(
                Caution(
                    "cors-star",
                    "The app's CORS lets every origin in; MCP does not: name the browsers' origins "
                    "in MCP_ALLOWED_ORIGINS (unset: this server's own, and localhost).",
                    origins.lineno,
                )
            )
            return


def _tell_several(decisions: Sequence[Decision]) -> None:
    if len(decisions) > 1:
        mount = decisions[1].chosen.mount
        decisions[0].plan.warnings.append(
            Caution(
                "several-mcp-mounts",
                "Several MCP mounts share one resource and one audience: register a server URL "
                "that lies above all of them ("
                + ", ".join(decision.mcp_path or decision.mount_path for decision in decisions)
                + ").",
                mount.line if mount else None,
            )
        )


def _tell_family(decision: Decision) -> None:
    """What the official SDK and what the user's word leave to the user."""
    mount, served = decision.chosen.mount, decision.chosen.served
    if decision.spot.prefix is None and mount is not None:
        decision.plan.warnings.append(
            Caution(
                "mount-path-computed",
                "The mount's path is known only when the app runs: the mount stays where it is, "
                f"and EXPECTED_AUDIENCE has to name what `{decision.shown_path}` comes to.",
                mount.line,
            )
        )
    if mount is not None and served is None:
        what = "an MCP app made by hand" if mount.by_hand else "taken for an MCP app as you say"
        decision.plan.warnings.append(
            Caution(
                "lifespan-yours",
                f"`{decision.server}` is {what}: see to it that its lifespan runs, if it has one.",
                mount.line,
            )
        )
    if decision.chosen.family == "official" and not _names_hosts(decision):
        decision.plan.warnings.append(
            Caution(
                "sdk-host",
                "The official SDK answers 421 to any host but localhost unless it is given "
                "transport_security=TransportSecuritySettings(allowed_hosts=[...]).",
                mount.line if mount else None,
            )
        )


def _names_hosts(decision: Decision) -> bool:
    served, server = decision.chosen.served, decision.chosen.server
    made = served.server if served else server.made if server else None
    calls = [made.call if made else None, served.call if served else None]
    return any(
        has_keyword(call, name) or any(k.arg is None for k in call.keywords)
        for call in calls
        if call is not None
        for name in ("transport_security", "host")
    )


def _tell_other_server(decision: Decision) -> None:
    """`mcp.run(transport="http")` serves the same tools by itself, and no guard stands there."""
    for node in nodes(decision.entry.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=verb)) if (
                name == decision.server and verb.startswith("run")
            ):
                transport = argument(node, 0, "transport")
                over_http = "http" in verb or (
                    transport is not None and decision.entry.names.text(transport) != "stdio"
                )
                if over_http:
                    decision.plan.warnings.append(
                        Caution(
                            "server-runs-alone",
                            f"`{name}.{verb}(...)` serves MCP without the app and its guard: "
                            "start the app instead.",
                            node.lineno,
                        )
                    )


def may_register_later(entry: Entrypoint, path: str) -> bool:
    """Whether a route for a path may come by a way that can't be followed."""
    dynamic = any(
        isinstance(node, ast.Call)
        and dotted(node.func) == "getattr"
        and dotted(argument(node, 0, "")) == entry.app.name
        for node in nodes(entry.tree)
    )
    written = any(isinstance(n, ast.Constant) and n.value == path for n in nodes(entry.tree))
    return dynamic or (written and _registers_unseen(entry))


def _registers_unseen(entry: Entrypoint) -> bool:
    """`get = app.get`, or a method that uses the app: who calls it, and when, can't be told."""
    seen = {id(node.func) for node in nodes(entry.tree) if isinstance(node, ast.Call)}
    for node in nodes(entry.tree):
        if isinstance(node, ast.ClassDef | ast.Lambda):
            seen -= {id(inner) for inner in ast.walk(node)}
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in REGISTERS
        and dotted(node.value) == entry.app.name
        and id(node) not in seen
        for node in nodes(entry.tree)
    )


def documentation(entry: Entrypoint) -> list[str]:
    """The pages that FastAPI adds by itself, unless the constructor turns them off."""
    if entry.app.open_ended or argument(entry.app.call, None, "openapi_url") is not None:
        return []
    pages = {"docs_url": "/docs", "redoc_url": "/redoc"}
    return ["/openapi.json"] + [
        path for name, path in pages.items() if argument(entry.app.call, None, name) is None
    ]


def _tell_inner_path(decision: Decision) -> None:
    mount, mcp_app = decision.chosen.mount, decision.chosen.mcp_app
    if decision.inner is None and decision.chosen.served is not None:
        decision.plan.warnings.append(
            Caution(
                "inner-path-unknown",
                "The MCP app's own path is no literal: look up where MCP answers.",
                mcp_app.line if mcp_app else mount.line if mount else None,
            )
        )
    elif decision.inner not in ("/", None) and decision.spot.prefix != "" and not _is_sse(decision):
        answers = decision.mcp_path or f"`{decision.shown_path}`"
        decision.plan.warnings.append(
            Caution(
                "doubled-path",
                f"The MCP app has a path of its own, so MCP answers at {answers}. It is left so; "
                f'with "/" as its own path it would be {decision.mount_path}.',
                mount.line if mount else None,
            )
        )


def _is_sse(decision: Decision) -> bool:
    """Its two paths below the mount are part of the transport."""
    return decision.chosen.served is not None and decision.chosen.served.sse
