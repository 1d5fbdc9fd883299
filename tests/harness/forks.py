"""The warm process itself (see `warm`): imports what apps import, then forks.

Run as a module with the number of a control socket. Over it come messages in JSON: a command with
two file descriptors, answered with the process id; or a question for an exit status.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import fastapi
import fastmcp

from harness.warm import LONGEST
from mcp_auth_retrofit.verify.serve import serve

LIBRARIES = (
    "fastapi.middleware.cors",
    "fastapi.staticfiles",
    "fastmcp.server.http",
    "fastmcp.utilities.lifespan",
    "mcp.server",
    "scalekit.client",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)


def _nothing() -> None:
    """A route and a tool."""


def _import_what_apps_import() -> None:
    for name in LIBRARIES:
        with contextlib.suppress(ModuleNotFoundError):  # an older version has fewer
            importlib.import_module(name)
    # A first app of each kind brings in what the libraries import only when they are used.
    server = fastmcp.FastMCP("warm")
    server.tool(_nothing)
    app = fastapi.FastAPI(lifespan=server.http_app(path="/").lifespan)
    app.get("/")(_nothing)
    app.openapi()


def _become(
    message: dict[str, Any], listener: int, output: int, control: socket.socket
) -> NoReturn:
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
        # A new interpreter would have looked at it.
        sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
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
            _become(message, descriptors[0], descriptors[1], control)
        for descriptor in descriptors:
            os.close(descriptor)
        alive.add(pid)
        control.send(str(pid).encode())
    for pid in alive:
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        _main(ours)
