"""A patch that `git apply` takes, byte for byte."""

import os
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

from mcp_auth_retrofit.results import Write

_CONTEXT = 3
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def patch(writes: Iterable[Write], cwd: Path) -> bytes:
    """The writes as one patch; empty when nothing changes."""
    base = top_level(cwd)
    return b"".join(_file(write, base) for write in writes if write.before != write.after)


def top_level(cwd: Path) -> Path:
    """What the patch's paths start from: the work tree's top, where `git apply` starts too."""
    cwd = cwd.resolve()
    return next((f for f in (cwd, *cwd.parents) if (f / ".git").exists()), cwd)


def out_of_reach(writes: Iterable[Write], cwd: Path) -> list[Path]:
    """The files outside the cwd. `git apply` run there passes over them without a word."""
    here = cwd.resolve()
    targets = (write.path.resolve() for write in writes)
    return [target for target in targets if not target.is_relative_to(here)]


def _file(write: Write, base: Path) -> bytes:
    # Links are followed, as the writing does: git refuses to patch through one.
    target = write.path.resolve()
    # A file outside is named from the root, so that `patch -p1 -d /` finds it.
    name = os.fsencode(target.relative_to(base) if target.is_relative_to(base) else target)
    name = name.replace(os.sep.encode(), b"/").lstrip(b"/")
    old, new = _header_name(b"a/" + name), _header_name(b"b/" + name)
    # With a space in it, a name in the ---/+++ lines ends in a tab, or `patch` would cut it.
    end = b"\t\n" if b" " in name else b"\n"
    parts = [b"diff --git " + old + b" " + new + b"\n"]
    if write.before is None:
        parts.append(b"new file mode 100644\n")
        if not write.after:
            return b"".join([*parts, b"index 0000000..e69de29\n"])
        parts.append(b"--- /dev/null\n")
    else:
        parts.append(b"--- " + old + end)
    parts.append(b"+++ " + new + end)
    return b"".join([*parts, *_hunks(write.before or b"", write.after)])


def _header_name(name: bytes) -> bytes:
    """As git writes it: in C quotes as soon as one byte needs them (core.quotePath)."""
    if all(32 <= byte < 127 and byte not in b'"\\' for byte in name):
        return name
    quoted = "".join(
        f"\\{_ESCAPES[byte]}"
        if byte in _ESCAPES
        else chr(byte)
        if 32 <= byte < 127
        else f"\\{byte:03o}"
        for byte in name
    )
    return f'"{quoted}"'.encode()


def _hunks(before: bytes, after: bytes) -> Iterator[bytes]:
    a, b = _lines(before), _lines(after)
    for group in SequenceMatcher(None, a, b).get_grouped_opcodes(_CONTEXT):
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n".encode()
        for kind, a1, a2, b1, b2 in group:
            if kind == "equal":
                yield from _marked(b" ", a[a1:a2])
            else:
                yield from _marked(b"-", a[a1:a2])
                yield from _marked(b"+", b[b1:b2])


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds alone, as git does."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _range(start: int, stop: int) -> str:
    """Lines start at 1; an empty range names the line before it."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _marked(mark: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line
        if not line.endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"
