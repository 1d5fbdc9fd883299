"""All or nothing: several files replaced atomically, in their order, or put back.

Each file is wholly old or wholly new at every moment (a temporary file beside it, fsync, rename).
The order given is the order on disk: whoever passes the entrypoint last never has it import a file
that is not there yet, also after a kill.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp_auth_retrofit.results import Reason, Refused, Write

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class _Staged:
    """A file with its new bytes waiting beside it."""

    write: Write
    target: Path
    temporary: Path


def write_all(writes: Sequence[Write]) -> None:
    """Writes every file, or none.

    Raises Refused (file-changed, read-only, hard-link, cannot-write); then every file is as it was,
    unless the message says otherwise. Symbolic links stay, what they lead to is written; mode and
    owner stay as far as the system lets us.
    """
    targets = check_writable(writes)
    staged: list[_Staged] = []
    replaced: list[_Staged] = []
    try:
        for write, target in zip(writes, targets, strict=True):
            staged.append(_Staged(write, target, _stage(write.after, target)))
        for step in staged:
            _check_unchanged(step.write, step.target)
            # Noted first: an interrupt may come between the rename and its return.
            replaced.append(step)
            step.temporary.replace(step.target)
            _sync_folder(step.target.parent)
    except BaseException as error:
        lost = _put_back(replaced)
        _discard(staged)
        if lost:
            raise _refuse(
                "cannot-write",
                f"Writing failed and {', '.join(map(str, lost))} could not be put back.",
                "Restore what is named from version control.",
            ) from error
        if isinstance(error, OSError):
            raise _cannot_write(error) from None
        raise


def check_writable(writes: Sequence[Write]) -> list[Path]:
    """Where each file really is (links followed). Raises Refused where writing would go wrong."""
    targets = []
    for write in writes:
        try:
            target = Path(os.path.realpath(write.path))
            _check_unchanged(write, target)
            _check_permitted(target)
        except OSError as error:
            raise _cannot_write(error, write.path) from None
        targets.append(target)
    return targets


def _check_unchanged(write: Write, target: Path) -> None:
    try:
        current = target.read_bytes()
    except FileNotFoundError:
        current = None
    if current == write.before:
        return
    happened = "was changed"
    if current is None:
        happened = "was removed"
    elif write.before is None:
        happened = "was made by someone else"
    raise _refuse(
        "file-changed",
        f"{write.path} {happened} after it was read; nothing was written.",
        "Run this again to see the change against the file as it is now.",
    )


def _check_permitted(target: Path) -> None:
    """Mode bits too: for root, and on some network file systems, os.access says yes to all."""
    folder = target.parent
    if target.exists():
        status = target.stat()
        if status.st_nlink > 1:
            raise _refuse(
                "hard-link",
                f"{target} has {status.st_nlink - 1} other hard link(s), "
                "and an atomic write would part them.",
                "Copy the file over itself to part it (cp FILE COPY && mv COPY FILE), or apply the "
                "patch that --diff prints.",
            )
        if not status.st_mode & _WRITABLE or not os.access(target, os.W_OK):
            raise _refuse("read-only", f"{target} is read-only.", "Make it writable: chmod u+w.")
    if not folder.stat().st_mode & _WRITABLE or not os.access(folder, os.W_OK | os.X_OK):
        raise _refuse(
            "read-only",
            f"The folder {folder} is read-only, so no file in it can be replaced.",
            "Make it writable: chmod u+w.",
        )


def _stage(data: bytes, target: Path) -> Path:
    """A temporary file beside the target, with its bytes, mode and owner, safe on the disk."""
    old = target.stat() if target.exists() else None
    temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.tmp")
    # A new file gets what the umask leaves; one that replaces another is closed until it has its
    # mode.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600 if old else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            _keep_owner(temporary, old)
            temporary.chmod(stat.S_IMODE(old.st_mode))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep_owner(path: Path, old: os.stat_result) -> None:
    """Before the mode: changing the owner takes set-id bits away."""
    made = path.stat()
    if not hasattr(os, "chown") or (made.st_uid, made.st_gid) == (old.st_uid, old.st_gid):
        return
    for owner, group in ((old.st_uid, old.st_gid), (-1, old.st_gid)):
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(path, owner, group)
            return


def _sync_folder(folder: Path) -> None:
    """Makes a rename last, and last in its order; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put_back(replaced: Sequence[_Staged]) -> list[Path]:
    """Undoes, last first; returns what could not be undone.

    A file that no longer has our bytes is someone else's by now and stays.
    """
    lost = []
    for step in reversed(replaced):
        try:
            if not step.target.exists() or step.target.read_bytes() != step.write.after:
                continue
            if step.write.before is None:
                step.target.unlink()
            else:
                _restore(step.write.before, step.target)
            _sync_folder(step.target.parent)
        except OSError:
            lost.append(step.target)
    return lost


def _restore(data: bytes, target: Path) -> None:
    temporary = _stage(data, target)
    try:
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _discard(staged: Sequence[_Staged]) -> None:
    for step in staged:
        with contextlib.suppress(OSError):
            step.temporary.unlink(missing_ok=True)


def _cannot_write(error: OSError, path: Path | None = None) -> Refused:
    where = path or error.filename or "the files"
    return _refuse(
        "cannot-write",
        f"Writing {where} failed ({error.strerror or 'input/output error'}); nothing was changed.",
        "Check the disk's space and permissions, then run this again.",
    )


def _refuse(code: str, message: str, hint: str) -> Refused:
    return Refused(Reason(code, message, hint))
