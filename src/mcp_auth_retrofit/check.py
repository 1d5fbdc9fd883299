"""`check`: which findings a set of files has. Standard library only, for the hook's sake."""

import io
import re
import tokenize
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcp_auth_retrofit import source
from mcp_auth_retrofit.discover import may_concern, python_files
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.plan.decide import decide
from mcp_auth_retrofit.results import Reason, Refused, Unusable
from mcp_auth_retrofit.rules import all_rules
from mcp_auth_retrofit.rules.finding import Severity
from mcp_auth_retrofit.wiring.read import read as strict_read
from mcp_auth_retrofit.wiring.read import survey

_IGNORE = re.compile(r"#\s*mar:\s*ignore\[([A-Z0-9,\s]+)\]")


@dataclass(frozen=True, order=True)
class Finding:
    """One finding, as every format prints it."""

    path: str
    line: int
    column: int
    """1-based, in characters."""
    code: str
    name: str
    severity: Severity
    message: str
    fixable: bool


@dataclass
class Checked:
    """All that `check` says."""

    findings: list[Finding] = field(default_factory=list)
    troubles: list[tuple[Path, Reason]] = field(default_factory=list)
    """Files that could not be checked, and why."""
    checked: int = 0
    """How many files were looked at."""

    @property
    def status(self) -> int:
        """Exit status: 0 clean, 1 findings, 2 something could not be checked."""
        return 2 if self.troubles else int(bool(self.findings))


def check(paths: Sequence[Path], select: Collection[str] = ()) -> Checked:
    """Judges files and the Python files of folders; `select` names codes, none means all."""
    result = Checked()
    for path in python_files(paths):
        try:
            result.findings += _judge(path, select)
            result.checked += 1
        except Unusable as unusable:
            result.troubles.append((path, unusable.reason))
        except RecursionError:
            result.troubles.append((path, source.too_deeply_nested().reason))
    result.findings.sort()
    return result


def _judge(path: Path, select: Collection[str]) -> list[Finding]:
    data = source.read_bytes(path)
    if not may_concern(data):
        return []
    try:
        read = source.parse(path, data)
    except Refused:
        return []  # an empty file, or one with odd line ends: nothing to judge
    entries = survey(path, read.tree)
    lines = data.decode(read.encoding).splitlines()
    silenced = _silenced(data) if b"mar:" in data else {}
    rules = [rule for rule in all_rules() if not select or rule.code in select]
    spots = [
        (entry, rule, spot) for entry in entries for rule in rules for spot in rule.find(entry)
    ]
    mended = _mended_app(read) if spots else None
    found = []
    for entry, rule, spot in spots:
        if rule.code not in silenced.get(spot.line, ()):
            column = len(lines[spot.line - 1].encode()[: spot.offset].decode(errors="ignore")) + 1
            found.append(
                Finding(
                    str(path),
                    spot.line,
                    column,
                    rule.code,
                    rule.name,
                    rule.severity,
                    spot.message,
                    spot.fixable and entry.app.name == mended,
                )
            )
    return found


def _mended_app(read: source.Source) -> str | None:
    """The app that `apply` would edit, for it is the one that judges what it can mend."""
    try:
        return decide(strict_read(read.path, read.tree), Options()).app
    except Refused:
        return None


def _silenced(data: bytes) -> dict[int, set[str]]:
    """The codes that a comment `# mar: ignore[CODE]` silences, by line."""
    codes: dict[int, set[str]] = {}
    for token in tokenize.tokenize(io.BytesIO(data).readline):
        found = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
        if found:
            codes[token.start[0]] = {code.strip() for code in found[1].split(",")}
    return codes
