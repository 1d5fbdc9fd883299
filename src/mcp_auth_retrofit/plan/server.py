"""Which MCP server is meant, and how its HTTP app gets a name above the mount."""

import ast
from dataclasses import dataclass
from typing import TypeVar

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.results import Caution, Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import Entrypoint, McpApp, Mount, Place, Server
from mcp_auth_retrofit.wiring.names import FASTMCP, argument, imports_of

_T = TypeVar("_T")
MOVED = ("stateless_http", "json_response")
_REFUSED = frozenset(
    {"host", "port", "sse_path", "message_path", "streamable_http_path", "debug", "log_level"}
    | {"on_duplicate_tools", "on_duplicate_resources", "on_duplicate_prompts", "tool_serializer"}
    | {"include_tags", "exclude_tags", "tool_transformations"}
    | {"sampling_handler", "sampling_handler_behavior"}
)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The MCP side of the plan: each part None when it has to be made."""

    server: Server | None
    mcp_app: McpApp | None
    mount: Mount | None

    @property
    def http_call(self) -> ast.Call | None:
        """The `http_app(...)` call that is mounted, when there is one."""
        if self.mcp_app is not None:
            return self.mcp_app.call
        return self.mount.inline if self.mount else None


def choose(entry: Entrypoint, options: Options) -> Chosen:
    """Raises Refused when several servers could be meant, or when one may lie elsewhere."""
    if entry.mounts:
        mount = entry.mounts[0]
        mcp_app = _last([a for a in entry.mcp_apps if a.name == mount.mcp_app])
        return Chosen(_last([s for s in entry.servers if s.name == mount.server]), mcp_app, mount)
    apps = list(entry.mcp_apps)
    servers = list(entry.servers)
    if options.mcp:
        apps = [a for a in apps if options.mcp in (a.name, a.server)]
        servers = [
            s for s in servers if s.name == options.mcp or s.name in {a.server for a in apps}
        ]
        if not servers:
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
    if not servers:
        _refuse_imported(entry)
    return Chosen(_last(servers), None, None)


def _last(found: list[_T]) -> _T | None:
    return found[-1] if found else None


def _refuse_imported(entry: Entrypoint) -> None:
    """A sample server beside the real one would be worse than a refusal."""
    for node in ast.walk(entry.tree):
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
        library = origin.lstrip(".").partition(".")[0] in ("mcp", "fastmcp")
        if "mcp" in origin.lower() and not library and not origin.endswith("scalekit_auth"):
            raise Refused(
                Reason(
                    "mcp-elsewhere",
                    f"`{local}` comes from `{origin.rpartition('.')[0]}` and may be the MCP "
                    "server, but nothing in this file mounts or proves it.",
                    f"If it is a FastMCP server, say so: --mcp {local}. If it is none, make the "
                    "server here: mcp = FastMCP(...).",
                )
            )


def stands_before_app(entry: Entrypoint, place: Place | None) -> bool:
    """Whether what is bound at a place is bound when FastAPI(...) is called."""
    if place is None:
        return True
    block = entry.app.block
    if place[:-1] == block:
        return place[-1][1] < entry.app.place[-1][1]
    # A factory runs after its whole module; a name bound in an `if` may not be bound at all.
    return bool(block) and len(place) == 1


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


def inner_path(entry: Entrypoint, call: ast.Call | None) -> str | None:
    """The MCP app's own path below its mount; FastMCP's default is "/mcp" ("/sse" for SSE)."""
    if call is None:
        return "/"
    given = argument(call, 0, "path")
    if given is None and any(k.arg is None for k in call.keywords):
        return None
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        sse = entry.names.text(argument(call, None, "transport")) == "sse"
        return "/sse" if sse else "/mcp"
    return entry.names.text(given)
