"""The guard's source as it ships, and the digest by which an edit of it is told for ever."""

import hashlib
import re
from importlib.resources import files

from mcp_auth_retrofit.wiring.names import HELPER

MARK = re.compile(rb"# scalekit_auth\.py, format (\d+), written by mcp-auth-retrofit")


def guard_source() -> bytes:
    """The module that users receive, without a seal."""
    return files("mcp_auth_retrofit.inserted").joinpath(f"{HELPER}.py").read_bytes()


def format_of(source: bytes) -> int:
    """The number in its first line, which goes up when its callers have to change; else 0."""
    mark = MARK.match(source)
    return int(mark[1]) if mark else 0


def digest(text: bytes) -> str:
    """16 hexadecimal digits of SHA-256: against edits by accident, not against forgery."""
    return hashlib.sha256(text).hexdigest()[:16]
