"""Walking an app's block in the order in which it runs, and noting what is done to the app."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from mcp_auth_retrofit.wiring.handed import (
    function_of,
    hands,
    hands_on,
    is_app,
    is_harmless,
    local_names,
    mentions,
    parameters,
    serves,
    verb_of,
)
from mcp_auth_retrofit.wiring.model import Kind, Place, Registration, Stop
from mcp_auth_retrofit.wiring.names import (
    GUARD,
    HELPER,
    Module,
    argument,
    blocks,
    is_helper,
    is_main_guard,
)
from mcp_auth_retrofit.wiring.routers import REGISTERS, registered, target, verb_on

_SERVES = frozenset({"run", "serve", "run_with", "mount_gradio_app"})
_DEPTH = 4


@dataclass
class Scan:
    """What was seen, in the order in which it happens."""

    module: Module
    app: str
    block: Place
    registrations: list[Registration] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    handlers: list[int] = field(default_factory=list)
    assigned: list[tuple[Place, int]] = field(default_factory=list)
    wrapped: list[tuple[Place, int]] = field(default_factory=list)
    inner_mounts: dict[ast.Call, int] = field(default_factory=dict)
    """Mounts in functions that the block calls, and the line of the block's call."""
    cors: list[int] = field(default_factory=list)
    middleware: list[ast.Call] = field(default_factory=list)
    calls: list[tuple[ast.Call, str, Place]] = field(default_factory=list)
    """(call, verb, place): every `app.verb(...)` in the block itself."""
    ours: list[tuple[ast.Call, str, Place]] = field(default_factory=list)
    """(call, name, place) of what this tool wrote earlier."""


@dataclass(frozen=True)
class _Frame:
    """Whose code is being walked: under which names it knows the app, and where it is called."""

    place: Place
    owners: set[str]
    module: Module
    depth: int = 0
    """0 in the block itself; deeper inside functions that the block calls."""
    at: ast.Call | None = None
    """The block's own call that led here; None in the block itself."""


def scan(module: Module, app: str, block: Place, statements: list[ast.stmt], after: int) -> Scan:
    """Everything done to `app` in its block behind the statement that makes it."""
    seen = Scan(module, app, block)
    owners = {app}
    for index, statement in enumerate(statements):
        if index <= after:
            continue
        place = (*block, ("body", index))
        if is_main_guard(statement):
            seen.stops.append(Stop(index, statement.lineno))
            continue
        _statement(seen, statement, place, owners)
    return seen


def _statement(seen: Scan, statement: ast.stmt, place: Place, owners: set[str]) -> None:
    _ends(seen, statement, place, owners)
    _assigns(seen, statement, place, owners)
    for call in _own_calls(statement):
        _call(seen, call, _Frame(place, owners, seen.module))
    for name, inner in blocks(statement):
        for index, child in enumerate(inner):
            _statement(seen, child, (*place, (name, index)), owners)


def _own_calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls that a statement itself makes: not those of its inner blocks, not those of a
    function it defines (but those of its decorators)."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        roots: list[ast.AST] = list(statement.decorator_list)
    else:
        inner = {id(child) for _, body in blocks(statement) for child in body}
        roots = [c for c in ast.iter_child_nodes(statement) if id(c) not in inner]
        roots = [c for c in roots if not isinstance(c, ast.ExceptHandler | ast.match_case)]
    calls: list[ast.Call] = []
    pending = roots
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            calls.append(node)
        pending.extend(ast.iter_child_nodes(node))
    # An argument is evaluated before the call that takes it: inner calls end earlier.
    return iter(sorted(calls, key=lambda c: (c.end_lineno or 0, c.end_col_offset or 0)))


def _ends(seen: Scan, statement: ast.stmt, place: Place, owners: set[str]) -> None:
    """What must come after every registration: `return app`, serving it, wrapping it."""
    value = getattr(statement, "value", None)
    match statement:
        case ast.Return() if mentions(value, owners):
            _stop(seen, place, statement.lineno)
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()) if mentions(value, owners):
            _stop(seen, place, statement.lineno)
        case ast.Expr(value=ast.Call() as call) if hands(call, owners) and verb_of(call) in _SERVES:
            _stop(seen, place, statement.lineno)
        case ast.Assign() | ast.AnnAssign():
            made = target(statement)
            if isinstance(made, ast.Name) and made.id in owners:
                _stop(seen, place, statement.lineno, final=False)
        case (
            ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)
        ) if name in owners:
            _stop(seen, place, statement.lineno)
        case ast.Delete(targets=targets) if any(_is_name_of(t, owners) for t in targets):
            _stop(seen, place, statement.lineno)


def _stop(seen: Scan, place: Place, line: int, *, final: bool = True) -> None:
    depth = len(seen.block)
    seen.stops.append(Stop(place[depth][1], line, final and len(place) == depth + 1))


def _is_name_of(expression: ast.AST, owners: set[str]) -> bool:
    return isinstance(expression, ast.Name) and expression.id in owners


def _assigns(seen: Scan, statement: ast.stmt, place: Place, owners: set[str]) -> None:
    if not isinstance(statement, ast.Assign):
        return
    for made in statement.targets:
        match made:
            case ast.Name(id=name) if is_app(statement.value, owners):
                owners.add(name)  # `api = app`, `router = app.router`: the same under another name
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id=name), attr="router"),
                attr="lifespan_context",
            ) if name in owners:
                merge = seen.module.names.called(statement.value) or ""
                if merge.endswith(f"{HELPER}.merge_lifespans"):
                    seen.wrapped.append((place, statement.lineno))
                else:
                    seen.assigned.append((place, statement.lineno))


def _call(seen: Scan, call: ast.Call, frame: _Frame) -> None:
    verb = verb_on(frame.owners, call)
    if verb:
        _verb_call(seen, call, verb, frame)
        return
    if _list_call(seen, call, frame) or _our_call(seen, call, frame):
        return
    handed = hands(call, frame.owners)
    if handed and hands_on(frame.module, call):
        _stop(seen, frame.place, call.lineno, final=serves(frame.module, call))
        return
    body = function_of(frame.module, call)
    if body is not None and frame.depth < _DEPTH:
        module, function = body
        owners = parameters(function, call, frame.owners)
        if module is frame.module and seen.block == () and not handed:
            owners |= frame.owners - local_names(function)
        if owners:
            inner = _Frame(frame.place, owners, module, frame.depth + 1, frame.at or call)
            for statement in function.body:
                _inner(seen, statement, inner)
    elif handed and not is_harmless(call, frame.module):
        seen.registrations.append(_opaque(call, frame))


def _inner(seen: Scan, statement: ast.stmt, frame: _Frame) -> None:
    """The same walk inside a function that the block calls: everything happens at its call."""
    for call in _own_calls(statement):
        _call(seen, call, frame)
    for _, inner in blocks(statement):
        for child in inner:
            _inner(seen, child, frame)


def _verb_call(seen: Scan, call: ast.Call, verb: str, frame: _Frame) -> None:
    if frame.depth == 0:
        seen.calls.append((call, verb, frame.place))
    if verb == "mount" and frame.depth > 0:
        seen.inner_mounts[call] = (frame.at or call).lineno
    if verb in REGISTERS:
        for kind, path, methods in registered(call, verb, frame.module):
            seen.registrations.append(_registration(kind, path, methods, call, frame))
    elif verb in ("on_event", "add_event_handler"):
        seen.handlers.append(call.lineno)
    elif verb == "add_middleware":
        if _is_cors(call, frame.module):
            seen.cors.append(call.lineno)
        seen.middleware.append(call)
    elif verb == "middleware":
        seen.middleware.append(call)


def _is_cors(call: ast.Call, module: Module) -> bool:
    given = argument(call, 0, "middleware_class")
    return (module.names.origin(given) or "").endswith(".CORSMiddleware")


def _list_call(seen: Scan, call: ast.Call, frame: _Frame) -> bool:
    """`app.router.on_startup.append(f)`, `app.router.routes.append(...)`, `app.routes.insert()`."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr=held, value=owner)):
            base = owner.value if isinstance(owner, ast.Attribute) else owner
            if isinstance(base, ast.Name) and base.id in frame.owners:
                if held == "user_middleware":
                    _note_guard(seen, call, frame)
                elif held in ("on_startup", "on_shutdown"):
                    seen.handlers.append(call.lineno)
                elif held == "routes":
                    seen.registrations.append(_listed_route(call, frame))
                return True
    return False


def _registration(
    kind: Kind, path: str | None, methods: frozenset[str] | None, call: ast.Call, frame: _Frame
) -> Registration:
    shown = frame.at or call
    return Registration(kind, path, methods, frame.place, shown.lineno, shown.col_offset)


def _note_guard(seen: Scan, call: ast.Call, frame: _Frame) -> None:
    """`app.user_middleware.append(Middleware(Guard, ...))`, where it always runs."""
    inner = call.args[-1] if call.args else None
    if not isinstance(inner, ast.Call) or verb_of(call) not in ("append", "insert"):
        return
    origin = frame.module.names.origin(argument(inner, 0, "cls")) or ""
    holder, _, name = origin.rpartition(".")
    always = frame.depth == 0 and len(frame.place) == len(seen.block) + 1
    if always and name == GUARD and is_helper(frame.module.path, holder):
        seen.ours.append((inner, GUARD, frame.place))


def _listed_route(call: ast.Call, frame: _Frame) -> Registration:
    """What `app.router.routes.append(Mount("/a", ...))` registers."""
    kinds: dict[str, Kind] = {"Mount": "mount", "Route": "route", "WebSocketRoute": "websocket"}
    given = call.args[-1] if call.args else None
    kind = kinds.get((frame.module.names.called(given) or "").rpartition(".")[2], "opaque")
    path = None
    if isinstance(given, ast.Call) and kind != "opaque":
        path = frame.module.names.text(argument(given, 0, "path"))
    if path is None or getattr(call.func, "attr", "") != "append":
        return _registration("opaque", None, None, call, frame)
    path = path.rstrip("/") if kind == "mount" else path
    return _registration(kind, path, None, call, frame)


def _our_call(seen: Scan, call: ast.Call, frame: _Frame) -> bool:
    """What an earlier run wrote is ours: it stands in nobody's way."""
    for expression, is_guard in ((call.func, False), (argument(call, 0, "cls"), True)):
        holder, _, name = (frame.module.names.origin(expression) or "").rpartition(".")
        if is_helper(frame.module.path, holder):
            if not is_guard and name != GUARD:
                seen.ours.append((call, name, frame.place))
            return True
    return False


def _opaque(call: ast.Call, frame: _Frame) -> Registration:
    if verb_of(call) == "mount_gradio_app":
        path = frame.module.names.text(argument(call, 2, "path"))
        if path is not None:
            return _registration("mount", path.rstrip("/"), None, call, frame)
    return _registration("opaque", None, None, call, frame)
