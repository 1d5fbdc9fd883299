"""The child's side of `boot`: run uvicorn on a socket that the parent has bound already.

Its text is handed to whatever interpreter the app uses (`python -c`), so it may import the standard
library and uvicorn only. A socket bound beforehand is what lets the parent know the URL before the
app starts, without the race of picking a free port and letting go of it.
"""

import json
import os
import socket
import sys


def serve(spec: str, listener: int, factory: bool, root_path: str) -> int:
    """Serve `spec` ("module:attribute") on the socket `listener` until a signal; the exit status.

    uvicorn starts to listen only when the app's own start-up is over, so a connection that is
    accepted means that the app is up. Status 3 is uvicorn's own for a start-up that failed.
    """
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  as the `uvicorn` command does with --app-dir
    import uvicorn  # noqa: PLC0415  found along the path of the interpreter that runs the app

    config = uvicorn.Config(
        spec,
        factory=factory,
        root_path=root_path,
        access_log=False,
        use_colors=False,
        # An event stream that a client left open must not hold the shutdown events back for ever.
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=listener)])
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(serve(**json.loads(sys.argv[1])))
