"""`scalekit_auth.py` beside the entrypoint: made when it is not there, never overwritten."""

from importlib.resources import files
from pathlib import Path

from mcp_auth_retrofit.results import Reason, Refused, Write
from mcp_auth_retrofit.wiring.names import HELPER

_MARK = b"written by mcp-auth-retrofit"


def helper_source() -> bytes:
    """The module that users receive, byte for byte as it is tested."""
    return files("mcp_auth_retrofit.inserted").joinpath(f"{HELPER}.py").read_bytes()


def helper_write(folder: Path) -> Write:
    """The write that puts the helper into a folder; before and after are equal when it is there.

    Raises Refused when a file of that name is somebody else's, or ours with changes in it.
    """
    path, ours = folder / f"{HELPER}.py", helper_source()
    if not path.exists():
        return Write(path, None, ours)
    there = path.read_bytes()
    # A checkout may have turned the line ends; that is no edit.
    if there.replace(b"\r\n", b"\n") == ours:
        return Write(path, there, there)
    if _MARK in there.partition(b"\n")[0]:
        raise Refused(
            Reason(
                "helper-edited",
                f"{path.name} was written by this tool and is not what this version writes: it was "
                "edited, or an older version wrote it.",
                f"Move {path.name} away, run apply again, and carry your own changes over.",
            )
        )
    raise Refused(
        Reason(
            "helper-taken",
            f"{path.name} beside the entrypoint is not written by this tool.",
            f"Rename it and its imports: this tool's helper needs the name {path.name}.",
        )
    )
