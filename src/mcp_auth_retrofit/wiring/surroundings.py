"""What the project's other modules do with an entrypoint's app: read as text first, then parsed.

Other people's rewriters look at one file. An app that another module mounts never runs its own
lifespan, and MCP that another module adds to it would stay open.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mcp_auth_retrofit.results import Caution, Reason, Refused
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.names import FASTMCP, HELPER, OFFICIAL, Module, dotted
from mcp_auth_retrofit.wiring.nodes import nodes
from mcp_auth_retrofit.wiring.routers import REGISTERS

_CALLS = re.compile(rb"\.(mount|host|add_middleware|include_router|add_route)\(|\bMount\(|MCP")
_TOLD = (
    (
        "served-elsewhere",
        re.compile(
            rb"\.(http_app|streamable_http_app|sse_app)\(|\.run\(\s*transport=.(http|sse|str)"
        ),
        "serves MCP by another app or by itself: this guard does not stand there.",
    ),
    (
        "mcp-client",
        re.compile(
            rb"\b(StreamableHttpTransport|streamable_?http_client|SSETransport|sse_client)\("
        ),
        "is a client of an MCP server: if it is of this one, it needs a token now.",
    ),
    (
        "setting-taken",
        re.compile(rb"\b(MCP_ALLOWED_ORIGINS|MCP_REQUIRED_SCOPES)\b", re.IGNORECASE),
        "reads a setting that the guard reads too: see that it means the same to both.",
    ),
)
_STRICT = re.compile(r"^[^#\n]*env_file\s*[=\"'].*$", re.MULTILINE)


def refuse_surroundings(entry: Entrypoint) -> None:
    """Raises Refused where another module mounts this app, or adds MCP to it."""
    stem = (entry.path.parent if entry.path.stem == "__init__" else entry.path).stem.encode()
    for path, text in _others(entry.path):
        if stem in text and _CALLS.search(text):
            module = siblings.parse(path)
            if module is not None:
                _refuse_use(entry, module)


def tell_surroundings(entry: Entrypoint, *, makes_server: bool) -> list[Caution]:
    """Another MCP server of the project, and settings that would stumble over ours in `.env`."""
    made = {m.served.scope.module.path for m in entry.mounts if m.served is not None}
    told: list[Caution] = []
    for path, text in _others(entry.path):
        if makes_server and (b"fastmcp" in text or b"MCPServer" in text):
            told += _server_in(entry, path)
        told += [
            Caution(code, f"{_shown(entry, path)}, line {_line(text, found)}, {message}")
            for code, pattern, message in _TOLD
            if (found := pattern.search(text)) and not (path in made and code == "served-elsewhere")
        ]
        if b"BaseSettings" in text and b"env_file" in text:
            told += _strict_settings(entry, path, text.decode("utf-8", "replace"))
    return told


def writes(entry: Entrypoint, path: str) -> bool:
    """Whether another module of the project has this path written out."""
    spelled = (f'"{path}"'.encode(), f"'{path}'".encode())
    return any(one in text for _, text in _others(entry.path) for one in spelled)


def _refuse_use(entry: Entrypoint, module: Module) -> None:
    owners = set(_names_of(entry, module))
    if not owners:
        return
    for node in nodes(module.tree):
        if isinstance(node, ast.Assign) and _is_app(node.value, owners):
            owners |= {name for made in node.targets if (name := dotted(made))}
    for node in nodes(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func) or ""
        holder, _, verb = called.rpartition(".")
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        handed = any(_is_app(value, owners) for value in given)
        mounts = verb in ("mount", "host", "Mount", "Host") and "mcp" not in holder.lower()
        if handed and mounts and holder not in owners:
            raise Refused(_mounted(entry, module, node.lineno))
        # `FastMCP.from_fastapi(app)` makes a server of its own, and adds nothing to the app.
        if handed and "mcp" in called.lower() and verb != "from_fastapi":
            raise Refused(_adds_mcp(entry, module, ast.unparse(node), node.lineno))
        if holder in owners and verb in REGISTERS | {"add_middleware"}:
            shown = ast.unparse(node)
            if "mcp" in shown.lower():
                raise Refused(_adds_mcp(entry, module, shown, node.lineno))


def _names_of(entry: Entrypoint, module: Module) -> Iterator[str]:
    """How a module calls the entrypoint's app, or the function that makes it."""
    makers = {entry.app.name, *(function.name for function in entry.app.functions[:1])}
    for local, origin in module.names.imported.items():
        whole = siblings.find(module.path, f"{origin}.")
        if whole is not None and whole[0] == entry.path:
            yield from (f"{local}.{name}" for name in makers)
        found = siblings.find(module.path, origin)
        if found is not None and found[0] == entry.path and found[1] in makers:
            yield local


def _is_app(value: ast.expr, owners: set[str]) -> bool:
    named = value.func if isinstance(value, ast.Call) else value
    return dotted(named) in owners


def _mounted(entry: Entrypoint, module: Module, line: int) -> Reason:
    where = _shown(entry, module.path)
    return Reason(
        "app-mounted",
        f"{where}, line {line}, mounts this app in another one: a mounted app's lifespan never "
        "runs, and its paths are other ones there.",
        f"Run apply on {where}, whose app is the one that is served.",
    )


def _adds_mcp(entry: Entrypoint, module: Module, shown: str, line: int) -> Reason:
    where = _shown(entry, module.path)
    return Reason(
        "mcp-elsewhere",
        f"{where}, line {line}, adds MCP to this app: `{shown}`.",
        f"Run apply on {where}; what it can't follow there, move into this file.",
    )


def _server_in(entry: Entrypoint, path: Path) -> Iterator[Caution]:
    module = siblings.parse(path)
    for node in nodes(module.tree) if module is not None else ():
        if module is None or not isinstance(node, ast.Call):
            continue
        # Where the import fails, a class of the file's own may stand in for it.
        imported = module.names.imported.get(dotted(node.func) or "")
        if {module.names.called(node), imported} & (FASTMCP | OFFICIAL):
            yield Caution(
                "server-elsewhere",
                f"{_shown(entry, path)}, line {getattr(node, 'lineno', 0)}, makes an MCP server "
                "too, and this one is another: to serve that one here, import it in this file and "
                "run apply again.",
            )
            return


def _line(text: bytes, found: re.Match[bytes]) -> int:
    return text.count(b"\n", 0, found.start()) + 1


def _strict_settings(entry: Entrypoint, path: Path, text: str) -> Iterator[Caution]:
    """pydantic-settings refuses a key of its `.env` that it has no field for, unless told not to.

    (pydantic_settings.BaseSettings: `extra` is "forbid" by default.)
    """
    found = _STRICT.search(text)
    if found is not None and not re.search(r"extra\W+(?:Extra\.)?\W*(ignore|allow)", text):
        line = text.count("\n", 0, found.start()) + 1
        yield Caution(
            "dotenv-strict",
            f"{_shown(entry, path)}, line {line}, reads .env with pydantic-settings, which refuses "
            'keys it does not know: give it extra="ignore", or set the new settings in the '
            "environment instead.",
        )


def _shown(entry: Entrypoint, path: Path) -> str:
    root = _root(entry.path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _others(entry: Path) -> list[tuple[Path, bytes]]:
    texts = siblings.texts(_root(entry))
    return [(path, text) for path, text in texts if path != entry and path.stem != HELPER]


def _root(entry: Path) -> Path:
    """The project's folder; without any mark of one, the first that is no package."""
    marked = [folder for folder in siblings.roots(entry) if siblings.is_project(folder)]
    return marked[0] if marked else siblings.package_root(entry)
