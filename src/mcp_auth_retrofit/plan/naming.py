"""Names for what is inserted: the file's own where it has them, free ones where it has not."""

import ast
import sys

from mcp_auth_retrofit.edits import AddImports, Import
from mcp_auth_retrofit.inline import own_names
from mcp_auth_retrofit.launch import started_as
from mcp_auth_retrofit.options import Layout
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import FASTAPI, FASTMCP, HELPER
from mcp_auth_retrofit.wiring.siblings import find, roots

_MIDDLEWARE = frozenset({"starlette.middleware.Middleware", "fastapi.middleware.Middleware"})


class Naming:
    """Hands out names and collects the imports they need."""

    def __init__(self, entry: Entrypoint, layout: Layout = "module") -> None:
        self.entry = entry
        self.taken = set(entry.names.taken)
        self.renamed: dict[str, str] | None = None
        """With the guard put into this file: its names that have to be others here."""
        if layout == "inline" and entry.inlined is None:
            self.renamed = self._renamed()
        self.module = helper_module(entry)
        self.imports: list[Import] = []

    @property
    def _top(self) -> int:
        """The line, at module level, from which inserted code may need its imports."""
        return self.entry.tree.body[self.entry.app.place[0][1]].lineno

    def free(self, *wishes: str) -> str:
        """The first name that the file uses for nothing; it is taken from now on."""
        for name in wishes:
            if name not in self.taken:
                self.taken.add(name)
                return name
        return self.free(*(f"{wishes[0]}_{number}" for number in range(2, 100)))

    def ours(self, name: str) -> str:
        """The local name of something `scalekit_auth` exports."""
        known = self.entry.ours.imported.get(name)
        if known is None:
            for local, origin in self.entry.names.imported.items():
                if origin.lstrip(".").rpartition(".")[2] == HELPER:
                    return f"{local}.{name}"
        if self.renamed is not None and known is None:
            return self.renamed.get(name, name)
        return known or self._imported(self.module, name)

    def _renamed(self) -> dict[str, str]:
        """Those that the file uses for something else; what both import alike stays."""
        renamed, names = {}, self.entry.names
        for name, origin in own_names().items():
            alike = origin is not None and names.imported.get(name) == origin
            alike = alike and name not in names.bound and name not in names.narrow
            if name in self.taken and not alike:
                renamed[name] = self.free(_prefixed(name), f"_{name}", f"{name}_")
            self.taken.add(name)
        return renamed

    def fastmcp(self) -> str:
        """How the file spells FastMCP."""
        return self.entry.names.local_name(FASTMCP, self._top) or self._imported(
            "fastmcp", "FastMCP"
        )

    def fastapi(self) -> str:
        """How the file spells FastAPI."""
        return self.entry.names.local_name(FASTAPI, self._top) or self._imported(
            "fastapi", "FastAPI"
        )

    def middleware(self) -> str:
        """How the file spells Starlette's Middleware."""
        known = self.entry.names.local_name(_MIDDLEWARE, self._top)
        return known or self._imported("starlette.middleware", "Middleware")

    def fastapis(self, module: str, name: str) -> str:
        """How the file spells what `fastapi` takes from Starlette: Request, JSONResponse."""
        origins = frozenset({f"fastapi{module}.{name}", f"starlette{module}.{name}"})
        known = self.entry.names.local_name(origins, self._top)
        return known or self._imported(f"fastapi{module}", name)

    def _imported(self, module: str, name: str) -> str:
        for wanted in self.imports:
            if (wanted.module, wanted.name) == (module, name):
                return wanted.local
        local = self.free(name, f"{name}_")
        self.imports.append(Import(module, name, local if local != name else None))
        return local

    def edit(self) -> AddImports | None:
        """The edit that adds what was asked for; None when nothing is missing."""
        if not self.imports:
            return None
        path, origins = self.entry.path, set(self.entry.names.imported.values())
        kin = {o.partition(".")[0] for o in origins if find(path, o) or find(path, f"{o}.")}
        kin -= sys.stdlib_module_names  # a sibling called logging.py is not what `logging` means
        top = self.entry.app.place[0][1]
        imported = isinstance(self.entry.tree.body[top], ast.Import | ast.ImportFrom)
        before = top + imported  # an app that is imported is imported first
        return AddImports(tuple(self.imports), before, self.module, frozenset(kin - {""}))


def _prefixed(name: str) -> str:
    """`ScalekitAnswer`, `SCALEKIT_URL`, `scalekit_log`: in the style of the name."""
    if name.isupper():
        return f"SCALEKIT_{name}"
    return f"Scalekit{name}" if name[:1].isupper() else f"scalekit_{name}"


def helper_module(entry: Entrypoint) -> str:
    """The module name of ours, imported the way the file imports its siblings.

    Relative in a package that shows no other habit.
    """
    origins = list(entry.names.imported.values())
    folder = entry.path.parent
    if any(origin.startswith(".") for origin in origins):
        return f".{HELPER}"
    for root in roots(entry.path):
        inside = (root / "__init__.py").exists()
        if root != folder and folder.is_relative_to(root) and not inside:
            package = ".".join(folder.relative_to(root).parts)
            top = package.partition(".")[0]
            named = all(part.isidentifier() for part in folder.relative_to(root).parts)
            if named and any(o.startswith(f"{top}.") and find(entry.path, o) for o in origins):
                return f"{package}.{HELPER}"
    for origin in origins:
        found = find(entry.path, origin)
        if found and found[0].parent == folder:
            return HELPER
    if (folder / "__init__.py").exists():
        return f".{HELPER}"
    started = started_as(entry.path)
    return f"{started[0]}.{HELPER}" if started else HELPER
