"""The routes that come with the guard: metadata, health, and the mount path without its slash."""

import ast

from mcp_auth_retrofit.edits import Insert, Remove
from mcp_auth_retrofit.plan.decision import Decision, quoted
from mcp_auth_retrofit.plan.place import answers
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.model import Place
from mcp_auth_retrofit.wiring.names import argument
from mcp_auth_retrofit.wiring.order import behind_unseen


def decide_metadata(decision: Decision) -> None:
    """Right behind the app's constructor, so that no catch-all comes first."""
    if decision.entry.ours.metadata is not None:
        return
    name = decision.naming.ours("add_protected_resource_metadata")
    decision.plan.add(
        Insert(decision.entry.app.place, f"{name}({decision.app})\n", after=True),
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
    unseen = any(r.path is None or r.kind == "router" for r in entry.registrations)
    hidden = ", include_in_schema=False" if unseen else ""
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
    if not unseen or decision.spot.prefix == "":
        return place
    own = decision.chosen.mount
    limit = behind_unseen(entry, decision.spot.prefix, own.place if own else None)
    return (*block, ("body", max(here, limit)))


def decide_bare_path(decision: Decision) -> None:
    """`/mcp` answers like `/mcp/`: a redirect loses the token behind many proxies."""
    ours, prefix = decision.entry.ours.bare_path, decision.spot.prefix
    wanted = decision.has_bare_path and not _taken(decision)
    same = ours is not None and (ours[1] or "").rstrip("/") == prefix
    kept = wanted and same and not decision.spot.moves
    if ours is not None and not kept:
        decision.plan.edits.append(Remove(ours[0]))
    if not wanted or kept:
        return
    name = decision.naming.ours("answer_bare_path")
    mount = decision.chosen.mount
    decision.plan.add(
        Insert(
            decision.mount_place,
            f"{name}({decision.app}, {path_source(decision)})\n",
            blank=0 if decision.nested else decision.apart,
            joined=decision.stays,
        ),
        "bare_path",
        mount.line if mount else decision.entry.app.line,
        f"Lets {prefix} answer like {prefix}/, without a redirect.",
    )


def _taken(decision: Decision) -> bool:
    prefix = decision.spot.prefix
    own = [
        r
        for r in decision.entry.registrations
        if r.kind == "route" and r.path == prefix and (r.methods is None or "POST" in r.methods)
    ]
    if own:
        decision.plan.warnings.append(
            Caution(
                "bare-path-taken",
                f"Your own route answers POST {prefix}; MCP answers at {prefix}/ alone.",
                own[0].line,
            )
        )
    return bool(own)


def path_source(decision: Decision) -> str:
    """The mount path as the file spells it when that is a name, else as a literal."""
    mount = decision.chosen.mount
    given = argument(mount.call, 0, "path") if mount else None
    if mount is not None and mount.path == decision.spot.prefix and isinstance(given, ast.Name):
        return given.id
    return quoted(decision.spot.prefix or "/")
