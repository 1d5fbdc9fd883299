"""How a file is written, told by a few plain marks and without the tool's own reading of it."""

import ast
from pathlib import Path

SERVES = ("http_app(", "streamable_http_app(", "sse_app(")


def form_of(entry: Path) -> str:
    """One of a handful of forms; "no MCP" for a FastAPI app without any."""
    try:
        text = entry.read_text(encoding="utf-8", errors="replace")
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return "does not parse"
    if "ScalekitClient(" in text:
        return "the published recipe"
    if "FastApiMCP(" in text:
        return "FastApiMCP"
    makes_app = any(
        isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "FastAPI"
        for node in ast.walk(tree)
    )
    kinds = [kind for node in ast.walk(tree) if (kind := _mounted(node, text))]
    if kinds:
        return (
            f"mounts an MCP app, {kinds[0]}" if makes_app else "mounts MCP on an app it is handed"
        )
    if not makes_app:
        return "no FastAPI() here"
    names = [
        alias.name
        for node in ast.walk(tree)
        for alias in getattr(node, "names", ())
        if isinstance(alias, ast.alias)
    ]
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return "imports MCP" if any("mcp" in n.lower() for n in (*names, *modules)) else "no MCP"


def _mounted(node: ast.AST, text: str) -> str | None:
    """How the MCP app of a `mount` is given; None for a call that mounts none."""
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith((".mount", "Mount")):
        return None
    given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "app")]
    if not given or "StaticFiles" in ast.unparse(node):
        return None
    source = ast.unparse(given[0])
    if any(f".{name}" in source for name in SERVES):
        return "made on the spot" if source.endswith(")") and "(" in source else None
    if "mcp" not in ast.unparse(node).lower():
        return (
            "a variable"
            if any(
                f"{source} = " in line and any(s in line for s in SERVES)
                for line in text.splitlines()
            )
            else None
        )
    if isinstance(given[0], ast.Call):
        return "a call's result or a wrapper"
    made = any(line.strip().startswith(f"{source} =") for line in text.splitlines())
    return "a variable" if made else "an imported name"
