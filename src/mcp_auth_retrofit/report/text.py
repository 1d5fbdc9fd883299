"""The results in plain sentences."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from mcp_auth_retrofit.project.settings import PORT, REQUIRED, UNKNOWN, env_line, mcp_url, settings
from mcp_auth_retrofit.report.paths import beside, shown
from mcp_auth_retrofit.results import FileResult


def plan(result: FileResult, cwd: Path) -> list[str]:
    """What changes in one file and what follows from it."""
    lines = [_heading(result, cwd)]
    width = len(str(max((change.line for change in result.changes), default=0)))
    lines += [f"  line {change.line:>{width}}  {change.summary}" for change in result.changes]
    others = beside(result)
    made = [shown(write.path, cwd) for write in others if write.before is None]
    changed = [shown(write.path, cwd) for write in others if write.before is not None]
    lines += [f"  New file: {', '.join(made)}."] if made else []
    lines += [f"  Changed too: {', '.join(changed)}."] if changed else []
    return [*lines, *_consequences(result), *warnings(result)]


def _heading(result: FileResult, cwd: Path) -> str:
    name = shown(result.path, cwd)
    if not result.changes:
        return f"{name} needs no change itself, but a file around it does."
    server = f"`{result.mcp}`" if result.mcp else "the MCP server"
    where = result.mcp_path or f"`{result.shown_path}`"
    if result.protect == "all":
        return f"{name}: puts Scalekit sign-in in front of the whole app, MCP at {where} included."
    return f"{name}: puts Scalekit sign-in in front of {server} at {where}."


def _consequences(result: FileResult) -> list[str]:
    lines = []
    if result.opened:
        paths = ", ".join(result.opened)
        lines.append(f"  Begins to answer, to everybody (nothing reached it before): {paths}")
    if result.locked:
        lines.append(f"  Begins to need a token: {', '.join(result.locked)}")
    if not result.complete:
        lines.append("  Part of the routing cannot be read from here: there may be more paths.")
    if result.open_routes and result.protect != "all":
        count = result.open_routes
        what = "1 route of the app stays" if count == 1 else f"{count} routes of the app stay"
        what = what if result.complete else f"At least {what}"
        lines.append(f"  {what} open, as now; --protect all asks for a token there too.")
    if result.changes:
        lines.append(f"  The app will not start without its settings: {', '.join(REQUIRED)}.")
    return lines


def warnings(result: FileResult) -> list[str]:
    """The cautions of one result."""
    return [
        f"  Warning{f', line {one.line}' if one.line else ''}: {one.message} [{one.code}]"
        for one in result.warnings
    ]


def unchanged(result: FileResult, cwd: Path) -> list[str]:
    """A file with nothing to do."""
    return [f"{shown(result.path, cwd)}: nothing to do.", *warnings(result)]


def failure(result: FileResult, cwd: Path) -> list[str]:
    """Why one file was refused or could not be read, and what to do."""
    reason = result.reason
    if reason is None:
        return [f"{shown(result.path, cwd)}: {result.status}."]
    line = f":{reason.line}" if reason.line else ""
    where = "" if result.path == Path() else f"{shown(result.path, cwd)}{line}: "
    word = "Refused: " if result.status == "refused" else ""
    detail = [f"  | {line}" for line in reason.detail.splitlines()]
    return [f"{where}{word}{reason.message} [{reason.code}]", *detail, f"  {reason.hint}"]


def next_steps(results: Sequence[FileResult], cwd: Path) -> list[str]:
    """What is left to the user: settings, start, a look with the Inspector."""
    lines = []
    for result in results:
        mcp_path = result.mcp_path or UNKNOWN
        url = mcp_url(mcp_path)
        look = f"--transport {'sse' if result.sse else 'http'} --server-url {url}"
        of = f" ({shown(result.path, cwd)})" if len(results) > 1 else ""
        lines += [
            f"Next{of}",
            f"  1. Register {url} as an MCP server in the Scalekit dashboard, and set",
            "     these, in the environment or in a .env beside the entrypoint (the dashboard",
            "     shows the last one whole):",
            *(f"       {env_line(name, value)}" for name, value in settings(mcp_path).items()),
            "     Where clients reach the server at another URL, put that URL in the last two.",
            "  2. Install the requirements and start it:",
            f"       {result.run_command or _run_command(result, cwd)}",
            "  3. Look at it with the MCP Inspector:",
            f"       npx @modelcontextprotocol/inspector {look}",
        ]
    return lines


def _run_command(result: FileResult, cwd: Path) -> str:
    return f"fastapi run {shlex.quote(shown(result.path, cwd))} --port {PORT}"
