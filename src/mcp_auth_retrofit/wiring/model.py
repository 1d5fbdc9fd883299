"""What an entrypoint is made of: frozen facts, each with the place where it stands."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mcp_auth_retrofit.wiring.bindings import Function, Scope
from mcp_auth_retrofit.wiring.inlined import Inlined
from mcp_auth_retrofit.wiring.names import Module, Names
from mcp_auth_retrofit.wiring.places import Place, statements_of
from mcp_auth_retrofit.wiring.proof import Made, Served

if TYPE_CHECKING:
    from mcp_auth_retrofit.wiring.gatekeepers import Gatekeeper
    from mcp_auth_retrofit.wiring.recipe import Recipe

Kind = Literal["route", "websocket", "router", "mount", "frontend", "opaque"]


@dataclass(frozen=True, eq=False)
class App:
    """`name = FastAPI(...)`, or whatever else the app comes from."""

    name: str
    """A plain name, or a dotted one such as `self.app`."""
    place: Place
    """Of the statement, in the block that does everything to the app, from which on it is there."""
    call: ast.Call
    """Its constructor's call; of the last one, where an `if` has several."""
    line: int
    """1-based line of that statement's call."""
    functions: tuple[Function, ...]
    """The functions around it, outermost first: the factory that makes it is the last."""
    subclass: bool = False
    """Made by a subclass of FastAPI, which may pass any keyword on."""
    indirect: bool = False
    """No plain assignment of its constructor's call: an `if`, a function's result, an import."""

    @property
    def block(self) -> Place:
        """The list of statements in which the app is made."""
        return self.place[:-1]

    @property
    def function(self) -> Function | None:
        """The factory that makes it; None at module level."""
        return self.functions[-1] if self.functions else None

    @property
    def open_ended(self) -> bool:
        """`FastAPI(**kwargs)` or a subclass: any keyword, `lifespan=` too, may hide in it."""
        starred = any(isinstance(argument, ast.Starred) for argument in self.call.args)
        hidden = any(k.arg is None for k in self.call.keywords)
        return self.subclass or self.indirect or starred or hidden


@dataclass(frozen=True, eq=False)
class Registration:
    """One thing the app's router is given, in the order in which it is given."""

    kind: Kind
    path: str | None
    """Starlette's path pattern; for a mount its prefix; None when it can't be read."""
    methods: frozenset[str] | None
    """None: any method."""
    place: Place
    line: int
    """Of the block's own call, when a function that it calls registers this."""
    offset: int = 0
    """0-based offset in the line, in UTF-8 bytes, as `ast` counts."""
    call: ast.AST | None = None
    """The registering call itself, wherever it stands."""

    def top(self, block: Place) -> int:
        """The index, in `block`, of the statement that registers it."""
        return self.place[len(block)][1]


@dataclass(frozen=True)
class Stop:
    """What must come after every registration: serving, wrapping or returning the app."""

    index: int
    """Of the statement in the app's block that holds it."""
    line: int
    final: bool = True
    """Nothing of the block runs after it, or runs too late: not so for an early return inside an
    `if`, nor for another app that is made around this one."""


@dataclass(frozen=True, eq=False)
class Server:
    """`mcp = FastMCP(...)`, or a name that the user says is one (`made` is None)."""

    name: str
    place: Place | None
    """Of the statement that binds or imports it; None when the user alone says so."""
    call: ast.Call | None
    """The constructor's call, when it stands here."""
    line: int
    made: Made | None = None


@dataclass(frozen=True, eq=False)
class McpApp:
    """`mcp_app = mcp.http_app(...)`, or an imported name that is proved to be one."""

    name: str
    place: Place
    """Of the statement that binds or imports it."""
    call: ast.Call | None
    """The call that makes it, when it is what the statement assigns."""
    server: str | None
    """The server's name here; None when it lies elsewhere."""
    line: int
    served: Served


@dataclass(frozen=True, eq=False)
class Mount:
    """`app.mount(path, X)`, where X is an MCP app that was proved to be one."""

    path: str | None
    """Without a final slash, so "" is the root; None when it is no literal."""
    place: Place
    """Of the statement itself."""
    at: Place
    """Of the statement of the app's block that leads to it: the same, or a function's call."""
    owner: str
    """The app's name where the mount stands."""
    call: ast.Call
    line: int
    mcp_app: str | None
    """The name that is mounted; None when it is a call's result."""
    held: ast.expr
    """What is mounted, out of our guard and any other wrapper."""
    server: str | None
    """The server's name here; None when it lies elsewhere."""
    served: Served | None
    """What is mounted is proved to be; None when it is made by hand, or the user alone says it."""
    by_hand: bool
    """It is a Starlette app that is made for MCP's transport."""
    guarded: bool
    """It stands inside our ScalekitAuthMiddleware."""
    wrapped: bool = False
    """It stands inside something else, which may or may not be a guard."""
    listed: int | None = None
    """Not `app.mount(...)` but `Mount(...)` in the constructor's `routes=`: which of them."""

    @property
    def inline(self) -> ast.expr | None:
        """The call whose result is mounted."""
        return self.held if self.mcp_app is None else None


@dataclass(frozen=True, eq=False)
class Converted:
    """`mcp.mount_http()` of a FastApiMCP server: the app's own routes, served as tools."""

    name: str
    """The server's."""
    app: str
    """The name of the app that it is made from."""
    place: Place
    call: ast.Call
    line: int
    path: ast.expr | None
    """What stands behind `mount_path=`."""
    default: str
    """Its path otherwise."""
    sse: bool
    """The older transport: a second path, for messages, lies below the first."""
    router: ast.expr | None
    """Where the routes go, when that is not the app itself."""
    routes: tuple[tuple[Place, bool], ...]
    """`app.add_route(path, mcp_app)` that leads to them: its place, and whether it is guarded."""
    auth: bool
    """It has a guard of its own: FastApiMCP(auth_config=...)."""

    @property
    def guarded(self) -> bool:
        """Our guard stands in front of every route that leads to it."""
        return bool(self.routes) and all(guarded for _, guarded in self.routes)

    @property
    def answers_at(self) -> str:
        """Its path; the source of what only a run can tell."""
        if self.path is None:
            return self.default
        if isinstance(self.path, ast.Constant):
            return "/" + str(self.path.value).strip("/")
        return ast.unparse(self.path)


@dataclass(frozen=True, eq=False)
class Setting:
    """`app.router.lifespan_context = ...`."""

    place: Place
    """Of the statement of the app's block that leads to it."""
    line: int
    statement: ast.Assign
    scope: Scope


@dataclass(frozen=True, eq=False)
class Lifespan:
    """How the app's start and end are wired today."""

    value: ast.expr | None
    """What stands behind `lifespan=`; None when nothing or None does."""
    keyword: ast.keyword | None
    handlers: tuple[int, ...]
    """Lines of `on_event`, `on_startup=`, `router.on_startup`, `add_event_handler`."""
    more_handlers: bool
    """Something in the file, or in a module it imports, may add handlers by another way."""
    assigned: tuple[Setting, ...]
    """Where the user sets `app.router.lifespan_context`."""
    wrapped: tuple[Setting, ...]
    """Where this tool set it in an earlier run."""
    text: ast.AST | None
    """The function or expression that runs, as far as it can be read in this file."""


@dataclass(frozen=True, eq=False)
class Ours:
    """What an earlier run of this tool left in the file."""

    imported: dict[str, str]
    """Our names and how the file spells them, e.g. {"ScalekitAuthMiddleware": "Guard"}."""
    metadata: Place | None = None
    bare_paths: tuple[tuple[Place, ast.expr | None], ...] = ()
    """`answer_bare_path(app, "/mcp")`: its own place and the path."""
    everywhere: Place | None = None
    """`app.user_middleware.append(Middleware(ScalekitAuthMiddleware, ...))`."""
    public: tuple[str, ...] = ()
    settings_lifespan: bool = False


@dataclass(frozen=True, eq=False)
class Entrypoint:
    """One file, read."""

    path: Path
    tree: ast.Module
    app: App
    registrations: tuple[Registration, ...]
    servers: tuple[Server, ...]
    mcp_apps: tuple[McpApp, ...]
    mounts: tuple[Mount, ...]
    converted: tuple[Converted, ...]
    lifespan: Lifespan
    ours: Ours
    stops: tuple[Stop, ...]
    cors: tuple[int, ...]
    """Lines that add CORSMiddleware."""
    inlined: Inlined | None
    """The guard, where an earlier run put it into this file; the tree passes it over."""
    recipe: "Recipe | None"
    """The published recipe, where the file follows it."""
    gatekeepers: "tuple[Gatekeeper, ...]"
    """Middlewares of the app that look as if they asked for credentials."""
    names: Names

    @property
    def statements(self) -> list[ast.stmt]:
        """The app's block: its factory's body, or the module's."""
        return statements_of(self.tree, self.app.block)

    @property
    def scope(self) -> Scope:
        """Where the app's block reads its names."""
        return Scope(self.module, self.app.functions)

    @property
    def size(self) -> int:
        """Number of statements in the app's block."""
        return len(self.statements)

    @property
    def module(self) -> Module:
        """The file as the name rules see it."""
        return Module(self.path, self.tree, self.names)
