"""The plan: every edit, in the order in which the reader of the diff meets its reasons."""

import ast

from mcp_auth_retrofit.options import Options, Protect
from mcp_auth_retrofit.plan.consequences import tell_consequences
from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.plan.fastapi_mcp import decide_converted, first_path, refuse_converted
from mcp_auth_retrofit.plan.guard import decide_everywhere, decide_mount
from mcp_auth_retrofit.plan.layout import decide_layout, layout_of
from mcp_auth_retrofit.plan.lifespan import decide_lifespan
from mcp_auth_retrofit.plan.mcp_app import decide_mcp_app
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import Spot, find_spot
from mcp_auth_retrofit.plan.recipe import decide_recipe, drop_unused
from mcp_auth_retrofit.plan.routes import decide_bare_paths, decide_health, decide_metadata
from mcp_auth_retrofit.plan.server import Chosen, choose, refuse_hidden_server
from mcp_auth_retrofit.plan.uses import refuse_other_uses
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.running import runs
from mcp_auth_retrofit.wiring.surroundings import refuse_surroundings, tell_surroundings


def decide(entry: Entrypoint, options: Options) -> Plan:
    """The plan for one entrypoint. Raises Refused where nothing safe can be done."""
    _refuse_routes_keyword(entry)
    refuse_converted(entry)
    refuse_surroundings(entry)
    refuse_hidden_server(entry)
    if entry.converted:
        decisions = [_converted(entry, options)]
    else:
        chosen = choose(entry, options)
        refuse_other_uses(entry, chosen)
        decisions = _decisions(entry, options, chosen)
    first = decisions[0]
    decide_layout(first)
    decide_recipe(first)
    if not entry.converted:
        for decision in decisions:
            decide_mcp_app(decision)
    decide_metadata(first)
    decide_everywhere(first)
    if not entry.converted:
        decide_lifespan(decisions)
    decide_health(first)
    if entry.converted:
        decide_converted(first)
    else:
        decide_bare_paths(decisions)
        for decision in decisions:
            decide_mount(decision)
    tell_consequences(decisions)
    if entry.ours.metadata is None:
        first.plan.warnings += tell_surroundings(entry, makes_server=first.chosen.makes_server)
    imports = first.naming.edit()
    if imports is not None:
        first.plan.edits.append(imports)
    drop_unused(first)
    return first.plan


def _converted(entry: Entrypoint, options: Options) -> Decision:
    """Where FastApiMCP serves the app's own routes: nothing is mounted, nothing has to start."""
    if options.mount_path is not None:
        raise Refused(
            Reason(
                "fastapi-mcp-path",
                "The server is mounted by `FastApiMCP`, whose path is its own to say.",
                "Write it there, mount_path=..., and run apply again without --mount-path.",
                entry.converted[0].line,
            )
        )
    path, answers = first_path(entry.converted)
    name = entry.converted[0].name
    plan = Plan(entry.app.name, name, path, answers, _protect(entry, options), path, fastmcp=False)
    depth = len(entry.app.block) + 1
    spot = Spot(path, entry.converted[0].place[:depth], moves=False)
    chosen = Chosen(None, None, None, converted=True)
    naming = Naming(entry, layout_of(entry, options))
    return Decision(entry, options, chosen, spot, naming, plan, name, "", None, None)


def _protect(entry: Entrypoint, options: Options) -> Protect:
    """As asked for, else as the file has it, by an earlier run or by the recipe."""
    whole = entry.recipe is not None and entry.recipe.whole_app
    return options.protect or ("all" if entry.ours.everywhere or whole else "mcp")


def _decisions(entry: Entrypoint, options: Options, chosen: list[Chosen]) -> list[Decision]:
    spots = [find_spot(entry, one, options) for one in chosen]
    if len(spots) > 1:
        _refuse_several(entry, spots, options)
    naming = Naming(entry, layout_of(entry, options))
    fastmcp = any(one.family == "fastmcp" for one in chosen)
    plan = Plan(entry.app.name, "", "", None, _protect(entry, options), fastmcp=fastmcp)
    decisions = [
        Decision(
            entry,
            options,
            one,
            spot,
            naming,
            plan,
            server=_server_name(one) or naming.free("mcp", "mcp_server"),
            mcp_app=_mcp_app_name(one) or naming.free("mcp_app", "mcp_http_app", "mcp_asgi_app"),
            inner=one.served.path if one.served else None if one.mount else "/",
            lifespan=_missing_lifespan(entry, one),
        )
        for one, spot in zip(chosen, spots, strict=True)
    ]
    first = decisions[0]
    plan.mcp, plan.mount_path, plan.mcp_path = first.server, first.mount_path, first.mcp_path
    plan.shown_path, plan.sse = (
        first.shown_path,
        bool(first.chosen.served and first.chosen.served.sse),
    )
    return decisions


def _server_name(chosen: Chosen) -> str | None:
    if chosen.server is not None:
        return chosen.server.name
    made = chosen.mcp_app.name if chosen.mcp_app else None
    return made or (ast.unparse(chosen.mount.held) if chosen.mount else None)


def _mcp_app_name(chosen: Chosen) -> str | None:
    if chosen.mcp_app is not None:
        return chosen.mcp_app.name
    return chosen.mount.mcp_app if chosen.mount else None


def _missing_lifespan(entry: Entrypoint, chosen: Chosen) -> str | None:
    """What of the MCP app nobody enters yet; what is only told to be one is the user's to run."""
    if chosen.mount is None and chosen.mcp_app is None:
        return "lifespan" if chosen.family == "fastmcp" else "router.lifespan_context"
    served = chosen.served
    if served is None or served.lifespan is None or runs(entry, served):
        return None
    return served.lifespan


def _refuse_several(entry: Entrypoint, spots: list[Spot], options: Options) -> None:
    """Several mounts are guarded where they stand; none of them can be moved past the others."""
    if options.mount_path is not None or any(spot.moves for spot in spots):
        raise Refused(
            Reason(
                "several-mcp-mounts",
                "Several MCP apps are mounted here (lines "
                + ", ".join(str(mount.line) for mount in entry.mounts)
                + "), and not all of them where they can stay.",
                "Move the mounts behind the app's last route, and run apply again without "
                "--mount-path.",
                entry.mounts[1].line,
            )
        )


def _refuse_routes_keyword(entry: Entrypoint) -> None:
    """What the constructor registers comes first: a mount of it stays, at a path of its own."""
    routes = argument(entry.app.call, None, "routes")
    listed = [mount for mount in entry.mounts if mount.listed is not None]
    stays = all(mount.path and mount.mcp_app is not None for mount in listed)
    if routes is not None and not (listed and stays):
        raise Refused(
            Reason(
                "routes-in-constructor",
                "FastAPI(routes=[...]) registers routes before anything else.",
                "Register them with app.mount() and app.add_route() behind the constructor.",
                entry.app.line,
            )
        )
