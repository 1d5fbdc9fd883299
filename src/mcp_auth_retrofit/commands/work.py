"""What `apply` does to its files, without a word to anyone: prepare, check, write, judge."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb

from mcp_auth_retrofit.discover import Found, entrypoints
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.paths import real
from mcp_auth_retrofit.results import Caution, FileResult, Reason, Refused, Unusable
from mcp_auth_retrofit.source import too_deeply_nested
from mcp_auth_retrofit.write import check_writable, write_all


def prepared(paths: Sequence[Path], options: Options, cwd: Path) -> list[FileResult]:
    """What apply would do to each file; one result in error when there is no file at all."""
    try:
        found = entrypoints(paths, cwd)
    except Unusable as problem:
        return [FileResult(Path(), "error", reason=problem.reason)]
    return [_prepare(one, options) for one in found]


def _prepare(found: Found, options: Options) -> FileResult:
    """What happens inside must not reach the user as a traceback: it would show their source."""
    try:
        # Late, because LibCST costs more than all the rest; here, because its import may fail too.
        from mcp_auth_retrofit.apply import prepare  # noqa: PLC0415 - see above

        return prepare(found.path, replace(options, app=options.app or found.app))
    except RecursionError:
        return FileResult(found.path, "error", reason=too_deeply_nested().reason)
    except Exception as error:
        return FileResult(found.path, "error", reason=internal(error))


def internal(error: Exception) -> Reason:
    """Names the error's class and our line; its text may hold source."""
    ours = str(Path(__file__).parents[1])
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(ours)]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return Reason(
        "internal",
        f"mcp-auth-retrofit failed: {type(error).__name__}{said}{place}.",
        "This is a defect of mcp-auth-retrofit; please report it with this message."
        if not said
        else "If the cause is not this machine, please report it with this message.",
    )


def judge_writing(results: Sequence[FileResult], dry_run: bool) -> None:
    """Refuses, before anyone is asked, what could not be written after the answer.

    A dry run only warns: a read-only checkout is a good place to look.
    """
    for result in results:
        if result.status != "changed":
            continue
        try:
            check_writable(result.writes)
        except Refused as problem:
            if dry_run:
                caution = Caution(problem.reason.code, f"{problem} Writing would be refused.")
                result.warnings = [*result.warnings, caution]
            else:
                _refuse(result, problem.reason)


def _refuse(result: FileResult, reason: Reason) -> None:
    result.status, result.reason = "refused", reason
    result.changes, result.writes, result.opened, result.locked = [], [], [], []


def write(results: Sequence[FileResult]) -> list[FileResult]:
    """Writes the changed results, each all or nothing; returns those that became refused by it.

    What an earlier result has written is not written again.
    """
    written: set[Path] = set()
    refused = []
    for result in results:
        if result.status != "changed":
            continue
        todo = [one for one in result.writes if real(one.path) not in written]
        try:
            write_all(todo)
        except Refused as problem:
            _refuse(result, problem.reason)
            refused.append(result)
        else:
            written |= {real(one.path) for one in todo}
    return refused


def worst(results: Sequence[FileResult]) -> int:
    """The exit status: 2 for a file in error, 1 for a refused one, else 0."""
    statuses = {result.status for result in results}
    return 2 if "error" in statuses else 1 if "refused" in statuses else 0
