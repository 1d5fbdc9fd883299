"""Programs that are run to their end, and that never outlive us."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from promise import CouldNotRun


@dataclass(frozen=True)
class Ended:
    """What a program left behind."""

    status: int
    """Minus the signal's number when a signal ended it; -9 after the time that it was given."""
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The end of what it said, for a reader who has to find out why."""
        return (self.err.strip() or self.out.strip())[-600:]


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Ended:
    """Run `command`, with `env` added to ours. Raises CouldNotRun when there is no such program.

    It leads a process group of its own, and the whole group ends with it, also when we are
    interrupted: npm and the Inspector start processes of their own.
    """
    try:
        child = subprocess.Popen(  # noqa: S603  our own commands; no shell is involved
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise CouldNotRun(f"{command[0]} is not installed") from error
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(child)
        out, err = child.communicate()
    finally:
        _end(child)
    return Ended(child.returncode, out, err)


def _end(child: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
