"""A proxy that adds a bearer token and changes nothing else, for clients that can't send one.

It passes bytes on as they come, so streams stay streams, and either side's hanging up reaches the
other. Every connection carries one request: that is what `Connection: close` is for.
"""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

END = b"\r\n\r\n"


@contextmanager
def adding(token: str, to: str) -> Iterator[str]:
    """The URL that stands for the URL `to`, which gets every request with `token`."""
    origin = urlsplit(to)
    upstream = (origin.hostname or "", origin.port or 80)
    with _Server(("127.0.0.1", 0), partial(_Connection, token, upstream)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{origin.path}"
        finally:
            server.shutdown()


def with_token(head: bytes, token: str) -> bytes:
    """A request's head with two fields more, and without its own word on the connection."""
    fields = head.removesuffix(END).split(b"\r\n")
    kept = [field for field in fields if not field.lower().startswith(b"connection:")]
    added = [b"Connection: close", b"Authorization: Bearer " + token.encode()]
    return b"\r\n".join([*kept, *added]) + END


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket

    def __init__(self, token: str, upstream: tuple[str, int], *connection: Any) -> None:
        self.token, self.upstream = token, upstream  # the base class answers in its constructor
        super().__init__(*connection)

    def handle(self) -> None:
        read = b""
        while END not in read:
            if not (more := self.request.recv(65536)):
                return
            read += more
        head, _, body = read.partition(END)
        with socket.create_connection(self.upstream) as server:
            server.sendall(with_token(head + END, self.token) + body)
            back = threading.Thread(target=_pass_on, args=[server, self.request], daemon=True)
            back.start()
            _pass_on(self.request, server)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (target, source):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
