"""What the guard costs, beside no sign-in, the published recipe and FastMCP's own ways.

    python benchmarks/guard.py [--rounds N] [--json FILE]

Everything is measured in one run, the variants in turns and in a new order in every round; what
counts are ratios to the unguarded app of the same round, their median. Every three rounds the
servers start anew, for a process may be a few percent faster than its twin for as long as it lives.
The unguarded app runs twice: where the two differ by more than 7 %, the run is void.
Exit status 0: all bounds hold; 1: something falls short; 2: void.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from load import Load, ask, load, request
from servers import CHUNKS, VARIANTS

from mcp_auth_retrofit.verify.standin import Standin, rsa_key

CONTROL = (0.93, 1.07)
SITTING = 3
"""Rounds with the same server processes."""
FORGER = rsa_key(99)
LIGHT = ("open", "open again", "guard", "recipe", "recipe in threads")
CALL = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"first": 1, "second": 2}},
    }
).encode()


@dataclass(frozen=True)
class Work:
    """One kind of request: what is sent, how often in a round, and who is asked."""

    name: str
    path: str
    tokens: str
    """`reused`, `distinct` or `forged`."""
    count: int
    variants: Sequence[str] = LIGHT
    status: int = 200
    origin: str = ""

    def requests(self, scalekit: Standin) -> list[bytes]:
        """New ones for every round."""
        one = scalekit.token()
        body = CALL if self.path == "/mcp/" else b""
        tokens = [one] * self.count
        if self.tokens == "distinct":
            tokens = [scalekit.token() for _ in tokens]  # each has an id of its own
        elif self.tokens == "forged":
            tokens = [scalekit.token(key=FORGER) for _ in tokens]
        return [request(self.path, token, body, self.origin) for token in tokens]


WORKS = (
    Work("light route, one token", "/light", "reused", 3000),
    Work("light route, all tokens distinct", "/light", "distinct", 1600),
    Work("light route, forged tokens", "/light", "forged", 1600, status=401),
    Work("MCP call, one token", "/mcp/", "reused", 300, VARIANTS),
    Work("MCP call, all tokens distinct", "/mcp/", "distinct", 300, VARIANTS),
    Work(f"stream of {CHUNKS} chunks", "/stream", "reused", 4, origin="http://localhost:6274"),
)


@dataclass(frozen=True)
class Bound:
    """What has to hold, of medians of ratios."""

    work: str
    variant: str
    against: str
    least: float
    """Of requests per second."""


BOUNDS = (
    Bound("light route, one token", "guard", "open", 0.85),
    Bound("MCP call, one token", "guard", "open", 0.90),
    Bound("MCP call, one token", "guard", "recipe", 1.3),
    Bound("light route, all tokens distinct", "guard", "recipe", 1.5),
    Bound("light route, forged tokens", "guard", "recipe", 1.1),
)
STREAM_CPU = 1.2
"""How much more CPU than unguarded a chunk of a stream may cost."""


@dataclass(frozen=True)
class Sample:
    """One variant's share of one round."""

    load: Load
    cpu: float
    """The server's CPU seconds per request."""


@contextlib.contextmanager
def server(variant: str, scalekit: Standin) -> Iterator[int]:
    """A server process of its own, on a core of its own where there are several; its port."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        settings = scalekit.settings(f"http://127.0.0.1:{port}/mcp")
        program = str(Path(__file__).with_name("servers.py"))
        process = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, program, variant, str(listener.fileno())],
            env={**os.environ, **settings, "RESOURCE_ID": scalekit.resource_id},
            pass_fds=[listener.fileno()],
        )
        _pin(process.pid, 0)
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError("a server did not start within a minute")


def _pin(process: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process, {core})


def sample(port: int, work: Work, requests: Sequence[bytes]) -> Sample:
    """One variant's answers to one round's requests. Raises RuntimeError for a wrong status."""
    before = float(ask(port, request("/cpu")))
    done = load(port, requests, connections=1 if work.origin else 8)
    cpu = float(ask(port, request("/cpu"))) - before
    return Sample(done, cpu / len(requests))


Samples = dict[str, dict[str, list[Sample]]]


def compare(ports: dict[str, int], scalekit: Standin, rounds: int, samples: Samples) -> None:
    """Adds samples by work and variant, one a round."""
    for number in range(rounds + 1):
        for work in WORKS:
            requests = work.requests(scalekit)
            for variant in random.sample(work.variants, len(work.variants)):
                got = sample(ports[variant], work, requests)
                wanted = {200} if variant.startswith("open") else {work.status}
                if got.load.statuses != wanted:
                    raise RuntimeError(f"{variant}, {work.name}: {sorted(got.load.statuses)}")
                if number:  # the first round only warms up
                    samples[work.name][variant].append(got)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)


def ratio(samples: Samples, work: str, variant: str, against: str) -> float:
    """How many times as many requests per second: the median over the rounds."""
    pairs = zip(samples[work][variant], samples[work][against], strict=True)
    return median(one.load.rate / other.load.rate for one, other in pairs)


def cpu_ratio(samples: Samples, work: str, variant: str, against: str) -> float:
    """How many times as much CPU per request."""
    pairs = zip(samples[work][variant], samples[work][against], strict=True)
    return median(one.cpu / other.cpu for one, other in pairs)


@dataclass(frozen=True)
class Stall:
    """Sixty first requests at once, while the keys take two seconds."""

    fetches: int
    worst: float
    """Milliseconds that the slowest request to an open route took meanwhile."""
    refused: int


def stall(variant: str, scalekit: Standin) -> Stall:
    """On a server that has just started."""
    with server(variant, scalekit) as port:
        ask(port, request("/open"))
        scalekit.delay, before = 2.0, scalekit.fetches
        first = [request("/light", scalekit.token(jti=str(n))) for n in range(60)]
        slowest = 0.0
        with ThreadPoolExecutor() as thread:
            waiting = thread.submit(load, port, first, connections=60)
            while not waiting.done():
                slowest = max(slowest, load(port, [request("/open")]).times[0])
                time.sleep(0.005)
        scalekit.delay = 0.0
        refused = waiting.result().statuses != {200}
        return Stall(scalekit.fetches - before, slowest * 1000, int(refused))


def table(samples: Samples) -> Iterator[str]:
    """Every work and variant, in Markdown."""
    yield "| | requests/s | of no sign-in | p50 ms | p99 ms | CPU µs a request |"
    yield "|---|---|---|---|---|---|"
    for work, variants in samples.items():
        yield f"| **{work}** | | | | | |"
        for variant in VARIANTS:
            got = variants.get(variant)
            if got:
                cells = (
                    f"{median(s.load.rate for s in got):.0f}",
                    f"{ratio(samples, work, variant, 'open'):.2f}",
                    f"{median(s.load.p50 for s in got):.2f}",
                    f"{median(s.load.p99 for s in got):.2f}",
                    f"{median(s.cpu for s in got) * 1e6:.0f}",
                )
                yield f"| {variant} | {' | '.join(cells)} |"


def verdicts(samples: Samples, stalls: dict[str, Stall]) -> Iterator[tuple[bool, str]]:
    """Every bound, and whether it holds."""
    for bound in BOUNDS:
        got = ratio(samples, bound.work, bound.variant, bound.against)
        said = f"{bound.work}: {got:.2f} of {bound.against} (at least {bound.least})"
        yield got >= bound.least, said
    stream = WORKS[-1].name
    cpu = cpu_ratio(samples, stream, "guard", "open")
    yield cpu <= STREAM_CPU, f"{stream}: {cpu:.2f} of the CPU (at most {STREAM_CPU})"
    mine = stalls["guard"]
    held = mine.fetches == 1 and mine.worst <= 100 and not mine.refused
    said = f"{mine.fetches} fetch, an open route waits {mine.worst:.0f} ms"
    yield held, f"slow keys: {said} (1, at most 100)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    _pin(0, 1)
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with Standin() as scalekit:
        for sitting in range(0, given.rounds, SITTING):
            with contextlib.ExitStack() as stack:
                ports = {name: stack.enter_context(server(name, scalekit)) for name in VARIANTS}
                compare(ports, scalekit, min(SITTING, given.rounds - sitting), samples)
        stalls = {name: stall(name, scalekit) for name in ("guard", "recipe")}
    print("\n".join(table(samples)))
    for name, one in stalls.items():
        print(f"slow keys, {name}: {one.fetches} fetches, an open route waits {one.worst:.0f} ms")
    control = {work: ratio(samples, work, "open again", "open") for work in samples}
    void = [work for work, one in control.items() if not CONTROL[0] <= one <= CONTROL[1]]
    print("control: " + ", ".join(f"{one:.2f}" for one in control.values()))
    judged = list(verdicts(samples, stalls))
    for held, said in judged:
        print(f"{'ok   ' if held else 'SHORT'} {said}")
    if given.json:
        given.json.write_text(json.dumps({"control": control, "held": judged}, indent=1))
    if void:
        print(f"void: the two unguarded apps differ ({', '.join(void)})")
        return 2
    return int(not all(held for held, _ in judged))


if __name__ == "__main__":
    sys.exit(main())
