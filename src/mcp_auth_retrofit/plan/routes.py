"""The routes that come with the guard: metadata, health, and the mount path without its slash."""

import ast
from collections.abc import Sequence

from mcp_auth_retrofit.edits import Insert, Remove
from mcp_auth_retrofit.plan.consequences import may_register_later
from mcp_auth_retrofit.plan.decision import Decision, spelled
from mcp_auth_retrofit.plan.place import answers
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.model import Entrypoint, Registration
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.order import behind_unseen, matches
from mcp_auth_retrofit.wiring.places import Place
from mcp_auth_retrofit.wiring.surroundings import writes


def decide_metadata(decision: Decision) -> None:
    """Right behind the app's constructor, so that no catch-all comes first."""
    if decision.entry.ours.metadata is not None:
        return
    name = decision.naming.ours("add_protected_resource_metadata")
    app = decision.entry.app
    behind = decision.entry.statements[app.place[-1][1]]
    apart = int(isinstance(behind, ast.Import | ast.ImportFrom))
    decision.plan.add(
        Insert(app.place, f"{name}({decision.app})\n", blank=apart, after=True),
        "metadata",
        decision.entry.app.line,
        "Serves the protected resource metadata, and refuses to start without its settings.",
    )


def decide_health(decision: Decision) -> None:
    """In front of the mount: a root mount or a catch-all behind it would swallow it.

    It stays out of the schema, whose routes may be tools of a server that is made from it.
    """
    entry = decision.entry
    if answers(entry, "/health") or answers(entry, "/health/"):
        return
    place = _health_place(decision)
    hidden = _may_have_health(decision, place)
    if hidden or may_register_later(entry, "/health"):
        decision.plan.warnings.append(
            Caution(
                "health-unclear",
                "No /health is added: what is registered here can't be read and may have one, "
                "which would no longer answer.",
                hidden[0].line if hidden else entry.app.line,
            )
        )
        return
    decision.plan.add(
        Insert(place, _health(decision), blank=decision.apart),
        "health",
        entry.app.line,
        "Adds GET /health, open to everybody" + _answered_before(entry) + ".",
    )


def _answered_before(entry: Entrypoint) -> str:
    """A catch-all, or a mount at the root, that has answered for it so far."""
    if any(r.kind == "opaque" for r in entry.registrations):
        return ""
    before = [
        r
        for r in entry.registrations
        if r.path is not None
        and (r.methods is None or "GET" in r.methods)
        and matches(r.path + ("/{rest:path}" if r.kind == "mount" else ""), "/health")
    ]
    return f"; so far line {before[0].line} answered it" if before else ""


def _health(decision: Decision) -> str:
    """The route; one of Starlette's where FastAPI's would stand behind the app's dependencies."""
    naming = decision.naming
    name = naming.free("health", "health_check", "healthz")
    if argument(decision.entry.app.call, None, "dependencies") is None:
        return (
            f'@{decision.app}.get("/health", include_in_schema=False)\n'
            f"async def {name}() -> dict[str, str]:\n"
            '    return {"status": "healthy"}\n'
        )
    request, answer = naming.fastapis("", "Request"), naming.fastapis(".responses", "JSONResponse")
    gap = "\n" * decision.apart
    return (
        f"async def {name}(request: {request}) -> {answer}:\n"
        f'    return {answer}({{"status": "healthy"}})\n{gap}'
        f'{decision.app}.add_route("/health", {name}, include_in_schema=False)\n'
    )


def _health_place(decision: Decision) -> Place:
    """Above the mount; behind it when an unknown call follows that may register a /health too."""
    entry, place = decision.entry, decision.top_place
    prefix = decision.spot.prefix
    if not prefix or not _unseen_behind(entry, place):
        return place
    limit = behind_unseen(entry, prefix, decision.chosen.mount)
    return (*entry.app.block, ("body", max(place[-1][1], limit)))


def _unseen_behind(entry: Entrypoint, place: Place) -> list[Registration]:
    block, here = entry.app.block, place[-1][1]
    return [r for r in entry.registrations if r.kind == "opaque" and r.top(block) >= here]


def _may_have_health(decision: Decision, place: Place) -> list[Registration]:
    """What can't be read and would come behind a /health at a place, or lies where one may be."""
    entry = decision.entry
    below = [
        r
        for r in entry.registrations
        if r.kind == "router" and r.path and matches(r.path + "/{rest:path}", "/health/")
    ]
    serving = {stop.index for stop in entry.stops}  # `ui.run_with(app)`: all it may do is known
    unseen = [r for r in _unseen_behind(entry, place) if r.top(entry.app.block) not in serving]
    before = [r for r in entry.registrations if r.kind == "opaque" and r not in unseen]
    taken = before if writes(entry, "/health") else []
    return [*unseen, *below, *taken] if decision.spot.prefix else below


def decide_bare_paths(decisions: Sequence[Decision]) -> None:
    """`/mcp` answers like `/mcp/`: a redirect loses the token behind many proxies."""
    there = dict(decisions[0].entry.ours.bare_paths)
    for decision in decisions:
        if not decision.has_bare_path or _taken(decision):
            continue
        same = [place for place, path in there.items() if _is_for(decision, path)]
        if same and not decision.spot.moves:
            del there[same[0]]
        else:
            _answer_bare_path(decision)
    decisions[0].plan.edits += [Remove(place) for place in there]


def _is_for(decision: Decision, path: ast.expr | None) -> bool:
    text = decision.entry.names.text(path)
    if text is not None:
        return text.rstrip("/") == decision.spot.prefix
    return path is not None and spelled(path) == decision.path_source


def _answer_bare_path(decision: Decision) -> None:
    prefix = decision.spot.prefix
    name = decision.naming.ours("answer_bare_path")
    mount = decision.chosen.mount
    shown = prefix or "the mount path"
    decision.plan.add(
        Insert(
            decision.mount_place,
            f"{name}({decision.owner}, {decision.path_source})\n",
            blank=decision.apart if decision.follows_health else 0,
            joined=decision.stays,
        ),
        "bare_path",
        mount.line if mount else decision.entry.app.line,
        f"Lets {shown} answer like {shown}/, without a redirect.",
    )


def _taken(decision: Decision) -> bool:
    posts = [
        r
        for r in decision.entry.registrations
        if r.kind == "route" and (r.methods is None or "POST" in r.methods)
    ]
    own = [r for r in posts if isinstance(r.call, ast.Call) and _is_at(decision, r.call, r.path)]
    if own:
        shown = decision.spot.prefix or "the mount path"
        decision.plan.warnings.append(
            Caution(
                "bare-path-taken",
                f"Your own route answers POST {shown}; MCP answers at {shown}/ alone.",
                own[0].line,
            )
        )
    return bool(own)


def _is_at(decision: Decision, call: ast.Call, path: str | None) -> bool:
    if path is not None or decision.spot.prefix is not None:
        return path == decision.spot.prefix
    given = argument(call, 0, "path")
    return given is not None and spelled(given) == decision.path_source
