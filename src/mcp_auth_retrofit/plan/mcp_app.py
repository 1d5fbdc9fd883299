"""The MCP server and its HTTP app: made where there is none, named where the mount hid it."""

import ast

from mcp_auth_retrofit.edits import AddKeywords, Hoist, Insert, MoveKeywords
from mcp_auth_retrofit.plan.decision import Decision, listed, quoted
from mcp_auth_retrofit.plan.server import moved_keywords, refused_keywords
from mcp_auth_retrofit.results import Reason, Refused
from mcp_auth_retrofit.wiring.model import Mount
from mcp_auth_retrofit.wiring.names import argument, dotted
from mcp_auth_retrofit.wiring.proof import Made

Keywords = tuple[tuple[str, str], ...]

_STATELESS = ", stateless_http=True"
"""Sessions live in one process: with several workers, a client's next request finds none."""
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
        if chosen.mount is None and chosen.mcp_app is None:
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
    if chosen.mount is None and chosen.mcp_app is None:
        _make_mcp_app(decision, keywords)
    elif decision.hoists:
        _name_mcp_app(decision, keywords)
    elif keywords and chosen.mcp_app is not None and chosen.mcp_app.call is not None:
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


def _name_mcp_app(decision: Decision, keywords: Keywords) -> None:
    """`mcp_app = mcp.http_app(...)`: above FastAPI(...), else right above the mount."""
    mount = decision.chosen.mount
    if mount is None:
        return
    _refuse_made_in_wrapper(mount)
    early, name = decision.early, decision.mcp_app
    decision.plan.add(
        Hoist(
            mount.place,
            mount.guarded,
            name,
            decision.entry.app.place if early else decision.mount_place,
            keywords,
            0 if early or decision.stays else decision.apart,
            joined=early or decision.stays,
        ),
        "mcp_app",
        mount.line,
        f"Gives the mounted {_shown(mount.held)} a name, `{name}`, so that its lifespan can run.",
    )


def _shown(made: ast.expr) -> str:
    called = made.func if isinstance(made, ast.Call) else made
    return f"{(dotted(called) or 'app').rpartition('.')[2]}()"


def _refuse_made_in_wrapper(mount: Mount) -> None:
    if mount.wrapped:
        raise Refused(
            Reason(
                "wrapped-mount",
                "The MCP app is made inside a wrapper, and nothing runs its lifespan.",
                "Give it a name first, mcp_app = ..., mount the wrapper around that, and run apply "
                "again.",
                mount.line,
            )
        )


def _make_mcp_app(decision: Decision, keywords: Keywords) -> None:
    """The HTTP app of a server that nobody serves yet."""
    early, server, name = decision.early, decision.server, decision.mcp_app
    extra = "".join(f", {keyword}={value}" for keyword, value in keywords)
    stateless = "" if any(keyword == "stateless_http" for keyword, _ in keywords) else _STATELESS
    code = f'{name} = {server}.http_app(path="/"{stateless}{extra})\n'
    if decision.chosen.family == "official":
        made = decision.chosen.server.made if decision.chosen.server else None
        code = _official(name, server, made)
    behind_sample = decision.chosen.server is None
    decision.plan.add(
        Insert(
            decision.entry.app.place if early else decision.mount_place,
            code,
            blank=decision.apart if behind_sample or not early else 0,
            joined=early or decision.stays,
        ),
        "mcp_app",
        decision.entry.app.line,
        f"Makes the server's HTTP app, `{name}`.",
    )


def _official(name: str, server: str, made: Made | None) -> str:
    """mcp 2 takes the path when the app is made, mcp 1 among the server's settings."""
    called = made.scope.module.names.called(made.call) if made is not None else None
    if (called or "").endswith("MCPServer"):
        given = f'streamable_http_path="/"{_STATELESS}'
        return f"{name} = {server}.streamable_http_app({given})\n"
    settings = f"{server}.settings"
    return (
        f'{settings}.streamable_http_path = "/"\n'
        f"{settings}.stateless_http = True\n"
        f"{name} = {server}.streamable_http_app()\n"
    )
