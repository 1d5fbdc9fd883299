"""The edits a plan is made of: plain data, each carried out by one transform."""

from dataclasses import dataclass

from mcp_auth_retrofit.wiring.places import Place


@dataclass(frozen=True)
class Import:
    """`from module import name as alias`; `module` may begin with dots."""

    module: str
    name: str
    alias: str | None = None

    @property
    def local(self) -> str:
        """The name by which the file knows it."""
        return self.alias or self.name


@dataclass(frozen=True)
class AddImports:
    """Imports that must stand before the module's statement of index `before`."""

    imports: tuple[Import, ...]
    before: int
    ours: str
    """The module of ours, imported the way the file imports its siblings."""
    kin: frozenset[str]
    """The first names of the project's own modules that the file imports."""


@dataclass(frozen=True)
class Insert:
    """New statements, in front of `place` or behind it."""

    place: Place
    code: str
    blank: int = 0
    """Empty lines above them."""
    after: bool = False
    joined: bool = False
    """No empty line between them and the statement at `place`: its own go above them."""


@dataclass(frozen=True)
class Hoist:
    """What a mount makes on the spot (`mcp.http_app(...)`), taken into a variable of its own."""

    mount: Place
    guarded: bool
    """It stands inside our guard today."""
    name: str
    place: Place
    """In front of this statement."""
    keywords: tuple[tuple[str, str], ...] = ()
    blank: int = 0
    joined: bool = False


@dataclass(frozen=True)
class Remove:
    """A statement that is no longer wanted: of an earlier run, or of the published recipe."""

    place: Place
    comments: bool = False
    """The comments directly above go with it."""


@dataclass(frozen=True)
class DropImports:
    """Names that an import need not bring any more."""

    place: Place
    names: tuple[str, ...]


@dataclass(frozen=True)
class SetLifespan:
    """`lifespan=` of the app's constructor: set, or what stands there wrapped in `merge`."""

    place: Place
    mcp_lifespans: tuple[str, ...]
    """E.g. `mcp_app.lifespan`; several when the app serves several MCP servers."""
    merge: str | None
    """The merge helper's local name; None when there is nothing to merge."""
    replaces: bool = False
    """What stands there is replaced: it belongs to an MCP app that nobody mounts."""


@dataclass(frozen=True)
class MoveKeywords:
    """Keywords that FastMCP() refuses, taken from the constructor and given to `http_app()`."""

    server: Place
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class AddKeywords:
    """Keywords for the call that a statement assigns."""

    place: Place
    keywords: tuple[tuple[str, str], ...]
    """(name, value as source)."""


@dataclass(frozen=True)
class RewriteMount:
    """The MCP mount: what it mounts, under which path, and where it stands."""

    place: Place
    guard: str | None = None
    """Our guard's local name, to be put around what is mounted."""
    bare: bool = False
    """Our guard is taken off what is mounted."""
    hoisted: str | None = None
    """The variable that takes the place of what was made on the spot."""
    argument: tuple[str, int] = ("app", 1)
    """Name and position of the argument that holds what is mounted."""
    listed: int | None = None
    """It is the n-th `Mount(...)` inside the statement, and no statement of its own."""
    path: str | None = None
    """A new mount path, as source; None keeps what stands there."""
    statement: Place | None = None
    """What is moved when the mount does not stand alone: the `if` around it."""
    target: Place | None = None
    """Where it is moved to (in front of this place); None leaves it."""
    blank: int = 1
    """Empty lines above it where it is moved to."""
    above: int = 0
    """Empty lines above it where it stays and something is put in front of it."""


Edit = (
    AddImports
    | AddKeywords
    | DropImports
    | Hoist
    | Insert
    | MoveKeywords
    | Remove
    | RewriteMount
    | SetLifespan
)
