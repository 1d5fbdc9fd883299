"""The guard: around what is mounted, or around the whole app."""

import ast

from mcp_auth_retrofit.edits import Insert, Remove, RewriteMount
from mcp_auth_retrofit.plan.decision import Decision, listed, quoted
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Mount
from mcp_auth_retrofit.wiring.names import GUARD
from mcp_auth_retrofit.wiring.nodes import nodes


def decide_mount(decision: Decision) -> None:
    """The mount in its last valid place, with the guard around what it mounts."""
    guarded = decision.plan.protect == "mcp"
    mount = decision.chosen.mount
    if mount is None:
        _new_mount(decision, guarded)
    else:
        _old_mount(decision, mount, guarded)


def _new_mount(decision: Decision, guarded: bool) -> None:
    mounted = decision.mcp_app
    if guarded:
        mounted = f"{decision.naming.ours(GUARD)}({mounted})"
    decision.plan.add(
        Insert(
            decision.spot.place,
            f"{decision.app}.mount({decision.path_source}, {mounted})\n",
            blank=0 if _is_joined(decision) else decision.apart,
        ),
        "mount",
        decision.entry.app.line,
        f"Mounts MCP at {decision.plan.mount_path}" + (", behind the guard." if guarded else "."),
    )


def _is_joined(decision: Decision) -> bool:
    """Whether the mount follows directly what is new in front of it."""
    return decision.has_bare_path or not decision.follows_health


def _old_mount(decision: Decision, mount: Mount, guarded: bool) -> None:
    spot = decision.spot
    moved_to = None if mount.path == spot.prefix else quoted(spot.prefix or "/")
    said = []
    if mount.guarded != guarded:
        said.append("puts the guard around it" if guarded else "takes the guard off it")
    if moved_to is not None:
        said.append(f"mounts it at {decision.plan.mount_path}")
    if spot.moves:
        said.append("moves it to its last valid place")
    if not said and not decision.hoists:
        return
    puts = guarded and (decision.hoists or not mount.guarded)
    edit = RewriteMount(
        mount.place,
        guard=decision.naming.ours(GUARD) if puts else None,
        bare=mount.guarded and (decision.hoists or not guarded),
        hoisted=decision.mcp_app if decision.hoists else None,
        listed=mount.listed,
        path=moved_to,
        statement=mount.place[: len(decision.entry.app.block) + 1] if decision.nested else None,
        target=spot.place if spot.moves else None,
        blank=0 if not decision.nested and _is_joined(decision) else decision.apart,
        above=decision.apart if decision.follows_health and not decision.has_bare_path else 0,
    )
    if said:
        decision.plan.add(edit, "mount", mount.line, f"The MCP mount: {listed(said)}.")
    else:
        decision.plan.edits.append(edit)


def decide_everywhere(decision: Decision) -> None:
    """`--protect all`: appended, so that it is innermost and the app's CORS stays outside."""
    ours, plan = decision.entry.ours, decision.plan
    if plan.protect == "mcp":
        if ours.everywhere is not None:
            plan.add(Remove(ours.everywhere), "guard", 1, "Takes the guard off the whole app.")
        return
    recipe = decision.entry.recipe
    open_there = recipe.exempt if recipe is not None else ()
    more = (*open_there, *decision.options.public)
    asked = ("/health", *more) if more else ()
    public = tuple(dict.fromkeys(asked or ours.public or ("/health",)))
    _refuse_open_mcp(decision, public)
    _refuse_rewritten_middleware(decision)
    if ours.everywhere is not None and ours.public == public:
        return
    if ours.everywhere is not None:
        plan.edits.append(Remove(ours.everywhere))
    paths = ", ".join(quoted(path) for path in public) + ("," if len(public) == 1 else "")
    naming = decision.naming
    code = (
        f"{decision.app}.user_middleware.append(\n"
        f"    {naming.middleware()}({naming.ours(GUARD)}, public=({paths}))\n"
        ")\n"
    )
    plan.add(
        Insert(ours.metadata or decision.entry.app.place, code, after=True),
        "guard",
        decision.entry.app.line,
        f"Guards the whole app; open stay the metadata and {listed(public)}.",
    )


def _refuse_open_mcp(decision: Decision, public: tuple[str, ...]) -> None:
    prefix, mcp_path = decision.spot.prefix, (decision.plan.mcp_path or "").rstrip("/")
    for path in public:
        bare = path.rstrip("/")
        unknown = prefix is None and bare != "/health"
        below = prefix and bare.startswith(f"{prefix}/")
        if unknown or below or bare in (prefix, mcp_path):
            raise Refused(
                Reason(
                    "public-mcp",
                    f"A public path `{path}` would leave MCP open to everybody.",
                    "Name paths that do not lie below the MCP mount: --public PATH.",
                )
            )


def _refuse_rewritten_middleware(decision: Decision) -> None:
    """Whatever else touches the list may take the guard out again."""
    entry = decision.entry
    touched = [
        node.lineno
        for node in nodes(entry.tree)
        if isinstance(node, ast.Attribute) and node.attr == "user_middleware"
    ]
    if len(touched) > (entry.ours.everywhere is not None):
        raise Refused(
            Reason(
                "middleware-rewritten",
                "The file works on `user_middleware` itself, which may take the guard out again.",
                "Guard the MCP server alone (--protect mcp), or add middleware with "
                "app.add_middleware().",
                touched[-1],
            )
        )
