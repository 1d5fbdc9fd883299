"""Adding strings to a TOML array of strings, in its own style and with nothing else touched.

Written for this because tomlkit 0.15 loses the comma after a last element that a comment follows,
and with it the whole document.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r"""\s+|#[^\n]*|,|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\]""")
_INDENT = "    "


@dataclass(frozen=True)
class Array:
    """Where an array and its strings stand in a text; `end` is the place of its bracket."""

    start: int
    end: int
    items: tuple[tuple[int, int], ...]
    comma: int | None
    """The place after the comma that follows the last string."""
    sections: bool
    """A comment stands on a line of its own."""


def read(text: str, start: int) -> Array | None:
    """The array that opens at `start`; None for what is more than strings on one line each."""
    items: list[tuple[int, int]] = []
    comma, sections, at = None, False, start + 1
    while found := _TOKEN.match(text, at):
        piece, at = found[0], found.end()
        if piece == "]":
            return Array(start, found.start(), tuple(items), comma, sections)
        if piece == ",":
            comma = at
        elif piece.startswith("#"):
            sections |= not _before(text, found.start()).strip()
        elif not piece.isspace():
            items.append((found.start(), at))
            comma = None
    return None


def add(text: str, array: Array, new: str, key: Callable[[str], str]) -> str:
    """The text with one more string in the array.

    `key` sorts: a list in that order stays in it, any other gets its new string at the end.
    """
    if not array.items:
        return _first(text, array, new)
    values = [text[a + 1 : b - 1] for a, b in array.items]
    quote = "'" if all(text[a] == "'" for a, _ in array.items) else '"'
    new_item = f"{quote}{new}{quote}"
    keys = [key(value) for value in values]
    place = len(keys)
    if len(keys) > 1 and keys == sorted(keys) and not array.sections:
        place = sum(one < key(new) for one in keys)
    if place == len(keys):
        return _last(text, array, new_item)
    start = array.items[place][0]
    lead = _before(text, start)
    gap = " " if lead.strip() else _newline(text) + lead
    return f"{text[:start]}{new_item},{gap}{text[start:]}"


def _first(text: str, array: Array, new: str) -> str:
    newline = _newline(text)
    inside = text[array.start + 1 : array.end].rstrip()
    return (
        f'{text[: array.start + 1]}{inside}{newline}{_INDENT}"{new}",{newline}{text[array.end :]}'
    )


def _last(text: str, array: Array, item: str) -> str:
    start, end = array.items[-1]
    many_lines = "\n" in text[array.start : start]
    if not many_lines:
        if array.comma is not None:
            return f"{text[: array.comma]} {item},{text[array.comma :]}"
        return f"{text[:end]}, {item}{text[end:]}"
    lead = _before(text, start)
    indent = lead if not lead.strip() else " " * len(lead)
    line_end = text.find("\n", array.comma or end)
    if array.end < line_end or line_end < 0:  # the bracket hugs the last string
        line_end = array.comma or end
    elif text[line_end - 1] == "\r":
        line_end -= 1
    line = _newline(text) + indent + item
    if array.comma is not None:
        return f"{text[:line_end]}{line},{text[line_end:]}"
    return f"{text[:end]},{text[end:line_end]}{line}{text[line_end:]}"


def _before(text: str, at: int) -> str:
    """What stands before a place on its line."""
    return text[text.rfind("\n", 0, at) + 1 : at]


def _newline(text: str) -> str:
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
