"""The plan: every edit, in the order in which the reader of the diff meets its reasons."""

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.consequences import tell_consequences
from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.plan.guard import decide_everywhere, decide_mount
from mcp_auth_retrofit.plan.lifespan import decide_lifespan
from mcp_auth_retrofit.plan.mcp_app import decide_mcp_app
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import find_spot
from mcp_auth_retrofit.plan.routes import decide_bare_path, decide_health, decide_metadata
from mcp_auth_retrofit.plan.server import choose, inner_path
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.read import refuse_mounted_twice


def decide(entry: Entrypoint, options: Options) -> Plan:
    """The plan for one entrypoint. Raises Refused where nothing safe can be done."""
    refuse_mounted_twice(entry)
    _refuse_routes_keyword(entry)
    decision = _decision(entry, options)
    decide_mcp_app(decision)
    decide_metadata(decision)
    decide_everywhere(decision)
    decide_lifespan(decision)
    decide_health(decision)
    decide_bare_path(decision)
    decide_mount(decision)
    tell_consequences(decision)
    imports = decision.naming.edit()
    if imports is not None:
        decision.plan.edits.append(imports)
    return decision.plan


def _decision(entry: Entrypoint, options: Options) -> Decision:
    chosen = choose(entry, options)
    spot = find_spot(entry, chosen, options)
    naming = Naming(entry)
    server = chosen.server.name if chosen.server else naming.free("mcp", "mcp_server")
    mcp_app = chosen.mcp_app.name if chosen.mcp_app else None
    inner = inner_path(entry, chosen.http_call)
    plan = Plan(
        app=entry.app.name,
        mcp=server,
        mount_path=spot.prefix or "/",
        mcp_path=spot.prefix if inner == "/" and spot.prefix else spot.prefix + (inner or "/"),
        protect=options.protect or ("all" if entry.ours.everywhere else "mcp"),
    )
    return Decision(
        entry,
        options,
        chosen,
        spot,
        naming,
        plan,
        server=server,
        mcp_app=mcp_app or naming.free("mcp_app", "mcp_http_app", "mcp_asgi_app"),
        inner=inner,
    )


def _refuse_routes_keyword(entry: Entrypoint) -> None:
    if argument(entry.app.call, None, "routes") is not None:
        raise Refused(
            Reason(
                "routes-in-constructor",
                "FastAPI(routes=[...]) registers routes before anything else.",
                "Register them with app.mount() and app.add_route() behind the constructor.",
                entry.app.line,
            )
        )
