"""Bytes and text to the standard streams: nothing lost, nothing that an encoding can break."""

import sys
from typing import TextIO


def say(text: str = "", stream: TextIO | None = None) -> None:
    """A line of text; what the stream's encoding lacks is written as an escape."""
    stream = stream or sys.stdout
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
    print_patch(data)
