"""One entrypoint, from its bytes to what would be written: the whole street in one function."""

import ast
from importlib.resources import files
from pathlib import Path

from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.decide import decide
from mcp_auth_retrofit.results import FileResult, Refused, Unusable, Write
from mcp_auth_retrofit.transforms.rewrite import rewrite
from mcp_auth_retrofit.wiring.names import HELPER
from mcp_auth_retrofit.wiring.read import read


def prepare(path: Path, options: Options) -> FileResult:
    """What apply would do to one entrypoint. Never raises for a bad file: the result says why."""
    result = FileResult(path, "unchanged")
    try:
        _prepare(path, options, result)
    except Refused as refused:
        result.status, result.reason = "refused", refused.reason
    except Unusable as unusable:
        result.status, result.reason = "error", unusable.reason
    return result


def _prepare(path: Path, options: Options, result: FileResult) -> None:
    data = path.read_bytes()
    entry = read(path, ast.parse(data), options.app, options.mcp)
    plan = decide(entry, options)
    after = rewrite(data, plan.edits)
    ast.parse(after)
    result.writes = [Write(path, data, after)]
    result.app, result.mcp = plan.app, plan.mcp
    result.mount_path, result.mcp_path, result.protect = (
        plan.mount_path,
        plan.mcp_path,
        plan.protect,
    )
    result.changes, result.warnings = plan.changes, plan.warnings
    result.opened, result.locked = plan.opened, plan.locked
    result.open_routes, result.complete = plan.open_routes, plan.complete
    result.status = "changed" if after != data else "unchanged"
