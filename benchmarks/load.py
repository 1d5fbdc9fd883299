"""A client that costs little beside the server: prepared requests over a few kept connections."""

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles


@dataclass(frozen=True)
class Load:
    """What came of one run of requests."""

    seconds: float
    times: Sequence[float]
    """Seconds that each request took."""
    statuses: frozenset[int]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.times) / self.seconds

    @property
    def p50(self) -> float:
        """Half of the requests took at most this many milliseconds."""
        return quantiles(self.times, n=100)[49] * 1000

    @property
    def p99(self) -> float:
        """99 of a hundred took at most this many milliseconds."""
        return quantiles(self.times, n=100)[98] * 1000


@dataclass
class Lane:
    """One connection, which sends a request as soon as the last one is answered."""

    connection: socket.socket
    requests: Iterator[bytes]
    begun: float = 0.0
    answer: bytearray = field(default_factory=bytearray)
    length: int = 0
    """Of the whole answer: 0 as long as its head is not whole, -1 when it comes in chunks."""

    def send(self) -> bool:
        """Whether there was another request to send."""
        request = next(self.requests, None)
        if request is None:
            return False
        self.answer.clear()
        self.length = 0
        self.begun = time.perf_counter()
        self.connection.sendall(request)
        return True

    def receive(self) -> bool:
        """Whether the answer is whole now. Raises ConnectionError where the server hung up."""
        got = self.connection.recv(1 << 18)
        if not got:
            raise ConnectionError("the server hung up")
        self.answer += got
        end = self.answer.find(b"\r\n\r\n") if not self.length else -1
        if end >= 0:
            head = self.answer[:end].lower()
            chunked = b"transfer-encoding: chunked" in head
            self.length = -1 if chunked else end + 4 + _length(head)
        if self.length < 0:
            return self.answer.endswith(b"0\r\n\r\n")
        return 0 < self.length <= len(self.answer)


def request(path: str, token: str = "", body: bytes = b"", origin: str = "") -> bytes:
    """One HTTP/1.1 request as it goes out."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: bench", f"Origin: {origin}"]
    lines += [f"Authorization: Bearer {token}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    kept = [line for line in lines if not line.endswith((": ", "Bearer "))]
    return "\r\n".join([*kept, "", ""]).encode() + body


def load(port: int, requests: Sequence[bytes], connections: int = 8) -> Load:
    """Sends every request once, as fast as the server answers them."""
    times: list[float] = []
    statuses: set[int] = set()
    shares = [requests[n::connections] for n in range(connections)]
    lanes = [Lane(_connect(port), iter(share)) for share in shares if share]
    with selectors.DefaultSelector() as selector:
        begin = time.perf_counter()
        for lane in lanes:
            selector.register(lane.connection, selectors.EVENT_READ, lane)
            lane.send()
        while selector.get_map():
            for key, _ in selector.select():
                lane = key.data
                if lane.receive():
                    times.append(time.perf_counter() - lane.begun)
                    statuses.add(int(lane.answer[9:12]))
                    if not lane.send():
                        selector.unregister(lane.connection)
        seconds = time.perf_counter() - begin
    for lane in lanes:
        lane.connection.close()
    return Load(seconds, times, frozenset(statuses))


def ask(port: int, one: bytes) -> str:
    """The body of one answer."""
    with _connect(port) as connection:
        lane = Lane(connection, iter([one]))
        lane.send()
        while not lane.receive():
            pass
        return lane.answer.partition(b"\r\n\r\n")[2].decode()


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _length(head: bytearray) -> int:
    _, found, rest = head.partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0]) if found else 0
