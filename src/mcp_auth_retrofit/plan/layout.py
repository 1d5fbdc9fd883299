"""Where the guard's code is: in a module beside the entrypoint, or inside the entrypoint."""

import ast

from mcp_auth_retrofit.edits import Insert
from mcp_auth_retrofit.inline import block
from mcp_auth_retrofit.options import Layout, Options
from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Entrypoint


def layout_of(entry: Entrypoint, options: Options) -> Layout:
    """As asked for, else as the file has it. Raises Refused where it has the other one."""
    there: Layout | None = None
    if entry.inlined is not None:
        there = "inline"
    elif entry.ours.imported:
        there = "module"
    if there is not None and options.layout not in (None, there):
        raise Refused(
            Reason(
                "layout-differs",
                "The guard is in a module beside this file."
                if there == "module"
                else "The guard is inside this file.",
                "To have it otherwise, take out what was added and run apply again.",
                entry.inlined.lines[0] if entry.inlined else None,
            )
        )
    return there or options.layout or "module"


def decide_layout(decision: Decision) -> None:
    """Puts the guard's code behind the imports, where everything that uses it comes later."""
    renamed, entry = decision.naming.renamed, decision.entry
    if renamed is None:
        return
    before = entry.app.place[0][1]
    imports = [
        index
        for index, statement in enumerate(entry.tree.body[: before + 1])
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    code = block(renamed)
    place = (("body", max(imports)),) if imports else (("body", before),)
    decision.plan.add(
        Insert(place, code, blank=1, after=bool(imports)),
        "layout",
        entry.app.line,
        "Puts the guard's code behind the imports"
        + (
            f" ({', '.join(f'{own} as {new}' for own, new in sorted(renamed.items()))})."
            if renamed
            else "."
        ),
    )
