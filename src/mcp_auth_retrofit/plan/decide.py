"""The plan itself: every edit in the order in which the reader of the diff meets its reasons."""

import ast

from mcp_auth_retrofit.edits import (
    AddKeywords,
    Hoist,
    Insert,
    MoveKeywords,
    Remove,
    RewriteMount,
    SetLifespan,
)
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.plan.naming import Naming
from mcp_auth_retrofit.plan.place import Spot, answers, find_spot
from mcp_auth_retrofit.plan.server import (
    Chosen,
    choose,
    inner_path,
    moved_keywords,
    refused_keywords,
    stands_before_app,
)
from mcp_auth_retrofit.results import Caution, Change, Reason, Refused
from mcp_auth_retrofit.wiring.mcp import http_app_of
from mcp_auth_retrofit.wiring.model import Entrypoint, Place
from mcp_auth_retrofit.wiring.names import GUARD, argument
from mcp_auth_retrofit.wiring.read import refuse_mounted_twice, runs_mcp

_SAMPLE = '''\
{mcp} = {fastmcp}({title})


@{mcp}.tool
def {tool}(name: str) -> str:
    """Greet somebody: a sample tool, to be replaced by your own."""
    return f"Hello, {{name}}!"
'''


def decide(entry: Entrypoint, options: Options) -> Plan:
    """The plan for one entrypoint. Raises Refused where nothing safe can be done."""
    refuse_mounted_twice(entry)
    if argument(entry.app.call, None, "routes") is not None:
        raise Refused(
            Reason(
                "routes-in-constructor",
                "FastAPI(routes=[...]) registers routes before anything else.",
                "Register them with app.mount() and app.add_route() behind the constructor.",
                entry.app.line,
            )
        )
    chosen = choose(entry, options)
    spot = find_spot(entry, chosen, options)
    return _Decision(entry, options, chosen, spot).plan


class _Decision:
    """One decision, taken from the top of the file to its end."""

    def __init__(self, entry: Entrypoint, options: Options, chosen: Chosen, spot: Spot) -> None:
        self.entry, self.options, self.chosen, self.spot = entry, options, chosen, spot
        self.app = entry.app.name
        self.naming = Naming(entry)
        self._apart = 1 if entry.app.function else 2
        """Empty lines around a function: one inside another, two at module level."""
        server, mount = chosen.server, chosen.mount
        self.server_name = server.name if server else self.naming.free("mcp", "mcp_server")
        named = chosen.mcp_app.name if chosen.mcp_app else None
        self.mcp_app = named or self.naming.free("mcp_app", "mcp_http_app", "mcp_asgi_app")
        inner = inner_path(entry, chosen.http_call)
        self.inner = inner
        where = spot.prefix + (inner or "/")
        self.plan = Plan(
            app=self.app,
            mcp=self.server_name,
            mount_path=spot.prefix or "/",
            mcp_path=spot.prefix if inner == "/" and spot.prefix else where,
            protect=options.protect or ("all" if entry.ours.everywhere else "mcp"),
        )
        self.plan.opened = list(spot.opened)
        self._server(mount is None)
        self._lifespan()
        self._metadata()
        self._health()
        self._bare_path()
        self._mount()
        self._everywhere()
        imports = self.naming.edit()
        if imports is not None:
            self.plan.edits.insert(0, imports)
        self._consequences()

    # -- the MCP server and its app ------------------------------------------------------------

    def _server(self, fresh: bool) -> None:
        entry, chosen, plan = self.entry, self.chosen, self.plan
        place = entry.app.place
        keywords = moved_keywords(entry, chosen.server)
        if chosen.server is None:
            code = _SAMPLE.format(
                mcp=self.server_name,
                fastmcp=self.naming.fastmcp(),
                title=_title(entry),
                tool=self.naming.free("hello", "greet", "say_hello"),
            )
            plan.add(
                Insert(place, code, blank=1, joined=True),
                "server",
                entry.app.line,
                f"Makes the MCP server `{self.server_name}` with one sample tool.",
            )
        elif keywords and chosen.server.place is not None:
            names = tuple(name for name, _ in keywords)
            plan.add(
                MoveKeywords(chosen.server.place, names),
                "constructor",
                chosen.server.line,
                f"Moves {_and(names)} from FastMCP(), which refuses it since version 3, "
                "to http_app().",
            )
        plan.warnings += refused_keywords(entry, chosen.server)
        if chosen.mcp_app is not None:
            if keywords:
                plan.edits.append(AddKeywords(chosen.mcp_app.place, keywords))
            return
        self._name_mcp_app(keywords, fresh)

    def _name_mcp_app(self, keywords: tuple[tuple[str, str], ...], fresh: bool) -> None:
        """`mcp_app = mcp.http_app(...)`: above FastAPI(...), else right above the mount."""
        target = self.entry.app.place if self._early() else self._mount_place()
        joined = self._early() or self._stays
        above = 0 if self._early() or self._nested else self._apart
        if fresh:
            extra = "".join(f", {name}={value}" for name, value in keywords)
            code = f'{self.mcp_app} = {self.server_name}.http_app(path="/"{extra})\n'
            blank = self._apart if self.chosen.server is None else above
            self.plan.add(
                Insert(target, code, blank=blank, joined=joined),
                "mcp_app",
                self.entry.app.line,
                f"Makes the server's HTTP app, `{self.mcp_app}`.",
            )
        elif self.chosen.mount is not None:
            self.plan.add(
                Hoist(self.chosen.mount.place, self.mcp_app, target, keywords, above, joined),
                "mcp_app",
                self.chosen.mount.line,
                f"Gives the mounted http_app() a name, `{self.mcp_app}`, so that its lifespan can "
                "run.",
            )

    def _early(self) -> bool:
        """Whether the MCP app can be, or is, bound when FastAPI(...) is called."""
        if self.chosen.mcp_app is not None:
            return stands_before_app(self.entry, self.chosen.mcp_app.place)
        server = self.chosen.server
        if server is None or not stands_before_app(self.entry, server.place):
            return server is None
        inline = self.chosen.mount.inline if self.chosen.mount else None
        return inline is None or all(_is_plain(a) for a in _arguments(inline))

    def _mount_place(self) -> Place:
        """In front of what the mount's own new lines stand in front of."""
        mount = self.chosen.mount
        return mount.place if mount is not None and self._stays else self.spot.place

    @property
    def _stays(self) -> bool:
        """Whether the mount's statement stays in its block: what is new goes right above it."""
        return self.chosen.mount is not None and (self._nested or not self.spot.moves)

    @property
    def _nested(self) -> bool:
        """Whether the mount stands in an `if`, where its new lines belong too."""
        mount = self.chosen.mount
        return mount is not None and len(mount.place) > len(self.entry.app.block) + 1

    # -- lifespan ------------------------------------------------------------------------------

    def _lifespan(self) -> None:
        entry, life = self.entry, self.entry.lifespan
        runs = runs_mcp(entry, {self.mcp_app, self.server_name})
        theirs = f"{self.mcp_app}.lifespan"
        if runs:
            if life.assigned and not entry.ours.settings_lifespan:
                self._wrap(None)
            return
        if life.handlers and life.value is not None:
            self.plan.warnings.append(
                Caution(
                    "handlers-dead",
                    "This startup handler never runs: the app has `lifespan=` too. It is left as "
                    "it is.",
                    life.handlers[0],
                )
            )
        hidden = any(r.kind == "opaque" for r in entry.registrations)
        handlers = life.value is None and (bool(life.handlers) or hidden)
        open_ended = entry.app.open_ended and life.keyword is None
        if not self._early() or life.assigned or handlers or open_ended:
            self._wrap(theirs)
            return
        merge = None
        if life.value is not None and not self._other_object(life.value):
            merge = self.naming.ours("merge_lifespans")
        self.plan.add(
            SetLifespan(entry.app.place, theirs, merge),
            "lifespan",
            entry.app.line,
            "Merges the MCP app's lifespan into yours: yours starts first and ends last."
            if merge
            else "Runs the MCP app's lifespan with the app.",
        )

    def _other_object(self, value: ast.expr) -> bool:
        """`mcp.http_app().lifespan`: of the same server, and not of the app that is mounted."""
        return (
            isinstance(value, ast.Attribute)
            and value.attr == "lifespan"
            and http_app_of(value.value, list(self.entry.servers)) == self.server_name
        )

    def _wrap(self, theirs: str | None) -> None:
        """`app.router.lifespan_context` wrapped: whatever it is by then, it goes on to run."""
        held = f"{self.app}.router.lifespan_context"
        assigned = self.entry.lifespan.assigned
        parts = [self.naming.ours("require_settings")] if assigned else []
        parts += [held] + ([theirs] if theirs else [])
        code = f"{held} = {self.naming.ours('merge_lifespans')}({', '.join(parts)})\n"
        if len(code) > 100:
            inner = "".join(f"    {part},\n" for part in parts)
            code = f"{held} = {self.naming.ours('merge_lifespans')}(\n{inner})\n"
        place, after = self._wrap_place()
        self.plan.add(
            Insert(place, code, after=after),
            "lifespan",
            self.entry.app.line,
            "Wraps the app's lifespan instead of passing `lifespan=`, which would replace it or "
            "silence its startup handlers.",
        )

    def _wrap_place(self) -> tuple[Place, bool]:
        """Behind all it needs: the app, the MCP app, whatever sets the lifespan last."""
        block = self.entry.app.block
        needs = [place[: len(block) + 1] for place, _ in self.entry.lifespan.assigned]
        mcp_app = self.chosen.mcp_app
        if mcp_app is None and not self._early():
            # The MCP app is made right above the mount: so this follows it there.
            return self._mount_place(), False
        if mcp_app is not None and not self._early():
            if mcp_app.place[:-1] != block:
                return mcp_app.place, True
            needs.append(mcp_app.place)
        if not needs:
            return self.entry.app.place, True
        return max(needs, key=lambda place: place[-1][1]), True

    # -- routes --------------------------------------------------------------------------------

    def _metadata(self) -> None:
        if self.entry.ours.metadata is not None:
            return
        name = self.naming.ours("add_protected_resource_metadata")
        # Noted before the lifespan's wrapping, which may stand behind the same statement.
        self.plan.edits.insert(0, Insert(self.entry.app.place, f"{name}({self.app})\n", after=True))
        self.plan.changes.append(
            Change(
                "metadata",
                self.entry.app.line,
                "Serves the protected resource metadata, and refuses to start without its "
                "settings.",
            )
        )

    def _top_place(self) -> Place:
        """In front of the whole statement that holds the mount."""
        mount = self.chosen.mount
        if mount is None or self.spot.moves:
            return self.spot.place
        return mount.place[: len(self.entry.app.block) + 1]

    def _health(self) -> None:
        if answers(self.entry, "/health") or answers(self.entry, "/health/"):
            return
        unseen = any(r.path is None for r in self.entry.registrations)
        hidden = ", include_in_schema=False" if unseen else ""
        name = self.naming.free("health", "health_check", "healthz")
        code = (
            f'@{self.app}.get("/health"{hidden})\n'
            f"async def {name}() -> dict[str, str]:\n"
            '    return {"status": "healthy"}\n'
        )
        self.plan.add(
            Insert(self._top_place(), code, blank=self._apart),
            "health",
            self.entry.app.line,
            "Adds GET /health, open to everybody.",
        )

    def _bare_path(self) -> None:
        ours, prefix = self.entry.ours.bare_path, self.spot.prefix
        wanted = bool(prefix) and self.inner == "/"
        if wanted and any(
            r.kind == "route" and r.path == prefix and (r.methods is None or "POST" in r.methods)
            for r in self.entry.registrations
        ):
            self.plan.warnings.append(
                Caution(
                    "bare-path-taken",
                    f"Your own route answers POST {prefix}; MCP answers at {prefix}/ alone.",
                )
            )
            wanted = False
        stays = ours is not None and ours[1] == prefix and not self.spot.moves
        if ours is not None and not (wanted and stays):
            self.plan.edits.append(Remove(ours[0]))
        if wanted and not (ours is not None and stays):
            name = self.naming.ours("answer_bare_path")
            self.plan.add(
                Insert(
                    self._mount_place(),
                    f"{name}({self.app}, {self._path_source()})\n",
                    blank=0 if self._nested else self._apart,
                    joined=self._stays,
                ),
                "bare_path",
                self.chosen.mount.line if self.chosen.mount else self.entry.app.line,
                f"Lets {prefix} answer like {prefix}/, without a redirect.",
            )

    def _path_source(self) -> str:
        """The mount path as the file spells it, else as a literal."""
        mount = self.chosen.mount
        given = argument(mount.call, 0, "path") if mount else None
        if given is not None and mount is not None and mount.path == self.spot.prefix:
            return ast.unparse(given) if isinstance(given, ast.Name) else _quoted(mount.path or "/")
        return _quoted(self.spot.prefix or "/")

    # -- the mount and the guard ---------------------------------------------------------------

    def _mount(self) -> None:
        entry, mount, spot = self.entry, self.chosen.mount, self.spot
        guarded = self.plan.protect == "mcp"
        mounted = self.mcp_app
        if guarded:
            mounted = f"{self.naming.ours(GUARD)}({self.mcp_app})"
        if mount is None:
            follows = bool(spot.prefix) and self.inner == "/"
            self.plan.add(
                Insert(
                    spot.place,
                    f"{self.app}.mount({self._path_source()}, {mounted})\n",
                    blank=0 if follows else self._apart,
                ),
                "mount",
                entry.app.line,
                f"Mounts MCP at {self.plan.mount_path}"
                + (", behind the guard." if guarded else "."),
            )
            return
        path = None if mount.path == spot.prefix else _quoted(spot.prefix or "/")
        if mount.guarded == guarded and mount.inline is None and path is None and not spot.moves:
            return
        block = entry.app.block
        target = spot.place if spot.moves else None
        edit = RewriteMount(
            mount.place,
            mounted,
            hoisted=mount.inline is not None,
            path=path,
            statement=mount.place[: len(block) + 1] if self._nested and spot.moves else None,
            target=target,
            blank=0
            if bool(spot.prefix) and self.inner == "/" and not self._nested
            else self._apart,
        )
        said = []
        if mount.guarded != guarded:
            said.append("puts the guard around it" if guarded else "takes the guard off it")
        if path is not None:
            said.append(f"mounts it at {self.plan.mount_path}")
        if spot.moves:
            said.append("moves it to its last valid place")
        if said:
            self.plan.add(edit, "mount", mount.line, f"The MCP mount: {_and(said)}.")
        else:
            self.plan.edits.append(edit)

    def _everywhere(self) -> None:
        ours, options = self.entry.ours, self.options
        if self.plan.protect == "mcp":
            if ours.everywhere is not None:
                self.plan.add(
                    Remove(ours.everywhere), "guard", 1, "Takes the guard off the whole app."
                )
            return
        public = ("/health", *options.public) if options.public else ours.public or ("/health",)
        public = tuple(dict.fromkeys(public))
        if ours.everywhere is not None and ours.public == public:
            return
        if ours.everywhere is not None:
            self.plan.edits.append(Remove(ours.everywhere))
        quoted = ", ".join(_quoted(path) for path in public) + ("," if len(public) == 1 else "")
        code = (
            f"{self.app}.user_middleware.append(\n"
            f"    {self.naming.middleware()}({self.naming.ours(GUARD)}, public=({quoted}))\n"
            ")\n"
        )
        self.plan.edits.insert(0, Insert(self._behind_metadata(), code, after=True))
        if self.entry.ours.metadata is None:
            # Two statements behind the same one: the metadata line comes first.
            first = next(e for e in self.plan.edits[1:] if isinstance(e, Insert) and e.after)
            self.plan.edits.remove(first)
            self.plan.edits.insert(0, first)
        self.plan.changes.append(
            Change(
                "guard",
                self.entry.app.line,
                f"Guards the whole app; open stay the metadata and {_and(public)}.",
            )
        )

    def _behind_metadata(self) -> Place:
        return self.entry.ours.metadata or self.entry.app.place

    # -- what follows --------------------------------------------------------------------------

    def _consequences(self) -> None:
        entry, plan, mount = self.entry, self.plan, self.chosen.mount
        own = [r for r in entry.registrations if mount is None or r.place != mount.place]
        paths = list(dict.fromkeys(r.path for r in own if r.path is not None))
        plan.complete = all(r.path is not None for r in own)
        was_all = entry.ours.everywhere is not None
        if plan.protect == "all" and not was_all:
            open_paths = {"/health", *self.options.public}
            plan.locked = [p for p in paths if p not in open_paths]
        elif plan.protect == "mcp":
            plan.open_routes = len([p for p in paths if p not in ("/health",)])
        if mount is not None and not mount.guarded and not was_all:
            plan.locked.append(plan.mcp_path)
        if self.inner is None:
            plan.warnings.append(
                Caution(
                    "inner-path-unknown",
                    "The MCP app's own path is no literal: look up where MCP answers.",
                    self.chosen.mcp_app.line if self.chosen.mcp_app else None,
                )
            )
        elif self.inner != "/" and self.spot.prefix:
            plan.warnings.append(
                Caution(
                    "doubled-path",
                    f"http_app() has a path of its own, so MCP answers at {plan.mcp_path}. It is "
                    'left so; http_app(path="/") would make it ' + self.spot.prefix + ".",
                    mount.line if mount else None,
                )
            )


def _title(entry: Entrypoint) -> str:
    title = entry.names.text(argument(entry.app.call, None, "title"))
    return _quoted(title or "MCP server")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _and(parts: tuple[str, ...] | list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _is_plain(value: ast.expr) -> bool:
    """Made of literals alone, so that it means the same further up."""
    return not any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(value))
