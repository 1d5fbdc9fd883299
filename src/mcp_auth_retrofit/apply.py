"""One entrypoint, from its bytes to what would be written: the whole street in one function."""

from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

from mcp_auth_retrofit import source
from mcp_auth_retrofit.helper import helper_write
from mcp_auth_retrofit.inline import is_current, is_untouched
from mcp_auth_retrofit.launch import run_command
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.decide import decide
from mcp_auth_retrofit.plan.layout import layout_of
from mcp_auth_retrofit.plan.model import Plan
from mcp_auth_retrofit.project import plan_project
from mcp_auth_retrofit.project.settings import UNKNOWN
from mcp_auth_retrofit.results import (
    OTHERWISE,
    Caution,
    FileResult,
    Reason,
    Refused,
    State,
    Unusable,
    Write,
)
from mcp_auth_retrofit.source import comments
from mcp_auth_retrofit.transforms.rewrite import rewrite
from mcp_auth_retrofit.wiring import siblings
from mcp_auth_retrofit.wiring.model import Entrypoint
from mcp_auth_retrofit.wiring.read import read


def prepare(path: Path, options: Options) -> FileResult:
    """What apply would do to one entrypoint. Never raises for a bad file: the result says why."""
    result = FileResult(path, "unchanged")
    siblings.forget()
    try:
        _prepare(source.load(path), options, result)
    except Refused as refused:
        result.status, result.reason = "refused", refused.reason
        result.state = "otherwise" if refused.reason.code in OTHERWISE else result.state
    except Unusable as unusable:
        result.status, result.reason = "error", unusable.reason
    except RecursionError:
        result.status, result.reason = "error", source.too_deeply_nested().reason
    return result


def _prepare(given: source.Source, options: Options, result: FileResult) -> None:
    _refuse_link(given.path)
    entry = read(given.path, given.tree, options.app, options.mcp)
    result.state = _state(entry)
    _refuse_edited(entry, given)
    plan = decide(entry, options)
    after = rewrite(given.data, plan.edits)
    _hold(given.path, after, plan, options)
    _tell(result, plan)
    if entry.recipe is not None:
        _tell_comments(given.data, after, result)
    writes = _helper(entry, options, result) + _writes(given, after, plan, options, result)
    result.writes = [write for write in writes if write.before != write.after]
    result.run_command = run_command(entry, Path.cwd())
    result.status = "changed" if result.writes else "unchanged"


def _state(entry: Entrypoint) -> State:
    guarded = bool(entry.mounts) and all(mount.guarded for mount in entry.mounts)
    return "guarded" if guarded or entry.ours.everywhere is not None else "open"


def _refuse_link(path: Path) -> None:
    """Python looks for siblings beside the link's target; its owner would look beside the link."""
    if path.resolve().parent != path.parent.resolve():
        raise Refused(
            Reason(
                "linked-elsewhere",
                f"This is a link to {path.resolve()}, in another folder.",
                "Run apply on the file itself.",
            )
        )


def _hold(path: Path, after: bytes, plan: Plan, options: Options) -> None:
    """What was written must read as done. A rewrite that does not is thrown away, not shown."""
    if not plan.edits:
        return
    try:
        tree = source.parse(path, after).tree
        again = decide(read(path, tree, plan.app, options.mcp), options)
        left = [change.summary for change in again.changes]
    except (Refused, Unusable) as error:
        left = [error.reason.message]
    if left:
        raise Unusable(
            Reason(
                "internal",
                "The rewritten file does not hold what was planned, so nothing is written: "
                + left[0],
                "Please report this with the shape of your file.",
            )
        )


def _helper(entry: Entrypoint, options: Options, result: FileResult) -> list[Write]:
    """The module beside the entrypoint; none where the guard stands inside it."""
    if layout_of(entry, options) == "inline":
        return []
    helper = helper_write(entry.path.parent)
    if helper.before not in (None, helper.after):
        result.state = "outdated" if result.state == "guarded" else result.state
        message = f"Renews {helper.path.name}: an older version of it is there, and untouched."
        result.warnings.append(Caution("helper-renewed", message))
    return [helper]


def _refuse_edited(entry: Entrypoint, given: source.Source) -> None:
    """What stands between the marks has to be what this version writes there."""
    inlined = entry.inlined
    if inlined is None:
        return
    text = given.data.decode(given.encoding)
    untouched = is_untouched(inlined, text)
    if not untouched or not is_current(inlined, text):
        raise Refused(
            Reason(
                "inline-edited" if not untouched else "inline-outdated",
                "The guard inside this file was edited since this tool wrote it."
                if not untouched
                else "The guard inside this file was written by another version of this tool.",
                "Take it out, from its first mark to its seal, and run apply again with "
                "--layout inline.",
                inlined.lines[0],
            )
        )


def _writes(
    given: source.Source, after: bytes, plan: Plan, options: Options, result: FileResult
) -> list[Write]:
    """The entrypoint comes last: killed at any moment, it never imports a file not there."""
    writes = []
    if options.project_files:
        project = plan_project(given.path, plan.mcp_path or UNKNOWN, plan.fastmcp)
        writes += project.writes
        result.warnings += project.cautions
    if after != given.data:
        writes.append(Write(given.path, given.data, after))
    return writes


def _tell_comments(before: bytes, after: bytes, result: FileResult) -> None:
    """What is said beside the recipe's lines goes with them, and is listed."""
    lost = Counter(text for _, text in comments(before))
    lost.subtract(text for _, text in comments(after))
    taken = _lines_taken(before, after)
    gone = []
    for line, text in sorted(comments(before), key=lambda one: one[0] not in taken):
        lost[text] -= 1
        if lost[text] >= 0:
            gone.append((line, text))
    if gone:
        listed = ", ".join(f"line {line} `{text}`" for line, text in sorted(gone))
        message = f"Comments that go with it: {listed}."
        result.warnings.append(Caution("recipe-comments", message))


def _lines_taken(before: bytes, after: bytes) -> set[int]:
    """The lines, 1-based, that are no longer there: of two alike, the one that went."""
    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    blocks = [range(i + 1, j + 1) for tag, i, j, _, _ in matcher.get_opcodes() if tag != "equal"]
    return {line for block in blocks for line in block}


def _tell(result: FileResult, plan: Plan) -> None:
    result.app, result.mcp, result.protect = plan.app, plan.mcp, plan.protect
    result.mount_path, result.mcp_path = plan.mount_path, plan.mcp_path
    result.shown_path, result.sse = plan.shown_path, plan.sse
    result.changes, result.warnings = plan.changes, plan.warnings
    result.opened, result.locked = plan.opened, plan.locked
    result.open_routes, result.complete = plan.open_routes, plan.complete
