"""A client that costs little: prepared requests over a few kept connections, each timed."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


def request(path: str, token: str = "", body: bytes = b"", origin: str = "") -> bytes:
    """One HTTP/1.1 request as it goes out."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: bench", f"Origin: {origin}"]
    lines += [f"Authorization: Bearer {token}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    kept = [line for line in lines if not line.endswith((": ", "Bearer "))]
    return "\r\n".join([*kept, "", ""]).encode() + body


async def load(port: int, requests: Sequence[bytes], connections: int = 8) -> Load:
    """Sends every request once, as fast as the server answers them."""
    times: list[float] = []
    statuses: set[int] = set()

    async def lane(share: Sequence[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for one in share:
            begin = time.perf_counter()
            writer.write(one)
            statuses.add(await _answer(reader))
            times.append(time.perf_counter() - begin)
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(lane(requests[n::connections]) for n in range(connections)))
    return Load(time.perf_counter() - begin, times, frozenset(statuses))


async def ask(port: int, one: bytes) -> str:
    """The body of one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(one)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_length(head))
    writer.close()
    return body.decode()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Reads one answer to its end; its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        await _until_last_chunk(reader)
    else:
        await reader.readexactly(_length(head.lower()))
    return int(head[9:12])


async def _until_last_chunk(reader: asyncio.StreamReader) -> None:
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        tail = tail[-5:] + await reader.read(65536)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0]) if found else 0
