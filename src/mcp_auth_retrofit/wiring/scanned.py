"""What a walk of the app's block notes, and where it is while it walks."""

import ast
from dataclasses import dataclass, field

from mcp_auth_retrofit.wiring.bindings import Function
from mcp_auth_retrofit.wiring.model import App, Kind, Registration, Setting, Stop
from mcp_auth_retrofit.wiring.names import Module, argument
from mcp_auth_retrofit.wiring.places import Place


@dataclass(frozen=True, eq=False)
class Mounting:
    """One call of `app.mount(...)`, wherever it stands."""

    call: ast.Call
    place: Place
    """Of its own statement, in its own module."""
    at: Place
    """Of the statement of the app's block that leads to it."""
    owner: str
    """The app's name there."""
    module: Module
    functions: tuple[Function, ...]
    """The functions around it."""
    listed: int | None = None
    """It is the n-th `Mount(...)` in the constructor's `routes=`."""


@dataclass
class Scan:
    """What was seen, in the order in which it happens."""

    module: Module
    app: App
    registrations: list[Registration] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    handlers: list[int] = field(default_factory=list)
    assigned: list[Setting] = field(default_factory=list)
    wrapped: list[Setting] = field(default_factory=list)
    mounts: list[Mounting] = field(default_factory=list)
    """Those in functions that the block calls, too."""
    cors: list[int] = field(default_factory=list)
    middleware: list[ast.Call] = field(default_factory=list)
    ours: list[tuple[ast.Call, str, Place]] = field(default_factory=list)
    """(call, name, place) of what this tool wrote earlier."""

    @property
    def block(self) -> Place:
        """The app's block."""
        return self.app.block


@dataclass(frozen=True)
class Frame:
    """Whose code is being walked: under which names it knows the app, and where it is called."""

    place: Place
    owners: set[str]
    module: Module
    depth: int = 0
    """0 in the block itself; deeper inside functions that the block calls."""
    at: ast.expr | None = None
    """The block's own expression that led here; None in the block itself."""
    functions: tuple[Function, ...] = ()
    """The functions around the code."""


def registration(
    kind: Kind, path: str | None, methods: frozenset[str] | None, call: ast.Call, frame: Frame
) -> Registration:
    shown = frame.at or call
    return Registration(kind, path, methods, frame.place, shown.lineno, shown.col_offset, call)


def listed_route(call: ast.Call, frame: Frame) -> Registration:
    """What `app.router.routes.append(Mount("/a", ...))` registers."""
    given = call.args[-1] if call.args else None
    if given is None or getattr(call.func, "attr", "") != "append":
        return registration("opaque", None, None, call, frame)
    return routed(given, frame, call)


def routed(route: ast.expr, frame: Frame, by: ast.Call | None = None) -> Registration:
    """What a Starlette route object is, in a list or where a call puts it into one."""
    kinds: dict[str, Kind] = {"Mount": "mount", "Route": "route", "WebSocketRoute": "websocket"}
    kind = kinds.get((frame.module.names.called(route) or "").rpartition(".")[2], "opaque")
    shown = by or (route if isinstance(route, ast.Call) else None)
    path = None
    if isinstance(route, ast.Call) and kind != "opaque":
        path = frame.module.names.text(argument(route, 0, "path"))
    if path is None or shown is None:
        kind, path = "opaque", None
    path = path.rstrip("/") if path is not None and kind == "mount" else path
    shown = shown or ast.copy_location(ast.Call(route, [], []), route)
    return registration(kind, path, None, shown, frame)
