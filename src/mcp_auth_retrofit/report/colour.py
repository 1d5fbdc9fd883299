"""A patch in colour. The only place that needs Rich, and only on a terminal."""

import sys

from rich.console import Console
from rich.text import Text


def print_patch(patch: str, console: Console | None = None) -> None:
    """Line by line as Rich text, never as markup: `[int]` is no style (NO_COLOR is heeded)."""
    console = console or Console(file=sys.stdout, highlight=False)
    in_hunk = False
    for line in patch.split("\n")[:-1]:
        if line.startswith("diff --git "):
            in_hunk = False
        elif line.startswith("@@"):
            in_hunk = True
        console.print(Text(line, _style(line, in_hunk)), soft_wrap=True)


def _style(line: str, in_hunk: bool) -> str:
    if not in_hunk:
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
