"""The MCP app's lifespan, run with the app's own: merged into `lifespan=`, or wrapped around it."""

import ast
from collections.abc import Sequence

from mcp_auth_retrofit.edits import Insert, SetLifespan
from mcp_auth_retrofit.plan.decision import WIDTH, Decision
from mcp_auth_retrofit.results import Caution, Reason, Refused
from mcp_auth_retrofit.wiring.places import Place
from mcp_auth_retrofit.wiring.proof import prove
from mcp_auth_retrofit.wiring.running import unclear


def decide_lifespan(decisions: Sequence[Decision]) -> None:
    """Whoever runs it already is left alone: older FastMCP can't be entered twice."""
    first = decisions[0]
    entry, life = first.entry, first.entry.lifespan
    missing = [decision for decision in decisions if decision.lifespan is not None]
    if not missing:
        if life.assigned and not entry.ours.settings_lifespan:
            _wrap(first, None)
        return
    if any(decision.chosen.family == "official" for decision in missing):
        _refuse_unclear(missing[0])
    if life.handlers and life.value is not None:
        first.plan.warnings.append(
            Caution(
                "handlers-dead",
                "This startup handler never runs: the app has `lifespan=` too. It is left as it "
                "is.",
                life.handlers[0],
            )
        )
    for decision in missing:
        if _needs_wrapping(decision):
            _wrap(decision, theirs(decision))
    passed = [theirs(decision) for decision in missing if not _needs_wrapping(decision)]
    if passed:
        _pass(missing[0], tuple(passed))


def theirs(decision: Decision) -> str:
    """`mcp_app.lifespan`; of the official SDK's app `mcp_app.router.lifespan_context`."""
    return f"{decision.mcp_app}.{decision.lifespan}"


def _pass(decision: Decision, lifespans: tuple[str, ...]) -> None:
    entry, value = decision.entry, decision.entry.lifespan.value
    replaces = value is not None and _is_other_object(decision, value)
    merges = (value is not None and not replaces) or len(lifespans) > 1
    merge = decision.naming.ours("merge_lifespans") if merges else None
    decision.plan.add(
        SetLifespan(entry.app.place, lifespans, merge, replaces),
        "lifespan",
        entry.app.line,
        "Merges the MCP app's lifespan into yours: yours starts first and ends last."
        if merge and not replaces
        else "Runs the MCP app's lifespan with the app.",
    )


def _refuse_unclear(decision: Decision) -> None:
    """A session manager that is entered already, and may be this one: twice is an error."""
    held = unclear(decision.entry)
    if held is not None:
        raise Refused(
            Reason(
                "lifespan-unclear",
                f"The lifespan enters `{ast.unparse(held)}`, and whose that is can't be told: "
                "entered twice, it is an error; not at all, every MCP request is.",
                "Name the server there as it is named where it is mounted, and run apply again.",
                held.lineno,
            )
        )


def _needs_wrapping(decision: Decision) -> bool:
    """Where `lifespan=` would silence startup handlers, be overwritten, or can't be written."""
    entry, life = decision.entry, decision.entry.lifespan
    # A call that is handed the app may register handlers of its own.
    unseen = any(r.kind == "opaque" for r in entry.registrations)
    handlers = life.value is None and (bool(life.handlers) or life.more_handlers or unseen)
    hidden = entry.app.open_ended and (life.keyword is None or entry.app.indirect)
    return not decision.early or bool(life.assigned) or handlers or hidden


def _is_other_object(decision: Decision, value: ast.expr) -> bool:
    """`mcp.http_app().lifespan`: of the same server, and not of the app that is mounted."""
    if not (isinstance(value, ast.Attribute) and value.attr == "lifespan"):
        return False
    other, server = prove(decision.entry.scope, value.value), decision.chosen.server
    made = server.made if server is not None else None
    return (
        isinstance(value.value, ast.Call)
        and other is not None
        and made is not None
        and other.server.call is made.call
    )


def _wrap(decision: Decision, lifespan: str | None) -> None:
    """`app.router.lifespan_context` wrapped: whatever it is by then, it goes on to run."""
    naming = decision.naming
    place, after = _place(decision)
    # Inside a function that the app is handed to, it has that function's name for it.
    owner = decision.owner if place == decision.mount_place and not after else decision.app
    held = f"{owner}.router.lifespan_context"
    parts = [held] + ([lifespan] if lifespan else [])
    if decision.entry.lifespan.assigned and not decision.entry.ours.settings_lifespan:
        # What is assigned later replaces the check that stands behind the app's constructor.
        parts.insert(0, naming.ours("require_settings"))
    merge = naming.ours("merge_lifespans")
    code = f"{held} = {merge}({', '.join(parts)})\n"
    if len(code) + 4 * (len(place) - 1) > WIDTH:
        code = f"{held} = {merge}(\n" + "".join(f"    {part},\n" for part in parts) + ")\n"
    decision.plan.add(
        Insert(place, code, after=after, joined=not after and decision.stays),
        "lifespan",
        decision.entry.app.line,
        "Wraps the app's lifespan, behind the MCP app, which is made later than the app."
        if lifespan is not None and not decision.early
        else "Wraps the app's lifespan instead of passing `lifespan=`, which would replace it or "
        "silence its startup handlers.",
    )


def _place(decision: Decision) -> tuple[Place, bool]:
    """Behind all it needs: the app, the MCP app, whatever sets the lifespan last.

    The second says whether it goes behind that place, or in front of it.
    """
    block, mcp_app = decision.entry.app.block, decision.chosen.mcp_app
    if decision.lifespan is not None and mcp_app is None and not decision.early:
        # The MCP app is made right above the mount: this follows it there.
        return decision.mount_place, False
    needs = [setting.place[: len(block) + 1] for setting in decision.entry.lifespan.assigned]
    if decision.lifespan is not None and mcp_app is not None and not decision.early:
        if mcp_app.place[:-1] != block:
            return mcp_app.place, True
        needs.append(mcp_app.place)
    return max(needs, key=lambda place: place[-1][1], default=decision.entry.app.place), True
