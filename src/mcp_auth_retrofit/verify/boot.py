"""Start an app in a uvicorn of its own on loopback, and stop it so that it can say goodbye.

POSIX only: the child leads a process group of its own, which is what is killed at the end.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mcp_auth_retrofit.verify import serve

Environment = Mapping[str, str] | Callable[[str], Mapping[str, str]]
"""Variables added to ours; a function gets the app's URL first (a setting may have to name it)."""


class CouldNotBoot(Exception):
    """The app ended, or stayed silent for too long, before it took a connection."""

    def __init__(self, reason: str, output: list[str]) -> None:
        self.reason = reason
        self.output = output
        """Everything the app has printed, line by line."""
        last_words = "\n".join(f"    {line}" for line in output[-15:])
        super().__init__(f"{reason}\n{last_words}" if last_words else reason)


@dataclass
class Running:
    """An app that takes connections."""

    url: str
    """Origin without a slash at the end, e.g. http://127.0.0.1:40001."""
    output: list[str] = field(default_factory=list)
    """What the app prints, both streams, line by line; it grows, and is whole after the end."""
    exit_status: int | None = None
    """None while it runs; minus the signal's number when a signal ended it, as in subprocess."""


@dataclass(frozen=True)
class Command:
    """What a child process has to run."""

    python: str
    spec: str
    factory: bool
    root_path: str
    cwd: Path
    env: Mapping[str, str]
    """The whole environment."""
    listener: int
    """File descriptor of the bound socket."""
    output: int
    """File descriptor that takes both output streams."""


class Child(Protocol):
    """The part of `subprocess.Popen` that `boot` needs."""

    @property
    def pid(self) -> int:
        """Its process id, which is its process group too."""

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""


def spawn(command: Command) -> Child:
    """A new interpreter: the plain way to run a command."""
    arguments = {
        "spec": command.spec,
        "listener": command.listener,
        "factory": command.factory,
        "root_path": command.root_path,
    }
    source = Path(serve.__file__).read_text(encoding="utf-8")
    return subprocess.Popen(  # noqa: S603  the caller's own interpreter; no shell is involved
        [command.python, "-u", "-c", source, json.dumps(arguments)],
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        stdout=command.output,
        stderr=command.output,
        pass_fds=(command.listener,),
        start_new_session=True,
    )


@contextmanager
def boot(  # noqa: PLR0913  keyword only, and each has a default
    spec: str = "main:app",
    *,
    cwd: Path,
    env: Environment | None = None,
    factory: bool = False,
    python: str = sys.executable,
    root_path: str = "",
    start_timeout: float = 60.0,
    stop_timeout: float = 10.0,
    launch: Callable[[Command], Child] = spawn,
) -> Iterator[Running]:
    """Run `spec` as `uvicorn spec` would in `cwd`; yields once it takes connections.

    The end sends SIGTERM, so that lifespans and shutdown handlers run, and after `stop_timeout`
    seconds SIGKILL; whatever is left of the process group is killed. Raises `CouldNotBoot`.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host, port = listener.getsockname()
        running = Running(f"http://{host}:{port}")
        added = env(running.url) if callable(env) else env or {}
        reading, writing = os.pipe()
        command = Command(
            python=python,
            spec=spec,
            factory=factory,
            root_path=root_path,
            cwd=cwd,
            env=_environment(added),
            listener=listener.fileno(),
            output=writing,
        )
        try:
            child = launch(command)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
    reader = threading.Thread(target=_collect, args=(reading, running.output), daemon=True)
    reader.start()
    try:
        _wait_until_up(child, port, start_timeout, spec, running.output)
        yield running
    except CouldNotBoot:
        _stop(child, stop_timeout)
        reader.join(1.0)
        raise
    finally:
        running.exit_status = _stop(child, stop_timeout)
        # A grandchild that left the group may hold the pipe open; its words are not waited for.
        reader.join(1.0)


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """Ours, unbuffered, leaving no byte code behind and asking no proxy about loopback."""
    here = "127.0.0.1,localhost"
    settled = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": here,
        "no_proxy": here,
    }
    return {**os.environ, **settled, **added}


def _collect(descriptor: int, lines: list[str]) -> None:
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            lines.append(line.rstrip("\n"))


def _wait_until_up(child: Child, port: int, timeout: float, spec: str, output: list[str]) -> None:
    deadline = time.monotonic() + timeout
    pause = 0.01
    while time.monotonic() < deadline:
        status = child.poll()
        if status is not None:
            time.sleep(0.05)  # the reader thread gets to the last words
            raise CouldNotBoot(f"{spec} did not start (exit status {status})", output)
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    raise CouldNotBoot(f"{spec} did not start within {timeout:g} s", output)


def _stop(child: Child, timeout: float) -> int | None:
    status = child.poll()
    if status is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM)
        status = _wait(child, timeout)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    return _wait(child, 5.0) if status is None else status


def _wait(child: Child, timeout: float) -> int | None:
    deadline = time.monotonic() + timeout
    while (status := child.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return status
