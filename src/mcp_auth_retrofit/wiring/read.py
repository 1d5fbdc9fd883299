"""Builds the model of one entrypoint: the only way into this package from above."""

import ast
from pathlib import Path

from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.apps import find_app, find_apps
from mcp_auth_retrofit.wiring.bindings import Function
from mcp_auth_retrofit.wiring.fastapi_mcp import find_converted
from mcp_auth_retrofit.wiring.gatekeepers import find_gatekeepers
from mcp_auth_retrofit.wiring.inlined import Inlined, adopt, set_aside
from mcp_auth_retrofit.wiring.mcp import (
    find_mcp_apps,
    find_mounts,
    find_servers,
)
from mcp_auth_retrofit.wiring.model import App, Entrypoint, Lifespan, Ours
from mcp_auth_retrofit.wiring.names import GUARD, Module, Names, argument, is_helper
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.other_ways import refuse_client, refuse_other_ways
from mcp_auth_retrofit.wiring.places import Place, statements_of
from mcp_auth_retrofit.wiring.recipe import Recipe, find_recipe
from mcp_auth_retrofit.wiring.refusals import (
    refuse_own_metadata,
    refuse_served_by_hand,
    refuse_unproved_mounts,
)
from mcp_auth_retrofit.wiring.scan import scan
from mcp_auth_retrofit.wiring.scanned import Scan


def read(
    path: Path, tree: ast.Module, app: str | None = None, mcp: str | None = None
) -> Entrypoint:
    """Reads an entrypoint whose source is already parsed.

    `app` and `mcp` name the app and the server where the file has several.
    Raises Refused (with code, line, reason and way out) where the file can't be followed.
    """
    module, inlined = _module(path, tree)
    refuse_other_ways(module)
    found = find_app(module, app)
    seen = _scan(module, found)
    recipe = find_recipe(module, found, seen)
    if recipe is None:
        refuse_client(module)
    entry = _entrypoint(module, seen, mcp, recipe, inlined)
    refuse_unproved_mounts(module, seen, entry)
    refuse_served_by_hand(module, found.name)
    refuse_own_metadata(entry)
    return entry


def survey(path: Path, tree: ast.Module) -> list[Entrypoint]:
    """Every app of a file whose order can be followed: for judging, so nothing is refused."""
    module, _ = _module(path, tree)
    return [_entrypoint(module, _scan(module, app)) for app in find_apps(module)]


def _module(path: Path, tree: ast.Module) -> tuple[Module, Inlined | None]:
    rest, inlined = set_aside(tree)
    names = Names(rest)
    if inlined is not None:
        adopt(names, inlined)
    return Module(path.resolve(), rest, names), inlined


def _scan(module: Module, app: App) -> Scan:
    return scan(module, app, statements_of(module.tree, app.block))


def _entrypoint(
    module: Module,
    seen: Scan,
    mcp: str | None = None,
    recipe: Recipe | None = None,
    inlined: Inlined | None = None,
) -> Entrypoint:
    found = seen.app
    servers = find_servers(module, found, mcp)
    mcp_apps = find_mcp_apps(module, found)
    return Entrypoint(
        path=module.path,
        tree=module.tree,
        app=found,
        registrations=tuple(
            r for r in seen.registrations if recipe is None or not recipe.is_of(r.call)
        ),
        servers=tuple(servers),
        mcp_apps=tuple(mcp_apps),
        mounts=tuple(find_mounts(module, seen, mcp_apps, mcp)),
        converted=tuple(find_converted(module, found)),
        lifespan=_lifespan(module, found, seen),
        ours=_ours(module, seen),
        stops=tuple(seen.stops),
        cors=(*seen.cors, *_constructor_cors(module, found)),
        inlined=inlined,
        recipe=recipe,
        gatekeepers=find_gatekeepers(module, found, seen, recipe),
        names=module.names,
    )


def _constructor_cors(module: Module, app: App) -> list[int]:
    given = argument(app.call, None, "middleware")
    if given is None:
        return []
    return [
        node.lineno
        for node in ast.walk(given)
        if isinstance(node, ast.Name | ast.Attribute)
        and (module.names.origin(node) or "").endswith(".CORSMiddleware")
    ]


def _lifespan(module: Module, app: App, seen: Scan) -> Lifespan:
    keyword = next((k for k in app.call.keywords if k.arg == "lifespan"), None)
    value = keyword.value if keyword else None
    if isinstance(value, ast.Constant) and value.value is None:
        value = None
    handlers = [
        k.value.lineno
        for k in app.call.keywords
        if k.arg in ("on_startup", "on_shutdown")
        and not (isinstance(k.value, ast.Constant) and k.value.value is None)
    ]
    _, bound = siblings.definitions(module, value)
    defined = [node for node in bound if isinstance(node, Function)]
    return Lifespan(
        value=value,
        keyword=keyword,
        handlers=(*handlers, *seen.handlers),
        more_handlers=_may_have_handlers(module),
        assigned=tuple(seen.assigned),
        wrapped=tuple(seen.wrapped),
        text=defined[0] if len(defined) == 1 else value,
    )


_EVENTS = frozenset({"on_event", "add_event_handler", "on_startup", "on_shutdown"})


def _may_have_handlers(module: Module) -> bool:
    """Startup handlers under any name of the app, also in the project's modules that it imports.

    They run unless `lifespan=` is given; what is found too much costs a plainer spelling alone.
    """
    names = [module.names]
    for origin in module.names.imported.values():
        found = siblings.find(module.path, origin) or siblings.find(module.path, f"{origin}.")
        other = siblings.parse(found[0]) if found else None
        names += [other.names] if other else []
    return any(_EVENTS & one.attributes for one in names)


def _ours(module: Module, seen: Scan) -> Ours:
    origins = {
        origin.rpartition(".")[2]: local
        for local, origin in module.names.imported.items()
        if is_helper(module.path, origin.rpartition(".")[0]) and local not in module.names.bound
    }
    metadata = everywhere = None
    bare: list[tuple[Place, ast.expr | None]] = []
    public: tuple[str, ...] = ()
    for call, name, place in seen.ours:
        if name == "add_protected_resource_metadata":
            metadata = place
        elif name == "answer_bare_path":
            bare.append((place, argument(call, 1, "path")))
        elif name == GUARD:
            everywhere = place
            given = argument(call, None, "public")
            if isinstance(given, ast.Tuple | ast.List):
                public = tuple(str(e.value) for e in given.elts if isinstance(e, ast.Constant))
    used = any(
        isinstance(node, ast.Name) and node.id == origins.get("require_settings")
        for node in nodes(module.tree)
    )
    return Ours(origins, metadata, tuple(bare), everywhere, public, used)
