"""What must hold for any rewrite of any file, told without the tool's own reading of it."""

import ast
import io
import subprocess
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.diff import patch
from mcp_auth_retrofit.results import FileResult

BOM = b"\xef\xbb\xbf"
SERVES = ("http_app", "streamable_http_app", "sse_app")
Broken = tuple[str, str]
"""(law, what was seen)."""


def laws(entry: Path, result: FileResult) -> Iterator[Broken]:
    """Every law that a rewrite breaks; nothing for a file that is left alone."""
    own = [write for write in result.writes if write.path == entry]
    if result.status != "changed" or not own or own[0].before is None:
        return
    before, after = own[0].before, own[0].after
    try:
        tree = ast.parse(after)
        compile(after, str(entry), "exec", dont_inherit=True)
    except SyntaxError as error:
        yield "compiles", str(error)
        return
    told = " ".join(w.message for w in result.warnings if w.code == "recipe-comments")
    lost = [text for text in _comments(before) - _comments(after) if f"`{text}`" not in told]
    if lost:
        yield "comments survive", ", ".join(lost)
    if before.startswith(BOM) != after.startswith(BOM):
        yield "byte order mark survives", ""
    if _ends(before) != _ends(after) and before.strip():
        yield "line ends survive", f"{_ends(before)} became {_ends(after)}"
    if before.endswith(b"\n") != after.endswith(b"\n"):
        yield "final newline survives", ""
    yield from _only_announced(before, after, result)
    yield from _unguarded(tree)
    yield from _again(entry, result)


def _comments(source: bytes) -> Counter[str]:
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)


def _ends(source: bytes) -> set[bytes]:
    return {line[len(line.rstrip(b"\r\n")) :] for line in source.splitlines(keepends=True)} - {b""}


def _only_announced(before: bytes, after: bytes, result: FileResult) -> Iterator[Broken]:
    """A line that is gone was an import, made the MCP app, or a change names its statement."""
    announced = {change.line for change in result.changes}
    recipe = {change.line for change in result.changes if change.transform == "recipe"}
    allowed: set[int] = set()
    for node in ast.walk(ast.parse(before)):
        first = min([d.lineno for d in getattr(node, "decorator_list", [])], default=0)
        if isinstance(node, ast.stmt) and recipe & {first, node.lineno}:
            allowed.update(range(first or node.lineno, (node.end_lineno or 0) + 1))
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            makes = any(f"{name}(" in ast.unparse(node) for name in SERVES)
            if isinstance(node, ast.Import | ast.ImportFrom) or makes or announced & {*span}:
                allowed.update(span)
    there = Counter(line.strip() for line in after.splitlines())
    for number, line in enumerate(before.splitlines(), 1):
        goes = recipe and line.strip().startswith(b"#")  # and is listed: see the comments
        if line.strip() and number not in allowed and not goes and not there[line.strip()]:
            yield "only announced lines differ", f"line {number}"


def _unguarded(tree: ast.Module) -> Iterator[Broken]:
    """What is mounted and was made by an MCP server stands inside the guard."""
    everywhere = "user_middleware.append(Middleware(ScalekitAuthMiddleware" in ast.unparse(tree)
    made = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _serves(node.value)
        for target in node.targets
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".mount", "Mount")):
            given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "app")]
            for mounted in given:
                bare = _serves(mounted) or ast.unparse(mounted) in made
                if bare and not everywhere:
                    yield "MCP is guarded", f"line {node.lineno}"


def _serves(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SERVES
    )


def _again(entry: Path, result: FileResult) -> Iterator[Broken]:
    """In a copy of the project: the patch gives the same bytes, and a second run changes none."""
    top = entry.parent
    while (top / "__init__.py").exists():
        top = top.parent
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name).joinpath(*top.parts[1:])  # its name is the package's
        for source in top.rglob("*.py"):
            target = copy / source.relative_to(top)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
        own = copy / entry.relative_to(top)
        own.unlink()
        own.write_bytes(entry.read_bytes())
        (write,) = [write for write in result.writes if write.path == entry]
        printed = patch([write], entry.parent)
        command = ["git", "apply", "--unsafe-paths", "-"]
        done = subprocess.run(
            command, input=printed, cwd=own.parent, capture_output=True, check=False
        )
        if done.returncode or own.read_bytes() != write.after:
            yield "the patch applies", done.stderr.decode(errors="replace")[:200]
            own.write_bytes(write.after)
        for other in result.writes:
            if other.path != entry:
                (own.parent / other.path.name).write_bytes(other.after)
        second = prepare(own, Options(project_files=False))
        if second.status != "unchanged":
            said = second.reason.message if second.reason else [c.summary for c in second.changes]
            yield "a second run changes nothing", str(said)
