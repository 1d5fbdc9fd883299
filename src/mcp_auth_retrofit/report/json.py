"""The results as JSON, in the shape of apply.schema.json beside this file."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from mcp_auth_retrofit import __version__
from mcp_auth_retrofit.report.diff import patch
from mcp_auth_retrofit.report.paths import each_once, real, shown
from mcp_auth_retrofit.results import FileResult, Status, Write


def render(results: Sequence[FileResult], cwd: Path) -> str:
    """One JSON document; ASCII alone, so that no stream's encoding can break it."""
    counts = Counter(result.status for result in results)
    document = {
        "version": __version__,
        "files": [
            _file(result, writes, cwd)
            for result, writes in zip(results, each_once(results), strict=True)
        ],
        "summary": {
            status: counts[status] for status in sorted(get_args(Status), key=_ORDER.index)
        },
    }
    return json.dumps(document, indent=2)


_ORDER = ("changed", "unchanged", "refused", "error", "skipped")


def _file(result: FileResult, writes: Sequence[Write], cwd: Path) -> dict[str, Any]:
    others = [write for write in writes if real(write.path) != real(result.path)]
    return {
        "path": str(result.path),
        "status": result.status,
        "app": result.app,
        "mcp": result.mcp,
        "mount_path": result.mount_path,
        "protect": result.protect,
        "state": result.state,
        "changes": [asdict(change) for change in result.changes],
        "warnings": [
            {"code": warning.code, "line": warning.line, "message": warning.message}
            for warning in result.warnings
        ],
        "opened": result.opened,
        "locked": result.locked,
        "complete": result.complete,
        "reason": _reason(result),
        "also": [
            {
                "path": shown(write.path, cwd),
                "status": "created" if write.before is None else "changed",
            }
            for write in others
        ],
        # For reading: bytes that are not UTF-8 are replaced. The patch itself comes from --diff.
        "diff": patch(writes, cwd).decode("utf-8", "replace"),
    }


def _reason(result: FileResult) -> dict[str, Any] | None:
    reason = result.reason
    if reason is None:
        return None
    return {
        "code": reason.code,
        "line": reason.line,
        "message": reason.message,
        "hint": reason.hint,
    }
