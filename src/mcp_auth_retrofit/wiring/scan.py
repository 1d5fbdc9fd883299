"""Walking an app's block in the order in which it runs, and noting what is done to the app."""

import ast
from collections.abc import Iterator

from mcp_auth_retrofit.wiring.bindings import Function, Scope
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
from mcp_auth_retrofit.wiring.model import App, Registration, Setting, Stop
from mcp_auth_retrofit.wiring.names import (
    GUARD,
    HELPER,
    Module,
    argument,
    blocks,
    dotted,
    is_helper,
    is_main_guard,
)
from mcp_auth_retrofit.wiring.places import Place, places
from mcp_auth_retrofit.wiring.routers import REGISTERS, registered, target, verb_on
from mcp_auth_retrofit.wiring.scanned import (
    Frame,
    Mounting,
    Scan,
    listed_route,
    registration,
    routed,
)

_SERVES = frozenset({"run", "serve", "run_with", "mount_gradio_app"})
_DEPTH = 4


def scan(module: Module, app: App, statements: list[ast.stmt]) -> Scan:
    """Everything done to `app` in its block from the statement that makes it on."""
    seen = Scan(module, app)
    _in_constructor(seen)
    owners = {app.name}
    for index, statement in enumerate(statements):
        if index < app.place[-1][1] + (not app.indirect):
            continue
        place = (*app.block, ("body", index))
        if is_main_guard(statement):
            seen.stops.append(Stop(index, statement.lineno))
            continue
        _statement(seen, statement, place, owners)
    _at_start(seen, owners, len(statements))
    return seen


def _in_constructor(seen: Scan) -> None:
    """What `routes=[...]` gives the router before anything else."""
    routes = argument(seen.app.call, None, "routes")
    if routes is None or seen.app.indirect:
        return
    frame = Frame(seen.app.place, {seen.app.name}, seen.module, functions=seen.app.functions)
    if not isinstance(routes, ast.List | ast.Tuple):
        seen.registrations.append(registration("opaque", None, None, seen.app.call, frame))
        return
    mounts = [
        call
        for call in ast.walk(seen.app.call)
        if isinstance(call, ast.Call) and (dotted(call.func) or "").rpartition(".")[2] == "Mount"
    ]
    mounts.sort(key=lambda call: (call.lineno, call.col_offset))
    for route in routes.elts:
        seen.registrations.append(routed(route, frame))
        if isinstance(route, ast.Call) and route in mounts:
            place, number = seen.app.place, mounts.index(route)
            functions = seen.app.functions
            seen.mounts.append(
                Mounting(route, place, place, seen.app.name, seen.module, functions, number)
            )


def _at_start(seen: Scan, owners: set[str], end: int) -> None:
    """What the app's own lifespan does to it, behind everything that the block does."""
    given = argument(seen.app.call, None, "lifespan")
    bound = seen.module.names.bound.get(given.id, []) if isinstance(given, ast.Name) else []
    function = bound[0] if len(bound) == 1 else None
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        names = {parameter.arg for parameter in function.args.args[:1]}
        names |= owners - local_names(function)
        place = (*seen.block, ("body", end))
        frame = Frame(place, names, seen.module, 1, given, _around(seen, function))
        before = len(seen.registrations)
        for statement in function.body:
            _inner(seen, statement, frame)
        # `mcp_app.lifespan(app)` is handed the app too; what it is for is not to register.
        told = [r for r in seen.registrations[before:] if r.kind != "opaque"]
        seen.registrations[before:] = told


def _statement(seen: Scan, statement: ast.stmt, place: Place, owners: set[str]) -> None:
    functions = seen.app.functions
    _ends(seen, statement, place, owners)
    _assigns(seen, statement, Frame(place, owners, seen.module, functions=functions))
    for call in _own_calls(statement):
        _call(seen, call, statement, Frame(place, owners, seen.module, functions=functions))
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
            # The statement that makes the app in an `if` binds it too, and ends nothing.
            makes = place[: len(seen.app.place)] == seen.app.place
            if dotted(target(statement)) in owners and not makes:
                _stop(seen, place, statement.lineno, final=False)
        case (
            ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)
        ) if name in owners:
            _stop(seen, place, statement.lineno)
        case ast.Delete(targets=targets) if any(dotted(t) in owners for t in targets):
            _stop(seen, place, statement.lineno)


def _stop(seen: Scan, place: Place, line: int, *, final: bool = True) -> None:
    depth = len(seen.block)
    seen.stops.append(Stop(place[depth][1], line, final and len(place) == depth + 1))


def _assigns(seen: Scan, statement: ast.stmt, frame: Frame) -> None:
    if not isinstance(statement, ast.Assign):
        return
    owners, names = frame.owners, frame.module.names
    for made in statement.targets:
        match made:
            case ast.Name() | ast.Attribute() if is_app(statement.value, owners):
                # `api = app`, `router = app.router`: the same under another name
                owners.add(dotted(made) or "")
            case ast.Attribute(
                value=ast.Attribute(value=owner, attr="router"), attr="lifespan_context"
            ) if dotted(owner) in owners:
                scope = Scope(frame.module, frame.functions)
                setting = Setting(frame.place, statement.lineno, statement, scope)
                ours = (names.called(statement.value) or "").endswith(f"{HELPER}.merge_lifespans")
                (seen.wrapped if ours else seen.assigned).append(setting)


def _call(seen: Scan, call: ast.Call, statement: ast.stmt, frame: Frame) -> None:
    verb = verb_on(frame.owners, call)
    if verb == "mount":
        _mount(seen, call, statement, frame)
    if verb:
        _verb_call(seen, call, verb, frame)
        return
    if _list_call(seen, call, frame) or _our_call(seen, call, statement, frame):
        return
    handed = hands(call, frame.owners)
    if handed and hands_on(frame.module, call):
        _stop(seen, frame.place, call.lineno, final=serves(frame.module, call))
        return
    body = function_of(frame.module, call)
    if body is not None and frame.depth < _DEPTH:
        module, function = body
        owners = parameters(function, call, frame.owners)
        around = _around(seen, function) if module is seen.module else (function,)
        if module is frame.module and not handed and around[:-1] == seen.app.functions:
            owners |= frame.owners - local_names(function)
        if (dotted(call.func) or "").startswith("self."):
            owners |= {owner for owner in frame.owners if owner.startswith("self.")}
        if owners:
            at = frame.at or call
            inner = Frame(frame.place, owners, module, frame.depth + 1, at, around)
            for inside in function.body:
                _inner(seen, inside, inner)
    elif handed and not is_harmless(call, frame.module):
        seen.registrations.append(_opaque(call, frame))


def _around(seen: Scan, function: Function) -> tuple[Function, ...]:
    """A function of the file behind those that it stands in, when these are the app's own."""
    factory = seen.app.function
    inside = factory is not None and any(
        getattr(inner, "body", None) is function.body for inner in ast.walk(factory)
    )
    return (*seen.app.functions, function) if inside else (function,)


def _inner(seen: Scan, statement: ast.stmt, frame: Frame) -> None:
    """The same walk inside a function that the block calls: everything happens at its call."""
    _assigns(seen, statement, frame)
    for call in _own_calls(statement):
        _call(seen, call, statement, frame)
    for _, inner in blocks(statement):
        for child in inner:
            _inner(seen, child, frame)


def _verb_call(seen: Scan, call: ast.Call, verb: str, frame: Frame) -> None:
    if verb in REGISTERS:
        for kind, path, methods in registered(call, verb, frame.module):
            seen.registrations.append(registration(kind, path, methods, call, frame))
    elif verb in ("on_event", "add_event_handler"):
        seen.handlers.append(call.lineno)
    elif verb == "add_middleware":
        if _is_cors(call, frame.module):
            seen.cors.append(call.lineno)
        seen.middleware.append(call)
    elif verb == "middleware":
        seen.middleware.append(call)


def _mount(seen: Scan, call: ast.Call, statement: ast.stmt, frame: Frame) -> None:
    owner = dotted(call.func) or ""
    owner = owner.removesuffix(".mount").removesuffix(".router")
    place = places(frame.module.tree)[statement]
    seen.mounts.append(Mounting(call, place, frame.place, owner, frame.module, frame.functions))


def _is_cors(call: ast.Call, module: Module) -> bool:
    given = argument(call, 0, "middleware_class")
    return (module.names.origin(given) or "").endswith(".CORSMiddleware")


def _list_call(seen: Scan, call: ast.Call, frame: Frame) -> bool:
    """`app.router.on_startup.append(f)`, `app.router.routes.append(...)`, `app.routes.insert()`."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr=held, value=owner)):
            if (dotted(owner) or "").removesuffix(".router") in frame.owners:
                if held == "user_middleware":
                    _note_guard(seen, call, frame)
                elif held in ("on_startup", "on_shutdown"):
                    seen.handlers.append(call.lineno)
                elif held == "routes":
                    seen.registrations.append(listed_route(call, frame))
                return True
    return False


def _note_guard(seen: Scan, call: ast.Call, frame: Frame) -> None:
    """`app.user_middleware.append(Middleware(Guard, ...))`, where it always runs."""
    inner = call.args[-1] if call.args else None
    if not isinstance(inner, ast.Call) or verb_of(call) not in ("append", "insert"):
        return
    origin = frame.module.names.origin(argument(inner, 0, "cls")) or ""
    holder, _, name = origin.rpartition(".")
    always = frame.depth == 0 and len(frame.place) == len(seen.block) + 1
    if always and name == GUARD and is_helper(frame.module.path, holder):
        seen.ours.append((inner, GUARD, frame.place))


def _our_call(seen: Scan, call: ast.Call, statement: ast.stmt, frame: Frame) -> bool:
    """What an earlier run wrote is ours: it stands in nobody's way."""
    for expression, is_guard in ((call.func, False), (argument(call, 0, "cls"), True)):
        holder, _, name = (frame.module.names.origin(expression) or "").rpartition(".")
        if is_helper(frame.module.path, holder):
            if not is_guard and name != GUARD:
                own = frame.module is seen.module
                place = places(seen.module.tree)[statement] if own else frame.place
                seen.ours.append((call, name, place))
            return True
    return False


def _opaque(call: ast.Call, frame: Frame) -> Registration:
    if verb_of(call) == "mount_gradio_app":
        path = frame.module.names.text(argument(call, 2, "path"))
        if path is not None:
            return registration("mount", path.rstrip("/"), None, call, frame)
    return registration("opaque", None, None, call, frame)
