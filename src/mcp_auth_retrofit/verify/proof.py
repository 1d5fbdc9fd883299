"""What a guarded app owes its callers, asked of a running one: one function a promise."""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec

import httpx

from mcp_auth_retrofit.verify.conversation import (
    ACCEPT,
    Conversation,
    NoAnswer,
    sample_arguments,
)

P = ParamSpec("P")
WELL_KNOWN = "/.well-known/oauth-protected-resource"
INSPECTOR = "http://localhost:6274"
"""Where the MCP Inspector's own page lives: the browser client that everyone has at hand."""


@dataclass(frozen=True)
class Check:
    """One question and what came back."""

    name: str
    held: bool
    asked: str
    answered: str
    """Short, and free of tokens."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer in the parts that must not change, with the app's own URL taken out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Sorted, without those that differ from run to run."""
    body: bytes


def client(url: str, timeout: float = 20.0) -> httpx.Client:
    """A client that follows no redirect, asks no proxy and opens a connection for each question.

    uvicorn closes a connection after a 500, and a request that was under way on it would be lost.
    """
    fresh = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, timeout=timeout, trust_env=False, limits=fresh)


def _question(ask: Callable[P, Check]) -> Callable[P, Check]:
    """An app that hangs up or stays silent has not kept its promise: that is an answer too."""

    @functools.wraps(ask)
    def asked(*args: P.args, **kwargs: P.kwargs) -> Check:
        try:
            return ask(*args, **kwargs)
        except httpx.HTTPError as problem:
            # The second argument is the path; what follows may be a token.
            name = " ".join([ask.__name__.replace("_", " "), *map(str, args[1:2])])
            return Check(name, False, name, f"no answer: {type(problem).__name__}")

    return asked


def spellings(mcp_path: str) -> tuple[str, ...]:
    """The ways to write the MCP path: with the slash and without; "/" has one only."""
    bare = mcp_path.rstrip("/")
    return (bare, f"{bare}/") if bare else ("/",)


def metadata_paths(mcp_path: str) -> tuple[str, ...]:
    """Where RFC 9728 (section 3.1) clients look: the path form, and the root form they fall to."""
    bare = mcp_path.rstrip("/")
    return (WELL_KNOWN, f"{WELL_KNOWN}{bare}") if bare else (WELL_KNOWN,)


@_question
def metadata(http: httpx.Client, path: str) -> Check:
    """The document answers without a token and names at least one authorization server."""
    response = http.get(path)
    document = _json(response)
    servers = document.get("authorization_servers") if isinstance(document, dict) else None
    return Check(
        f"metadata at {path}",
        response.status_code == 200 and bool(servers) and bool(document.get("resource")),
        f"GET {path}",
        f"{response.status_code} {response.text[:120]}",
    )


@_question
def health(http: httpx.Client, path: str = "/health") -> Check:
    """The health route answers without a token."""
    response = http.get(path)
    return Check(
        "health",
        response.status_code == 200,
        f"GET {path}",
        f"{response.status_code} {response.text[:120]}",
    )


@_question
def refuses_without_token(http: httpx.Client, path: str) -> Check:
    """401 at once, no redirect, and the challenge's metadata URL is alive (RFC 9728, 5.1)."""
    response = http.post(path, json=_PING, headers=ACCEPT)
    challenge = response.headers.get("www-authenticate", "")
    held = response.status_code == 401 and challenge.startswith("Bearer ")
    answered = f"{response.status_code} {challenge}"
    if held:
        status = _metadata_status(http, challenge)
        held = status == 200 and "error=" not in challenge
        answered += f" (its resource_metadata: {status})"
    return Check(f"no token at {path}", held, f"POST {path} without a token", answered)


@_question
def refuses_token(http: httpx.Client, path: str, token: str, what: str) -> Check:
    """401 with error="invalid_token" (RFC 6750, 3.1) for a token that is not meant for us."""
    response = http.post(path, json=_PING, headers={**ACCEPT, "Authorization": f"Bearer {token}"})
    challenge = response.headers.get("www-authenticate", "")
    return Check(
        f"{what} at {path}",
        response.status_code == 401 and 'error="invalid_token"' in challenge,
        f"POST {path} with a token of {what}",
        f"{response.status_code} {challenge}",
    )


@_question
def lists_tools(http: httpx.Client, path: str, token: str) -> Check:
    """A valid token reaches the server, which names its tools."""
    asked = f"tools/list at {path} with a token"
    try:
        conversation = Conversation(http, path, token)
        conversation.open()
        names = [tool["name"] for tool in conversation.tools()]
    except NoAnswer as problem:
        return Check(f"tools at {path}", False, asked, str(problem))
    return Check(f"tools at {path}", bool(names), asked, ", ".join(names) or "no tool")


@_question
def opens_stream(http: httpx.Client, path: str, token: str) -> Check:
    """A valid token opens the stream of the older transport, which names a path for messages."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with http.stream("GET", path, headers=headers) as response:
        lines = response.iter_lines()
        first = [next(lines, ""), next(lines, "")] if response.is_success else []
    said = " ".join(first)
    held = said.startswith("event: endpoint data: ")
    return Check(f"stream at {path}", held, f"GET {path}", f"{response.status_code} {said}")


@_question
def calls_tool(
    http: httpx.Client,
    path: str,
    token: str,
    name: str | None = None,
    arguments: dict[str, Any] | None = None,
) -> Check:
    """A tool runs: the one named, else the first, with arguments made up from its schema."""
    asked = f"tools/call at {path} with a token"
    try:
        conversation = Conversation(http, path, token)
        conversation.open()
        tools = {tool["name"]: tool for tool in conversation.tools()}
        name = name or next(iter(tools), "")
        if name not in tools:
            return Check("a tool call", False, asked, f"no tool {name!r} in {', '.join(tools)}")
        if arguments is None:
            arguments = sample_arguments(tools[name])
        result = conversation.call(name, arguments)
    except NoAnswer as problem:
        return Check("a tool call", False, asked, str(problem))
    texts = [part.get("text", "") for part in result.get("content", [])]
    return Check(
        "a tool call",
        not result.get("isError", False),
        f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())}) at {path}",
        " ".join(texts)[:120],
    )


@_question
def answers_preflight(http: httpx.Client, path: str, origin: str = INSPECTOR) -> Check:
    """A browser's preflight is answered without a token, and never allows credentials with it."""
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    response = http.options(path, headers=asking)
    allowed = response.headers.get("access-control-allow-origin", "")
    headers = response.headers.get("access-control-allow-headers", "").lower()
    held = response.is_success and allowed in (origin, "*")
    return Check(
        f"preflight at {path}",
        held and (headers == "*" or "authorization" in headers),
        f"OPTIONS {path} from {origin}",
        f"{response.status_code}, allow-origin {allowed or 'absent'}",
    )


def prove(  # noqa: PLR0913  keyword only; each is a fact about the app
    url: str,
    mcp_path: str,
    *,
    token: str,
    foreign: str,
    health_path: str = "/health",
    origin: str = INSPECTOR,
    paths: Iterable[str] | None = None,
    sse: bool = False,
) -> list[Check]:
    """Every promise, in the order in which a client meets them.

    `token` is good for this server; `foreign` is as good in all but its audience. `paths` are the
    spellings of the MCP endpoint that have to answer, by default those of `spellings`. `sse` is for
    a server of the older transport: its stream has to open.
    """
    spelled = tuple(paths) if paths is not None else spellings(mcp_path)
    with client(url) as http:
        if sse:
            served = [opens_stream(http, path, token) for path in spelled]
        else:
            served = [lists_tools(http, path, token) for path in spelled]
            served.append(calls_tool(http, spelled[0], token))
        return [
            *(metadata(http, path) for path in metadata_paths(mcp_path)),
            health(http, health_path),
            *(refuses_without_token(http, path) for path in spelled),
            *(refuses_token(http, path, foreign, "another audience") for path in spelled),
            *served,
            *(answers_preflight(http, path, origin) for path in spelled),
        ]


def answer(
    http: httpx.Client, method: str, path: str, headers: dict[str, str] | None = None
) -> Answer:
    """Ask one route, and keep what must be the same before and after a rewrite."""
    response = http.request(method, path, headers=headers)
    own = str(http.base_url).rstrip("/")
    kept = sorted(
        (name.lower(), value.replace(own, ""))
        for name, value in response.headers.multi_items()
        if name.lower() not in {"date", "server", "connection", "keep-alive"}
    )
    return Answer(response.status_code, tuple(kept), response.content)


def unchanged(method: str, path: str, before: Answer, after: Answer) -> Check:
    """An old route says what it said: status, headers, every byte of the body."""
    differs = [
        part
        for part in ("status", "headers", "body")
        if getattr(before, part) != getattr(after, part)
    ]
    answered = f"{after.status}, as before"
    if differs:
        answered = f"{', '.join(differs)} differ: {before} became {after}"
    return Check(f"{method} {path}", not differs, f"{method} {path}", answered)


_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _metadata_status(http: httpx.Client, challenge: str) -> int | None:
    """What the challenge's resource_metadata URL answers; None when it names none or is dead."""
    found = re.search(r'resource_metadata="([^"]+)"', challenge)
    if found is None:
        return None
    try:
        return http.get(found.group(1)).status_code
    except httpx.HTTPError:
        return None
