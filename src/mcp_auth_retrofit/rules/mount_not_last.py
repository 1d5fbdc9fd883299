"""An MCP mount is not the last registration though it could be. Nothing dies yet.

The next route that somebody adds below the mount's prefix will be dead on arrival, and at the root
any route will. What must come behind the mount (a catch-all, a root mount, StaticFiles at "/", a
call whose doing is unknown) is no reason for a finding: there the mount stands rightly.
"""

from collections.abc import Iterator

from mcp_auth_retrofit.rules.finding import Rule, Spot
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.order import dead, earlier_grave, exclusive, later, standing


def _find(entry: Entrypoint) -> Iterator[Spot]:
    depth = len(entry.app.block)
    mounts = {mount.call for mount in entry.mounts}
    for mount in entry.mounts:
        fixed = mount.listed is not None or mount.place != mount.at
        if fixed or mount.path is None or dead(entry, mount) or earlier_grave(entry, mount):
            continue
        limit = standing(entry, mount.path, mount).limit
        behind = [
            r
            for r in later(entry, mount)
            if r.call not in mounts
            and mount.at[depth][1] < r.top(entry.app.block) < limit
            and not exclusive(r, mount)
        ]
        if behind:
            yield Spot(
                mount.line,
                mount.call.col_offset,
                f"The MCP mount at {mount.path or '/'} is not the last registration: line "
                f"{behind[0].line} comes after it. Nothing is buried yet.",
                fixable=len(mount.place) == depth + 1,
            )


RULE = Rule("MAR002", "mount-not-last", "warning", _find)
