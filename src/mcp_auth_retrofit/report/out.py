"""Bytes and text to the standard streams: nothing lost, nothing that an encoding can break."""

import re
import sys
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Control characters as escapes: a file's name or text must not steer who reads it."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(text: str = "", stream: TextIO | None = None) -> None:
    """Lines of text; what the stream's encoding lacks, or steers a terminal, becomes an escape."""
    stream = stream or sys.stdout
    text = without_controls(text)
    write_bytes(f"{text}\n".encode(stream.encoding or "utf-8", "backslashreplace"), stream)


def complain(text: str) -> None:
    """A line of text on standard error."""
    say(text, sys.stderr)


def write_bytes(data: bytes, stream: TextIO | None = None) -> None:
    """Bytes as they are, in order with the text before and after."""
    stream = stream or sys.stdout
    stream.flush()
    stream.buffer.write(data)
    stream.buffer.flush()


def show_patch(data: bytes) -> None:
    """A patch: in colour on a terminal, byte for byte anywhere else."""
    if not sys.stdout.isatty():
        write_bytes(data)
        return
    # Rich costs as much as Typer, and only a terminal needs it.
    from mcp_auth_retrofit.report.colour import print_patch  # noqa: PLC0415 - see above

    sys.stdout.flush()
    print_patch(without_controls(data.decode("utf-8", "replace").replace("\r\n", "\n")))
