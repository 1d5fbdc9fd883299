"""`scalekit_auth.py` beside the entrypoint: made when it is not there, renewed when it is ours.

What is written ends with a seal, a digest of all that stands above it. So a later version of the
tool can tell for ever whether somebody has edited the file since, without knowing what it was.
"""

import difflib
import re
from pathlib import Path

from mcp_auth_retrofit.results import Reason, Refused, Write
from mcp_auth_retrofit.seal import MARK, digest, format_of, guard_source
from mcp_auth_retrofit.wiring.names import HELPER

_SEAL = re.compile(rb"# Untouched, this file ends with its seal: ([0-9a-f]{16})\.\n?\Z")
_UNSEALED = frozenset({"9382295f7275519d"})
"""Digests of what was written before there were seals."""
_SHOWN = 40
"""Lines of a difference; more than these are counted."""


def helper_source() -> bytes:
    """The module that users receive, byte for byte as it is tested, and its seal."""
    body = guard_source()
    return body + f"# Untouched, this file ends with its seal: {digest(body)}.\n".encode()


def helper_write(folder: Path) -> Write:
    """The write that puts the helper into a folder; before and after are equal when it is there.

    Raises Refused when a file of that name is somebody else's, ours with changes in it, or written
    by a later version of the tool.
    """
    path, ours = folder / f"{HELPER}.py", helper_source()
    if not path.exists():
        return Write(path, None, ours)
    there = path.read_bytes()
    # A checkout may have turned the line ends; that is no edit.
    plain = there.replace(b"\r\n", b"\n")
    if plain == ours:
        return Write(path, there, there)
    mark = MARK.match(plain)
    if mark is None:
        raise Refused(
            Reason(
                "helper-taken",
                f"{path.name} beside the entrypoint is not written by this tool.",
                f"Rename it and its imports: this tool's helper needs the name {path.name}.",
            )
        )
    if not _is_untouched(plain):
        raise Refused(_edited(path, ours, plain))
    if int(mark[1]) > format_of(ours):
        raise Refused(
            Reason(
                "helper-newer",
                f"{path.name} was written by a later version of this tool (format "
                f"{int(mark[1])}; this one writes {format_of(ours)}).",
                "Update mcp-auth-retrofit, and run apply again.",
            )
        )
    turned = ours.replace(b"\n", b"\r\n") if plain != there else ours
    return Write(path, there, turned)


def _is_untouched(text: bytes) -> bool:
    seal = _SEAL.search(text)
    if seal is None:
        return digest(text) in _UNSEALED
    return digest(text[: seal.start()]) == seal[1].decode()


def _edited(path: Path, ours: bytes, there: bytes) -> Reason:
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (ours, there))
    names = ("as this version writes it", "as it is")
    lines = list(difflib.unified_diff(old, new, *names, n=1, lineterm=""))
    changed = next((int(m[1]) for x in lines if (m := re.match(r"@@ -\S+ \+(\d+)", x))), 1)
    left = len(lines) - _SHOWN
    shown = lines[:_SHOWN] + ([f"... and {left} lines more"] if left > 0 else [])
    return Reason(
        "helper-edited",
        f"{path.name} was written by this tool and edited since (line {changed}).",
        f"Move {path.name} away, run apply again, and carry your own changes over.",
        detail="\n".join(shown),
    )
