"""A patch in colour. The only place that needs Rich, and only on a terminal."""

import re
import sys

from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def print_patch(data: bytes, console: Console | None = None) -> None:
    """Line by line as Rich text, never as markup: `[int]` is no style (NO_COLOR is heeded)."""
    console = console or Console(file=sys.stdout, highlight=False)
    in_hunk = False
    for line in data.decode("utf-8", "replace").split("\n")[:-1]:
        if line.startswith("diff --git "):
            in_hunk = False
        elif line.startswith("@@"):
            in_hunk = True
        # A source must not be able to steer the terminal that shows it.
        shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.removesuffix("\r"))
        console.print(Text(shown, _style(line, in_hunk)), soft_wrap=True)


def _style(line: str, in_hunk: bool) -> str:
    if not in_hunk:
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
