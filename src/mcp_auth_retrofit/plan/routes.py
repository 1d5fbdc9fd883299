"""The routes that come with the guard: metadata, health, and the mount path without its slash."""

import ast
from collections.abc import Sequence

from mcp_auth_retrofit.edits import Insert, Remove
from mcp_auth_retrofit.plan.decision import Decision, spelled
from mcp_auth_retrofit.plan.place import answers
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.order import behind_unseen
from mcp_auth_retrofit.wiring.places import Place


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
    """In front of the mount: a root mount or a catch-all behind it would swallow it."""
    entry = decision.entry
    if answers(entry, "/health") or answers(entry, "/health/"):
        return
    # A router that can't be read may have a /health too: it wins, and keeps its place in the docs.
    mounts = {mount.call for mount in entry.mounts}
    others = [r for r in entry.registrations if r.call not in mounts]
    unseen = any(r.path is None or r.kind == "router" for r in others)
    # What is in the schema when the server is made from it becomes a tool.
    hidden = ", include_in_schema=False" if unseen or decision.chosen.from_app else ""
    name = decision.naming.free("health", "health_check", "healthz")
    code = (
        f'@{decision.app}.get("/health"{hidden})\n'
        f"async def {name}() -> dict[str, str]:\n"
        '    return {"status": "healthy"}\n'
    )
    decision.plan.add(
        Insert(_health_place(decision), code, blank=decision.apart),
        "health",
        entry.app.line,
        "Adds GET /health, open to everybody.",
    )


def _health_place(decision: Decision) -> Place:
    """Above the mount; behind it when an unknown call follows that may register a /health too."""
    entry, place = decision.entry, decision.top_place
    block = entry.app.block
    here = place[-1][1]
    unseen = [r for r in entry.registrations if r.kind == "opaque" and r.top(block) >= here]
    if not unseen or not decision.spot.prefix:
        return place
    own = decision.chosen.mount
    limit = behind_unseen(entry, decision.spot.prefix or "", own)
    return (*block, ("body", max(here, limit)))


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
