"""What follows from a plan for the app's own routes and for its users."""

import ast

from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.routers import REGISTERS


def tell_consequences(decision: Decision) -> None:
    """Fills in what opens, what locks, what stays open, and what to look at."""
    entry, plan, mount = decision.entry, decision.plan, decision.chosen.mount
    own = [r for r in entry.registrations if mount is None or r.place != mount.place]
    paths = list(dict.fromkeys(r.path for r in own if r.path is not None))
    plan.opened = list(decision.spot.opened)
    plan.complete = not _registers_unseen(entry) and all(
        r.path is not None and r.kind != "router" for r in own
    )
    guarded_all = entry.ours.everywhere is not None
    if plan.protect == "mcp":
        plan.open_routes = len([path for path in paths if path != "/health"])
    elif not guarded_all:
        public = {"/health", *decision.options.public}
        plan.locked = [path for path in (*paths, *_documentation(entry)) if path not in public]
    if mount is not None and not mount.guarded and not guarded_all:
        plan.locked.append(plan.mcp_path)
    _tell_inner_path(decision)
    _tell_other_server(decision)


def _tell_other_server(decision: Decision) -> None:
    """`mcp.run(transport="http")` serves the same tools by itself, and no guard stands there."""
    for node in ast.walk(decision.entry.tree):
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


def _registers_unseen(entry: Entrypoint) -> bool:
    """`get = app.get`, or a method that uses the app: who calls it, and when, can't be told."""
    seen = {id(node.func) for node in ast.walk(entry.tree) if isinstance(node, ast.Call)}
    for node in ast.walk(entry.tree):
        if isinstance(node, ast.ClassDef | ast.Lambda):
            seen -= {id(inner) for inner in ast.walk(node)}
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in REGISTERS
        and isinstance(node.value, ast.Name)
        and node.value.id == entry.app.name
        and id(node) not in seen
        for node in ast.walk(entry.tree)
    )


def _documentation(entry: Entrypoint) -> list[str]:
    """The pages that FastAPI adds by itself, unless the constructor turns them off."""
    if entry.app.open_ended or argument(entry.app.call, None, "openapi_url") is not None:
        return []
    pages = {"docs_url": "/docs", "redoc_url": "/redoc"}
    return ["/openapi.json"] + [
        path for name, path in pages.items() if argument(entry.app.call, None, name) is None
    ]


def _tell_inner_path(decision: Decision) -> None:
    mount, mcp_app = decision.chosen.mount, decision.chosen.mcp_app
    if decision.inner is None:
        decision.plan.warnings.append(
            Caution(
                "inner-path-unknown",
                "The MCP app's own path is no literal: look up where MCP answers.",
                mcp_app.line if mcp_app else mount.line if mount else None,
            )
        )
    elif decision.inner != "/" and decision.spot.prefix:
        decision.plan.warnings.append(
            Caution(
                "doubled-path",
                f"http_app() has a path of its own, so MCP answers at {decision.plan.mcp_path}. "
                f'It is left so; http_app(path="/") would make it {decision.spot.prefix}.',
                mount.line if mount else None,
            )
        )
