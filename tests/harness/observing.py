"""Start a case's project and write down all that has to be the same after a rewrite."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from harness.cases import Case, Probe
from mcp_auth_retrofit.verify.boot import Child, Command, Environment, Running, boot
from mcp_auth_retrofit.verify.proof import Answer, answer, client

Launch = Callable[[Command], Child]


@dataclass
class Observation:
    """One run of a project. `events` is whole only when the run is over."""

    running: Running
    http: httpx.Client
    answers: dict[Probe, Answer] = field(default_factory=dict)
    openapi: Any = None
    """The document, or None where the app has none."""

    @property
    def events(self) -> list[str]:
        """What start-up and shutdown said."""
        return [line for line in self.running.output if line.startswith("event: ")]

    def ask(self, probes: Iterable[Probe], token: str | None = None) -> None:
        """Note the answers to `probes` and the OpenAPI document."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for method, path in probes:
            self.answers[method, path] = self.one(method, path, headers)
        response = self.http.get("/openapi.json", headers=headers)
        self.openapi = response.json() if response.status_code == 200 else None

    def one(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The answer to one probe."""
        if method == "WS":
            return _first_message(self.running.url + path, headers)
        return answer(self.http, method, path, dict(headers))


@contextmanager
def observe(
    case: Case, root: Path, launch: Launch, settings: Environment | None = None
) -> Iterator[Observation]:
    """Boot the project of `case` that lies in `root`. Raises CouldNotBoot."""

    def env(url: str) -> dict[str, str]:
        given = settings(url) if callable(settings) else settings or {}
        return {**given, "PYTHONPATH": str(root / case.stubs)} if case.stubs else {**given}

    with (
        boot(
            case.spec, cwd=root / case.cwd, env=env, factory=case.factory, launch=launch
        ) as running,
        client(running.url) as http,
    ):
        yield Observation(running, http)


def _first_message(url: str, headers: Mapping[str, str]) -> Answer:
    """What a websocket says first: status 101, or the status that refused the handshake."""
    try:
        with connect(
            url.replace("http", "ws", 1), additional_headers=headers, proxy=None
        ) as socket:
            said = socket.recv(timeout=5)
    except InvalidStatus as refusal:
        return Answer(refusal.response.status_code, (), b"")
    except ConnectionClosed as closed:
        return Answer(101, (("closed", str(closed)),), b"")
    return Answer(101, (), said.encode() if isinstance(said, str) else said)
