"""The MCP app's lifespan, run with the app's own: merged into `lifespan=`, or wrapped around it."""

import ast

from mcp_auth_retrofit.edits import Insert, SetLifespan
from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.mcp import http_app_of
from mcp_auth_retrofit.wiring.model import Place
from mcp_auth_retrofit.wiring.read import runs_mcp

_WIDTH = 100


def decide_lifespan(decision: Decision) -> None:
    """Whoever runs it already is left alone: older FastMCP can't be entered twice."""
    entry, life = decision.entry, decision.entry.lifespan
    if runs_mcp(entry, {decision.mcp_app, decision.server}):
        if life.assigned and not entry.ours.settings_lifespan:
            _wrap(decision, None)
        return
    if life.handlers and life.value is not None:
        decision.plan.warnings.append(
            Caution(
                "handlers-dead",
                "This startup handler never runs: the app has `lifespan=` too. It is left as it "
                "is.",
                life.handlers[0],
            )
        )
    theirs = f"{decision.mcp_app}.lifespan"
    if _needs_wrapping(decision):
        _wrap(decision, theirs)
        return
    merge = None
    if life.value is not None and not _is_other_object(decision, life.value):
        merge = decision.naming.ours("merge_lifespans")
    decision.plan.add(
        SetLifespan(entry.app.place, theirs, merge),
        "lifespan",
        entry.app.line,
        "Merges the MCP app's lifespan into yours: yours starts first and ends last."
        if merge
        else "Runs the MCP app's lifespan with the app.",
    )


def _needs_wrapping(decision: Decision) -> bool:
    """Where `lifespan=` would silence startup handlers, be overwritten, or can't be written."""
    entry, life = decision.entry, decision.entry.lifespan
    # A call that is handed the app may register handlers of its own.
    unseen = any(r.kind == "opaque" for r in entry.registrations)
    handlers = life.value is None and (bool(life.handlers) or life.more_handlers or unseen)
    hidden_keyword = entry.app.open_ended and life.keyword is None
    return not decision.early or bool(life.assigned) or handlers or hidden_keyword


def _is_other_object(decision: Decision, value: ast.expr) -> bool:
    """`mcp.http_app().lifespan`: of the same server, and not of the app that is mounted."""
    return (
        isinstance(value, ast.Attribute)
        and value.attr == "lifespan"
        and http_app_of(value.value, list(decision.entry.servers)) == decision.server
    )


def _wrap(decision: Decision, theirs: str | None) -> None:
    """`app.router.lifespan_context` wrapped: whatever it is by then, it goes on to run."""
    naming = decision.naming
    held = f"{decision.app}.router.lifespan_context"
    parts = [held] + ([theirs] if theirs else [])
    if decision.entry.lifespan.assigned:
        # What is assigned later replaces the check that stands behind the app's constructor.
        parts.insert(0, naming.ours("require_settings"))
    merge = naming.ours("merge_lifespans")
    code = f"{held} = {merge}({', '.join(parts)})\n"
    if len(code) > _WIDTH:
        code = f"{held} = {merge}(\n" + "".join(f"    {part},\n" for part in parts) + ")\n"
    place, after = _place(decision)
    decision.plan.add(
        Insert(place, code, after=after),
        "lifespan",
        decision.entry.app.line,
        "Wraps the app's lifespan instead of passing `lifespan=`, which would replace it or "
        "silence its startup handlers.",
    )


def _place(decision: Decision) -> tuple[Place, bool]:
    """Behind all it needs: the app, the MCP app, whatever sets the lifespan last.

    The second says whether it goes behind that place, or in front of it.
    """
    block, mcp_app = decision.entry.app.block, decision.chosen.mcp_app
    if mcp_app is None and not decision.early:
        # The MCP app is made right above the mount: this follows it there.
        return decision.mount_place, False
    needs = [place[: len(block) + 1] for place, _ in decision.entry.lifespan.assigned]
    if mcp_app is not None and not decision.early:
        if mcp_app.place[:-1] != block:
            return mcp_app.place, True
        needs.append(mcp_app.place)
    return max(needs, key=lambda place: place[-1][1], default=decision.entry.app.place), True
