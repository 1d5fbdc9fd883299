"""Write the golden files anew: `python tests/regenerate.py [CASE ...]`.

Prints what happened to each case. A golden file is worth what its reader has read: look at the
difference (`git diff tests/fixtures`) line by line before it is committed.
"""

import sys
import tempfile
from pathlib import Path

from harness.cases import CASES
from harness.rewriting import rewrite


def main(names: list[str]) -> int:
    """Regenerate the named cases, or all; the number of cases that did not come out as told."""
    wrong = 0
    for case in CASES:
        if names and case.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            done = rewrite(case, Path(folder) / "project")
        code = done.result.reason.code if done.result.reason else None
        if code or not case.rewritten:
            expected = case.refused or case.error
            wrong += code != expected
            said = done.result.reason.message if done.result.reason else ""
            print(f"{case.name}: {done.result.status} {code} (case.toml: {expected}) {said}")
        elif not case.golden.exists() or case.golden.read_bytes() != done.after:
            case.golden.write_bytes(done.after)
            print(f"{case.name}: written")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
