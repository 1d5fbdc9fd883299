"""Runs the tool over a folder of projects and holds every rewrite to the laws.

    python tools/corpus.py FOLDER [--only ID ...] [--jobs N] [--json FILE] [--diffs FOLDER]

FOLDER/entries.jsonl names the entrypoints, one `{"id": ..., "entry": "path below FOLDER"}` a line.
Nothing in FOLDER is run or written to. Exit status 1 when something crashed or broke a law.
"""

import argparse
import gc
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

from corpus_laws import laws
from corpus_marks import form_of
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.check import check
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report.diff import patch

SLOW = 5.0
GUARDED = ("guarded-otherwise", "guard-unclear")


@dataclass(frozen=True)
class Outcome:
    """What came of one entrypoint."""

    name: str
    form: str
    status: str
    code: str
    line: int | None
    message: str
    seconds: float
    """CPU seconds of `apply`."""
    broken: tuple[str, ...]
    """The laws that do not hold, and crashes."""


def judge(name: str, entry: Path, diffs: Path | None) -> Outcome:
    """One entrypoint, applied to in memory and checked."""
    form, status, code, line, message = "unreadable", "crash", "", None, ""
    broken: list[str] = []
    spent = 0.0
    try:
        form = form_of(entry)
        check([entry])
        begin = process_time()
        result = prepare(entry, Options(project_files=False))
        spent = process_time() - begin
        status, reason = result.status, result.reason
        message = "; ".join(change.summary for change in result.changes)
        if reason is not None:
            code, line, message = reason.code, reason.line, reason.message
            broken += [] if reason.message and reason.hint else ["a refusal without a way out"]
        broken += [f"{law}: {what}" for law, what in laws(entry, result)]
        if diffs is not None and result.writes:
            diffs.mkdir(parents=True, exist_ok=True)
            (diffs / f"{name}.diff").write_bytes(patch(result.writes[-1:], entry.parent))
    except Exception as error:
        broken.append(f"crash: {type(error).__name__}: {error}")
    return Outcome(name, form, status, code, line, message, round(spent, 2), tuple(broken))


def found(folder: Path, only: Sequence[str]) -> list[tuple[str, Path]]:
    """The entrypoints that a folder names."""
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [(row["id"], folder / row["entry"]) for row in rows if not only or row["id"] in only]


def outcome_of(one: Outcome) -> str:
    """The column of the table that a file counts in."""
    if one.status in ("changed", "unchanged"):
        return "rewritten" if one.status == "changed" else "found right"
    return "guarded otherwise" if one.code in GUARDED else one.status


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Forms by outcome, in Markdown."""
    columns = ("rewritten", "found right", "guarded otherwise", "refused", "error", "crash")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in outcomes:
        counts[one.form][outcome_of(one)] += 1
    lines = [f"| form | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for form, count in sorted(counts.items()):
        lines.append(f"| {form} | {' | '.join(str(count[c] or '') for c in columns)} |")
    codes = Counter(one.code for one in outcomes if one.code)
    lines += ["", "| code | files |", "|---|---|"]
    return lines + [f"| `{code}` | {count} |" for code, count in codes.most_common()]


def report(outcomes: Sequence[Outcome]) -> list[str]:
    """All that is printed."""
    lines = table(outcomes)
    mounting = [one for one in outcomes if one.form.startswith("mounts an MCP app")]
    right = [one for one in mounting if outcome_of(one) in ("rewritten", "found right")]
    other = [one for one in mounting if outcome_of(one) == "guarded otherwise"]
    lines += ["", f"{len(mounting)} files mount an MCP app on a FastAPI app: {len(right)} are"]
    lines[-1] += f" rewritten or found right, {len(other)} guarded otherwise. The others:"
    for one in mounting:
        if one not in right:
            lines.append(f"  {one.name}:{one.line or ''} {one.code}: {one.message}")
    broken = [one for one in outcomes if one.broken]
    lines += ["", f"{len(broken)} of {len(outcomes)} files crashed or broke a law."]
    lines += [f"  {one.name}: {what}" for one in broken for what in one.broken]
    slow = [one for one in outcomes if one.seconds > SLOW]
    lines += [f"  {one.name}: {one.seconds} s" for one in slow]
    slowest = max(outcomes, key=lambda one: one.seconds)
    return [*lines, f"Slowest: {slowest.name}, {slowest.seconds} s of CPU."]


def main() -> int:
    parser = argparse.ArgumentParser(description="Holds the tool to its laws on real projects.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="ID")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--diffs", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    names, entries = zip(*found(given.folder.resolve(), given.only), strict=True)
    # Measured as the command line runs: without the search for cycles.
    with ProcessPoolExecutor(given.jobs, initializer=gc.disable) as pool:
        outcomes = list(pool.map(judge, names, entries, [given.diffs] * len(names)))
    print("\n".join(report(outcomes)))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    return int(any(one.broken for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
