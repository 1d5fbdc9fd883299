"""Whether a syntax error is only this interpreter's age.

A guess from the line at fault and the one above, for a message and never for a decision: there is
no newer grammar here to ask. Sources: PEP 695, 701 (3.12), 696 (3.13), 750, 758 (3.14), 798, 810
(3.15).
"""

import re
import sys

_SIGNS: tuple[tuple[tuple[int, int], str], ...] = (
    ((3, 12), r"^\s*type\s+\w+\s*(?:\[.*\])?\s*="),
    ((3, 13), r"^\s*(?:class|(?:async\s+)?def)\s+\w+\s*\[[^\]]*=[^\]]*\]"),
    ((3, 12), r"^\s*(?:class|(?:async\s+)?def)\s+\w+\s*\[.+\]"),
    # What the braces of an f-string could not hold: its own quote, a backslash, a comment.
    (
        (3, 12),
        r"(?<![\w'\"])(?:rf|fr|f)(['\"])"
        r"(?:[^{}'\"\\]|\\.|\{[^{}'\"\\]*\})*\{[^{}]*(?:\1|\\|#)[^{}]*\}",
    ),
    ((3, 12), r"(?<![\w'\"])(?:rf|fr|f)['\"].*\{\s*$"),  # nor reach over the end of the line
    ((3, 14), r"^\s*except\*?\s+[\w.]+\s*(?:,\s*[\w.]+\s*)+:"),
    ((3, 14), r"(?<![\w'\"])(?:t|rt|tr)['\"]"),
    ((3, 15), r"^\s*lazy\s+(?:import|from)\b"),
    ((3, 15), r"[\[({]\s*\*{1,2}[^\]]*\bfor\b"),
)


def needed_version(text: str, line: int, said: str) -> str | None:
    """The Python that would read it, e.g. "3.12"; None when the error looks like a plain one.

    `line` (1-based) and `said` are the SyntaxError's.
    """
    if said.startswith("f-string expression part cannot include"):  # no longer said by 3.12
        return "3.12"
    lines = text.splitlines()
    near = [lines[n - 1] for n in (line, line - 1) if 0 < n <= len(lines)]
    for version, sign in _SIGNS:
        if version > sys.version_info[:2] and any(re.search(sign, one, re.I) for one in near):
            return "{}.{}".format(*version)
    return None
