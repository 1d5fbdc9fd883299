"""Which MCP server is meant, and how its HTTP app gets a name above the mount."""

import ast
import re
from dataclasses import dataclass
from typing import TypeVar

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.results import Caution, Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.mcp import bound_by, server_of, visible
from mcp_auth_retrofit.wiring.model import Entrypoint, McpApp, Mount, Server
from mcp_auth_retrofit.wiring.names import FASTMCP, HELPER, OFFICIAL, dotted, imports_of, is_literal
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.places import Place, on_the_way
from mcp_auth_retrofit.wiring.proof import Family, Served
from mcp_auth_retrofit.wiring.running import entered

_T = TypeVar("_T")
_TELLING = re.compile(
    "(create|build|make|get|mount|attach|init|setup|register|add)_(\\w+_)?mcp"
    "|mcp_?(app|server|asgi|router|middleware)",
    re.IGNORECASE,
)
"""Names that say it themselves: what they stand for serves MCP."""
MOVED = ("stateless_http", "json_response")
_REFUSED = frozenset(
    {"host", "port", "sse_path", "message_path", "streamable_http_path", "debug", "log_level"}
    | {"on_duplicate_tools", "on_duplicate_resources", "on_duplicate_prompts", "tool_serializer"}
    | {"include_tags", "exclude_tags", "tool_transformations"}
    | {"sampling_handler", "sampling_handler_behavior"}
)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The MCP side of one mount: each part None when it has to be made."""

    server: Server | None
    mcp_app: McpApp | None
    mount: Mount | None
    converted: bool = False
    """FastApiMCP serves the app's own routes."""

    @property
    def makes_server(self) -> bool:
        """There is none: one with a sample tool is made."""
        return not (self.server or self.mcp_app or self.mount or self.converted)

    @property
    def served(self) -> Served | None:
        """What is mounted is proved to be; None when it has to be made, or is only told."""
        if self.mount is not None:
            return self.mount.served
        return self.mcp_app.served if self.mcp_app is not None else None

    @property
    def family(self) -> Family:
        """Whose server it is; one that is made here is FastMCP's."""
        made = self.served.server if self.served else self.server.made if self.server else None
        return made.family if made is not None else "fastmcp"

    @property
    def from_app(self) -> bool:
        """The server's tools are the app's own routes."""
        if self.converted:
            return True
        made = self.served.server if self.served else self.server.made if self.server else None
        return made is not None and made.from_app


def choose(entry: Entrypoint, options: Options) -> list[Chosen]:
    """One for each MCP mount, or the one that is to be mounted.

    Raises Refused when several servers could be meant, or when one may lie elsewhere.
    """
    if entry.mounts:
        return [_mounted(entry, mount) for mount in entry.mounts]
    return [_unmounted(entry, options)]


def _mounted(entry: Entrypoint, mount: Mount) -> Chosen:
    mcp_app = _last([a for a in entry.mcp_apps if a.name == mount.mcp_app])
    server = _last([s for s in entry.servers if s.name == mount.server])
    return Chosen(server, mcp_app, mount)


def _unmounted(entry: Entrypoint, options: Options) -> Chosen:
    apps = list(entry.mcp_apps)
    servers = list(entry.servers)
    if options.mcp:
        apps = [a for a in apps if options.mcp in (a.name, a.server)]
        servers = [
            s for s in servers if s.name == options.mcp or s.name in {a.server for a in apps}
        ]
        if not servers and not apps:
            raise Refused(
                Reason(
                    "no-such-server",
                    f"Nothing in this file is an MCP server or MCP app called `{options.mcp}`.",
                    "Name a variable bound to FastMCP(...), to its http_app(), or imported.",
                )
            )
    if len(apps) > 1 or (not apps and len(servers) > 1):
        names = ", ".join(f"`{x.name}`" for x in (apps or servers))
        raise Refused(
            Reason(
                "several-servers",
                f"Several MCP servers could be mounted here: {names}.",
                "Name the one that is meant: --mcp NAME.",
                (apps or servers)[1].line,
            )
        )
    if apps:
        return Chosen(_last([s for s in servers if s.name == apps[0].server]), apps[0], None)
    if not servers and options.mount_path is None:
        _refuse_by_hand(entry)
        _refuse_imported(entry)
        _refuse_unmounted(entry)
    return Chosen(_last(servers), None, None)


def refuse_hidden_server(entry: Entrypoint) -> None:
    """The app's lifespan starts an MCP app, and nothing here mounts one: somebody else does."""
    if entry.mounts or entry.mcp_apps or entry.servers or entry.converted:
        return
    for held in entered(entry):
        shown = ast.unparse(held)
        if held.attr == "session_manager" or "mcp" in shown.lower():
            raise Refused(
                Reason(
                    "mcp-elsewhere",
                    f"The app's lifespan runs `{shown}`, and nothing here mounts what it is of: "
                    "where that is done, MCP would stay open.",
                    "Mount it in this file, and run apply again.",
                    held.lineno,
                )
            )


def _last(found: list[_T]) -> _T | None:
    return found[-1] if found else None


def _refuse_imported(entry: Entrypoint) -> None:
    """A sample server beside the real one would be worse than a refusal."""
    for node in nodes(entry.tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            origin = next(origin for _, origin in imports_of(node))
            found = siblings.find(entry.path, origin)
            if found is not None and b"FastMCP" in found[0].read_bytes():
                raise Refused(
                    Reason(
                        "mcp-elsewhere",
                        f"The server may come in with `from {node.module} import *`.",
                        "Import it by its name.",
                        node.lineno,
                    )
                )
    for local, origin in sorted(entry.names.imported.items()):
        library = origin.partition(".")[0] in ("mcp", "fastmcp")
        if "mcp" not in origin.lower() or library or origin.endswith(HELPER):
            continue
        if _TELLING.search(local) or _may_serve(entry, origin):
            raise Refused(_unread(entry, local, origin))


def _unread(entry: Entrypoint, local: str, origin: str) -> Reason:
    """A name that may stand for the MCP server: what to say of it depends on how it is used."""
    source, otherwise = (
        f"`{origin.rpartition('.')[0]}`",
        "say where MCP shall be: --mount-path PATH.",
    )
    for node in nodes(entry.tree):
        given = (
            [*node.args, *(k.value for k in node.keywords)] if isinstance(node, ast.Call) else []
        )
        if isinstance(node, ast.Call) and local in {dotted(node.func), *map(dotted, given)}:
            return Reason(
                "mcp-elsewhere",
                f"`{local}`, used here, comes from {source}, which can't be read, and may serve "
                "MCP itself.",
                f"If it does, take it out or guard it where it is made; if not, {otherwise}",
                node.lineno,
            )
    return Reason(
        "mcp-elsewhere",
        f"`{local}` comes from {source} and may be the MCP server, but nothing in this file mounts "
        "or proves it.",
        f"If it is a FastMCP server, say so: --mcp {local}. If not, {otherwise}",
        entry.names.lines.get(local),
    )


def _refuse_unmounted(entry: Entrypoint) -> None:
    """A server that a function of this file makes, and that nothing mounts."""
    for node in nodes(entry.tree):
        if isinstance(node, ast.Call) and entry.names.called(node) in FASTMCP | OFFICIAL:
            raise Refused(
                Reason(
                    "mcp-elsewhere",
                    "An MCP server is made here, and nothing mounts it.",
                    "Mount its http_app() on the app and run apply again; for another server "
                    "beside it, say where it shall be: --mount-path PATH.",
                    node.lineno,
                )
            )


def _may_serve(entry: Entrypoint, origin: str) -> bool:
    """Whether a module makes an MCP server, as far as its text tells; a library's always may."""
    found = siblings.find(entry.path, origin) or siblings.find(entry.path, f"{origin}.")
    if found is None:
        return not origin.startswith(".")
    text = found[0].read_bytes()
    return any(mark in text for mark in (b"FastMCP", b"MCPServer", b"mcp.server"))


def _refuse_by_hand(entry: Entrypoint) -> None:
    """MCP spoken by the app's own routes: a server beside it would not be the one that is used."""
    for registration in entry.registrations:
        segments = (registration.path or "").lower().split("/")
        if "mcp" in segments or segments[-1] == "sse":
            raise Refused(
                Reason(
                    "mcp-by-hand",
                    f"The app serves `{registration.path}` by itself, and there is no FastMCP "
                    "server.",
                    "If that is MCP written by hand, serve its tools with FastMCP and run apply "
                    "again. If not, say where MCP shall be: --mount-path PATH.",
                    registration.line,
                )
            )


def stands_before_app(entry: Entrypoint, place: Place | None) -> bool:
    """Whether what is bound at a place is bound when FastAPI(...) is called."""
    if place is None:
        return True
    app, depth = entry.app.place, len(place) - 1
    if len(app) <= depth or place[:-1] != app[:depth] or place[-1][0] != app[depth][0]:
        return False  # a name bound in an `if` may not be bound at all
    if place[-1][1] != app[depth][1]:
        # A factory runs after its whole module.
        return place[-1][1] < app[depth][1] or depth < _factory_depth(entry)
    return False


def _factory_depth(entry: Entrypoint) -> int:
    """How many steps of the app's place lead to the function that makes it."""
    around = on_the_way(entry.tree, entry.app.place)
    return max((len(p) for p, holder in around if holder in entry.app.functions), default=0)


def bound_above(entry: Entrypoint, expression: ast.expr) -> bool:
    """Whether every name of an expression is bound when FastAPI(...) is called."""
    names = {dotted(node) for node in ast.walk(expression)} - {None}
    return all(
        stands_before_app(entry, place)
        for statement, place in visible(entry.module, entry.app)
        if names & {*bound_by(statement)}
    )


_READ_WHEN_MADE = frozenset({"auth", "custom_route", "settings"})


def may_be_made_above(entry: Entrypoint, mount: Mount) -> bool:
    """Whether what a mount makes on the spot means the same above FastAPI(...).

    True for `server.http_app(...)` of literals, unless something is done to the server in between
    that the HTTP app only takes in when it is made. A function of the user's own is called where
    it was.
    """
    call = mount.held
    if not isinstance(call, ast.Call) or server_of(call) is None or not bound_above(entry, call):
        return False
    literal = all(is_literal(v) for v in (*call.args, *(k.value for k in call.keywords)))
    touched = any(
        isinstance(node, ast.Attribute)
        and node.attr in _READ_WHEN_MADE
        and dotted(node.value) == server_of(call)
        and entry.app.line < node.lineno < mount.line
        for node in nodes(entry.tree)
    )
    return literal and not touched


def moved_keywords(entry: Entrypoint, server: Server | None) -> tuple[tuple[str, str], ...]:
    """What FastMCP() refuses since version 3 and `http_app()` takes: (name, source)."""
    call = _constructor(entry, server)
    if call is None:
        return ()
    return tuple((k.arg, ast.unparse(k.value)) for k in call.keywords if k.arg in MOVED)


def refused_keywords(entry: Entrypoint, server: Server | None) -> list[Caution]:
    """Other constructor keywords that stop the app from starting on FastMCP 3 and later."""
    call = _constructor(entry, server)
    return [
        Caution(
            "fastmcp-keyword",
            f"FastMCP() takes no `{k.arg}=` since version 3: the app will not start with it.",
            k.value.lineno,
        )
        for k in (call.keywords if call else ())
        if k.arg in _REFUSED
    ]


def _constructor(entry: Entrypoint, server: Server | None) -> ast.Call | None:
    if server is None or server.call is None or entry.names.called(server.call) not in FASTMCP:
        return None
    return server.call
