"""The MCP server and its HTTP app: made where there is none, named where the mount hid it."""

from mcp_auth_retrofit.edits import AddKeywords, Hoist, Insert, MoveKeywords
from mcp_auth_retrofit.plan.decision import Decision, listed, quoted
from mcp_auth_retrofit.plan.server import moved_keywords, refused_keywords
from mcp_auth_retrofit.wiring.names import argument

_SAMPLE = '''\
{mcp} = {fastmcp}({title})
{gap}
@{mcp}.tool
def {tool}(name: str) -> str:
    """Greet somebody: a sample tool, to be replaced by your own."""
    return f"Hello, {{name}}!"
'''


def decide_mcp_app(decision: Decision) -> None:
    """The server, what its constructor no longer takes, and a variable for its HTTP app."""
    entry, chosen, plan = decision.entry, decision.chosen, decision.plan
    keywords = moved_keywords(entry, chosen.server)
    if chosen.server is None:
        _make_server(decision)
    elif keywords and chosen.server.place is not None:
        names = tuple(name for name, _ in keywords)
        plan.add(
            MoveKeywords(chosen.server.place, names),
            "constructor",
            chosen.server.line,
            f"Moves {listed(names)} from FastMCP(), which refuses it since version 3, "
            "to http_app().",
        )
    plan.warnings += refused_keywords(entry, chosen.server)
    if chosen.mcp_app is None:
        _name_mcp_app(decision, keywords)
    elif keywords:
        plan.edits.append(AddKeywords(chosen.mcp_app.place, keywords))


def _make_server(decision: Decision) -> None:
    entry = decision.entry
    title = entry.names.text(argument(entry.app.call, None, "title"))
    code = _SAMPLE.format(
        mcp=decision.server,
        gap="\n" * (decision.apart - 1),
        fastmcp=decision.naming.fastmcp(),
        title=quoted(title or "MCP server"),
        tool=decision.naming.free("hello", "greet", "say_hello"),
    )
    decision.plan.add(
        Insert(entry.app.place, code, blank=1, joined=True),
        "server",
        entry.app.line,
        f"Makes the MCP server `{decision.server}` with one sample tool.",
    )


def _name_mcp_app(decision: Decision, keywords: tuple[tuple[str, str], ...]) -> None:
    """`mcp_app = mcp.http_app(...)`: above FastAPI(...), else right above the mount."""
    early, mount, name = decision.early, decision.chosen.mount, decision.mcp_app
    target = decision.entry.app.place if early else decision.mount_place
    joined = early or decision.stays
    above = 0 if early or decision.nested else decision.apart
    if mount is not None:
        decision.plan.add(
            Hoist(mount.place, name, target, keywords, above, joined),
            "mcp_app",
            mount.line,
            f"Gives the mounted http_app() a name, `{name}`, so that its lifespan can run.",
        )
        return
    extra = "".join(f", {keyword}={value}" for keyword, value in keywords)
    behind_sample = decision.chosen.server is None
    decision.plan.add(
        Insert(
            target,
            f'{name} = {decision.server}.http_app(path="/"{extra})\n',
            blank=decision.apart if behind_sample else above,
            joined=joined,
        ),
        "mcp_app",
        decision.entry.app.line,
        f"Makes the server's HTTP app, `{name}`.",
    )
