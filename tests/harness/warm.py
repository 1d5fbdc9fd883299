"""A process that has imported the libraries and forks itself for each app.

`boot` costs seconds of imports per app when it starts an interpreter each time; the tests boot every
fixture twice. What runs in the fork is the same `serve`, in a process and a group of its own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from mcp_auth_retrofit.verify.boot import Child, Command
from mcp_auth_retrofit.verify.serve import serve

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
                [sys.executable, "-m", "harness.warm", str(theirs.fileno())],
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


def _nothing() -> None:
    """A route and a tool."""


def _import_what_apps_import() -> None:
    import fastapi.middleware.cors
    import fastapi.staticfiles
    import fastmcp.server.http
    import fastmcp.utilities.lifespan
    import mcp.server
    import scalekit
    import uvicorn.lifespan.on
    import uvicorn.protocols.http.auto
    import uvicorn.protocols.websockets.auto

    # A first app of each kind brings in what the libraries import only when they are used.
    server = fastmcp.FastMCP("warm")
    server.tool(_nothing)
    app = fastapi.FastAPI(lifespan=server.http_app(path="/").lifespan)
    app.get("/")(_nothing)
    app.openapi()


def _become(message: dict[str, Any], listener: int, output: int, control: socket.socket) -> None:
    """In the fork: be the process that `spawn` would have made. Never returns."""
    status = 1
    try:
        os.setsid()
        control.close()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.environ.clear()
        os.environ.update(message["env"])
        os.chdir(message["cwd"])
        # `harness` and the tests are no modules of the app's.
        sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parents[1]]
        sys.argv[:] = ["-c"]
        status = serve(message["spec"], listener, message["factory"], message["root_path"])
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _main(control: socket.socket) -> None:
    _import_what_apps_import()
    # A line-buffered stdout is what -u gives to the plain child as well.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a real stream here
    ended: dict[int, int] = {}
    alive: set[int] = set()
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, LONGEST, 2)
        if not data:
            break
        message = json.loads(data)
        if "poll" in message:
            pid = message["poll"]
            if pid in alive:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    alive.remove(pid)
                    ended[pid] = os.waitstatus_to_exitcode(status)
            control.send(json.dumps(ended.get(pid)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            _become(message, *descriptors, control)
        for descriptor in descriptors:
            os.close(descriptor)
        alive.add(pid)
        control.send(str(pid).encode())
    for pid in alive:
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        _main(ours)
