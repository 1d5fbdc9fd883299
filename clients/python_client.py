"""The official Python client: from a bare 401 through a whole sign-in to a tool's answer."""

import asyncio
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from authorization_server import AuthorizationServer
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from promise import Promise
from way import SIGN_IN, told, way

REDIRECT = "http://127.0.0.1:1/callback"  # never called: the redirect's target is read instead


@dataclass
class Memory:
    """A client's store; empty, so that nobody has signed in before."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Browser:
    """A user's browser, at the authorization server and back."""

    came_back: dict[str, list[str]] = field(default_factory=dict)

    async def follow(self, url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(url)
        self.came_back = parse_qs(urlsplit(answer.headers.get("location", "")).query)

    async def result(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(
            code=self.came_back["code"][0],
            state=self.came_back["state"][0],
            iss=self.came_back["iss"][0],
        )


def outcome(url: str, mode: str, trace: list[str], *pauses: float) -> list[str]:
    """What `session` returns, or the error that ended it."""
    try:
        return asyncio.run(session(url, mode, trace, *pauses))
    except Exception as error:  # any error is the client's answer
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):  # anyio wraps what happens in its tasks
            cause = cause.exceptions[0]
        return [f"{type(cause).__name__}: {cause}"]


async def session(url: str, mode: Any, trace: list[str], *pauses: float) -> list[str]:
    """A whole session, which notes its requests in `trace`; `whoami` once, and after each pause."""

    async def note(response: httpx2.Response) -> None:
        request = response.request
        trace.append(f"{request.method} {request.url.path} {response.status_code}")

    browser = Browser()
    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "clients", "redirect_uris": [REDIRECT]}
    )
    sign_in = OAuthClientProvider(url, metadata, Memory(), browser.follow, browser.result)
    hooks = {"response": [note]}
    async with (
        httpx2.AsyncClient(auth=sign_in, event_hooks=hooks, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        said = ["listed" if "whoami" in tools else "no whoami"]
        for pause in (0.0, *pauses):
            await asyncio.sleep(pause)
            answer: Any = (await client.call_tool("whoami")).content[0]
            said.append(answer.text)
        return said


def promises(url: str, server: AuthorizationServer) -> list[Promise]:
    """In both eras of the protocol; then with a token that runs out on the way."""
    name = f"mcp {version('mcp')}"
    expected, wanted = way(url, server.issuer), ["listed", f"subject {server.subject}"]
    kept = []
    for mode in ("auto", "legacy"):
        server.steps.clear()
        trace: list[str] = []
        said = outcome(url, mode, trace)
        held = trace[: len(expected)] == expected and server.steps == SIGN_IN and said == wanted
        came = f"{', '.join(said)}; {told(trace, expected)}"
        kept.append(Promise(f"{name} signs in from a bare 401 ({mode})", held, came))
    server.steps.clear()
    server.lifetime = 3
    try:
        said = outcome(url, "auto", [], 3.5)
    finally:
        server.lifetime = 300
    held = server.steps == [*SIGN_IN, "refresh"] and said == [*wanted, wanted[1]]
    came = f"{', '.join(said)}; {' > '.join(server.steps)}"
    kept.append(Promise(f"{name} renews a token that has run out", held, came))
    return kept
