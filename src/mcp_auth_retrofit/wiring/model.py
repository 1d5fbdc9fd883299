"""What an entrypoint is made of: frozen facts, each with the place where it stands."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mcp_auth_retrofit.wiring.names import Module, Names

Step = tuple[str, int]
Place = tuple[Step, ...]
"""A statement's way down from the module: (list field, index) by (list field, index).

LibCST has the same statements in the same order, so a place leads to the same statement there.
"""

Kind = Literal["route", "websocket", "router", "mount", "frontend", "opaque"]


@dataclass(frozen=True, eq=False)
class App:
    """`name = FastAPI(...)`."""

    name: str
    place: Place
    call: ast.Call
    line: int
    """1-based line of the call."""
    function: ast.FunctionDef | ast.AsyncFunctionDef | None
    """The factory that makes it; None at module level."""
    subclass: bool = False
    """Made by a subclass of FastAPI, which may pass any keyword on."""

    @property
    def block(self) -> Place:
        """The list of statements in which the app is made."""
        return self.place[:-1]

    @property
    def open_ended(self) -> bool:
        """`FastAPI(**kwargs)` or a subclass: any keyword, `lifespan=` too, may hide in it."""
        starred = any(isinstance(argument, ast.Starred) for argument in self.call.args)
        return self.subclass or starred or any(k.arg is None for k in self.call.keywords)


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
    """`mcp = FastMCP(...)`, or a name that the user says is one (`call` is None)."""

    name: str
    place: Place | None
    call: ast.Call | None
    line: int
    auth: bool = False
    """It has a guard of its own: FastMCP(auth=...)."""


@dataclass(frozen=True, eq=False)
class McpApp:
    """`mcp_app = mcp.http_app(...)`."""

    name: str
    place: Place
    call: ast.Call
    server: str
    line: int


@dataclass(frozen=True, eq=False)
class Mount:
    """`app.mount(path, X)`, where X is an MCP app that was proved to be one."""

    path: str | None
    """Without a final slash, so "" is the root; None when it is no literal."""
    place: Place
    call: ast.Call
    line: int
    mcp_app: str | None
    """The variable that is mounted; None when `http_app()` is called inside the mount."""
    inline: ast.Call | None
    server: str
    guarded: bool
    """It stands inside our ScalekitAuthMiddleware."""
    wrapped: bool = False
    """It stands inside something else, which may or may not be a guard."""


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
    assigned: tuple[tuple[Place, int], ...]
    """Where the user sets `app.router.lifespan_context`: place and line."""
    wrapped: tuple[tuple[Place, int], ...]
    """Where this tool set it in an earlier run."""
    text: ast.AST | None
    """The function or expression that runs, as far as it can be read in this file."""


@dataclass(frozen=True, eq=False)
class Ours:
    """What an earlier run of this tool left in the file."""

    imported: dict[str, str]
    """Our names and how the file spells them, e.g. {"ScalekitAuthMiddleware": "Guard"}."""
    metadata: Place | None = None
    bare_path: tuple[Place, str | None] | None = None
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
    lifespan: Lifespan
    ours: Ours
    stops: tuple[Stop, ...]
    cors: tuple[int, ...]
    """Lines that add CORSMiddleware."""
    may_guard: bool
    """A middleware of the app looks as if it asked for credentials."""
    names: Names

    @property
    def statements(self) -> list[ast.stmt]:
        """The app's block: its factory's body, or the module's."""
        return self.app.function.body if self.app.function else self.tree.body

    @property
    def size(self) -> int:
        """Number of statements in the app's block."""
        return len(self.statements)

    @property
    def module(self) -> Module:
        """The file as the name rules see it."""
        return Module(self.path, self.tree, self.names)
