"""The parent's end of a process that has imported the libraries and forks itself for each app.

`boot` costs seconds of imports per app when it starts an interpreter each time, and the tests boot
every case twice. What runs in the fork is the same `serve`, in a process and a group of its own.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from mcp_auth_retrofit.verify.boot import Child, Command

LONGEST = 1 << 20


class Forked:
    """A child of the warm process; the interface of `Child`."""

    def __init__(self, warm: "Warm", pid: int) -> None:
        self._warm = warm
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        if self._status is None:
            self._status = self._warm.ask({"poll": self.pid})
        return self._status


class Warm:
    """The parent's end: start the warm process, and have it fork. `launch` goes to `boot`."""

    def __enter__(self) -> "Warm":
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.forks", str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._process.wait(10)

    def launch(self, command: Command) -> Child:
        """Fork for `command`; its `python` is not looked at, for the fork is this interpreter."""
        message = {
            "cwd": str(command.cwd),
            "env": dict(command.env),
            "spec": command.spec,
            "factory": command.factory,
            "root_path": command.root_path,
        }
        socket.send_fds(
            self._socket, [json.dumps(message).encode()], [command.listener, command.output]
        )
        return Forked(self, int(self._socket.recv(LONGEST)))

    def ask(self, message: dict[str, Any]) -> Any:
        """One question to the warm process, which needs no file descriptors."""
        self._socket.send(json.dumps(message).encode())
        return json.loads(self._socket.recv(LONGEST))
