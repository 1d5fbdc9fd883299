"""`.env.example`: the names that the app needs now, after those it lists already."""

import re
from collections.abc import Iterator, Mapping

from mcp_auth_retrofit.project.settings import env_line

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*(?:=\s*(.*))?$")
_END = re.compile(r"\s*(?:#.*)?$")
_HEADING = "# Scalekit sign-in for the MCP server"


def with_names(before: bytes | None, wanted: Mapping[str, str]) -> bytes | None:
    """The file with the wanted names that it lacks; None when it is no text, or lacks none.

    Every byte of it stays, and so does its habit of ending in a line end or not.
    """
    if before is None:
        lines = [_HEADING, *(env_line(name, value) for name, value in wanted.items())]
        return "".join(f"{line}\n" for line in lines).encode()
    if b"\0" in before:  # UTF-16, as some shells redirect
        return None
    known = values(before)
    missing = [env_line(name, value) for name, value in wanted.items() if name not in known]
    if not missing:
        return None
    text = before.decode("utf-8", "surrogateescape")
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    ended = not text or text.endswith("\n")
    gap = "" if not text.strip() or text.endswith(newline * 2) else newline
    text += gap if ended else newline + gap
    text += newline.join([_HEADING, *missing]) + (newline if ended else "")
    return text.encode("utf-8", "surrogateescape")


def values(data: bytes) -> dict[str, str]:
    """What the file sets, quotes and all; a name without a value counts, its value is empty."""
    return dict(_entries(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        found = _NAME.match(lines[at])
        at += 1
        if found is None:
            continue
        value = found[2] or ""
        yield found[1], value
        quote = value[:1]
        if quote in ("'", '"') and quote not in value[1:]:
            # It runs on to the next quote, unless more than a comment follows that one: then, as
            # dotenv reads it, nothing was opened here.
            last = next((n for n in range(at, len(lines)) if quote in lines[n]), None)
            if last is not None and _END.match(lines[last].partition(quote)[2]):
                at = last + 1
