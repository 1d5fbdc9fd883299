# scalekit_auth.py, format 1, written by mcp-auth-retrofit: Scalekit sign-in for an MCP server.
"""Lets only requests with a Scalekit access token reach the MCP server.

Settings, from the environment or else from the nearest `.env` at or above this file: SK_ENV_URL,
SK_CLIENT_ID, SK_CLIENT_SECRET, EXPECTED_AUDIENCE, PROTECTED_RESOURCE_METADATA (JSON, from the
Scalekit dashboard); optional: MCP_ALLOWED_ORIGINS (`http://localhost:*` means any port, `*` any
origin), MCP_REQUIRED_SCOPES, both by comma or space.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import hashlib
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from dotenv import dotenv_values
from jwt.utils import base64url_decode
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("scalekit_auth")

WELL_KNOWN = "/.well-known/oauth-protected-resource"
LOOPBACK = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?"
ORIGIN = r"\*|null|[a-z][a-z0-9+.-]*://[^/*\s]+(?::\*)?/?"
URL = rf'(?:https://(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?|{LOOPBACK})(?:/(?:(?!["#?\\])[!-~])*)?'
OLDEST = {"fastapi": "0.115", "fastmcp": "2.14", "mcp": "1.28", "scalekit-sdk-python": "2.4"}
NO_STORE = {"Cache-Control": "no-store"}
BUSY = {"Cache-Control": "no-store", "Retry-After": "5"}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, mcp-protocol-version, "
    "mcp-session-id, mcp-method, mcp-name, last-event-id",
}


class Answer(Exception):
    """An answer that the guard gives itself instead of the app."""

    def __init__(self, status: int, headers: dict[str, str], error: str = "", text: str = ""):
        self.response = Response(None, status, headers)
        if error:
            body = {"error": error, "error_description": text} if text else {"error": error}
            self.response = JSONResponse(body, status, headers)


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


class Settings:
    """The settings, checked. Raises one RuntimeError that names all that is wrong with them."""

    def __init__(self) -> None:
        folders = Path(__file__).absolute().parents
        dotenv = next((d / ".env" for d in folders if (d / ".env").is_file()), None)
        file = dotenv_values(dotenv, encoding="utf-8-sig") if dotenv else {}
        wrong = []

        def read(name: str) -> str:
            return (os.environ.get(name) or file.get(name) or "").strip()

        def need(name: str, pattern: str = "(?s:.+)", must: str = "") -> str:
            value = read(name)
            if not re.fullmatch(pattern, value, re.I | re.A):
                wrong.append(f"{name} {must if value else 'is missing'}")
            return value

        https = "must be an https URL (http only on localhost)"
        env_url = need("SK_ENV_URL", URL, https).rstrip("/").lower()
        credentials = env_url, need("SK_CLIENT_ID"), need("SK_CLIENT_SECRET")
        audience = need("EXPECTED_AUDIENCE", rf"{URL}|res_\w+", f"{https} or a res_ id")
        raw = need("PROTECTED_RESOURCE_METADATA")
        origins = read("MCP_ALLOWED_ORIGINS").replace(",", " ").split()
        self.scopes = read("MCP_REQUIRED_SCOPES").replace(",", " ").split()
        if not all(re.fullmatch(r"[!#-\[\]-~]+", name) for name in self.scopes):
            wrong.append("MCP_REQUIRED_SCOPES holds a character that no scope may have")
        if not all(re.fullmatch(ORIGIN, name, re.I) for name in origins):
            wrong.append("MCP_ALLOWED_ORIGINS may hold https://host, http://localhost:* and *")
        try:
            servers = self.describe(raw)
        except (ValueError, TypeError, KeyError, RecursionError):
            servers = []
        if raw and not servers:
            wrong.append(
                "PROTECTED_RESOURCE_METADATA must be a JSON object with this server's URL as "
                "`resource` and at least one URL in `authorization_servers`, https or on localhost"
            )
        if util.find_spec("scalekit") is None:
            wrong.append("the package scalekit-sdk-python is not installed")
        for package, oldest in OLDEST.items():
            with suppress(metadata.PackageNotFoundError):  # no fastmcp: the official SDK's server
                version = metadata.version(package) or oldest
                if numbers(version) < numbers(oldest):
                    wrong.append(f"{package} is at {version}, and at least {oldest} is needed")
        if wrong:
            raise RuntimeError(
                f"scalekit_auth: {'; '.join(wrong)}. "
                "Settings belong in the environment or in a .env file beside scalekit_auth.py."
            )
        default_port = ":443" if self.origin.startswith("https") else ":80"  # browsers omit it
        own = re.escape(self.origin.removesuffix(default_port))
        named = [re.escape(o.rstrip("/")).replace(r":\*", r"(?::\d+)?") for o in origins]
        named = [".*" if o == r"\*" else o for o in named] or [LOOPBACK]
        self.origins = re.compile("|".join([own, *named]), re.I | re.A)
        # Scalekit is moving from the first issuer to the second. The resource's id is as good an
        # audience as its URL: tokens with either are minted for this resource alone.
        ids = re.findall(rf"(?m)^{re.escape(env_url)}/resources/([^/\n]+)/?$", "\n".join(servers))
        issuers = [env_url, *(f"{env_url}/resources/{id}" for id in ids)]
        self.keys = Keys(credentials, issuers, [audience, *ids])

    def describe(self, raw: str) -> list[str]:
        """Takes the metadata; its authorization servers. Raises whatever ill-formed text does."""
        document = json.loads(raw)
        resource = document["resource"]
        servers: list[str] = document["authorization_servers"]
        urls = [resource, *servers] if isinstance(servers, list) else [""]
        if not all(re.fullmatch(URL, url, re.I | re.A) for url in urls):
            raise ValueError("resource or authorization_servers")
        # Some clients learn from it alone which scopes to ask for. Members without a value are left
        # out (RFC 9728, 3.2).
        listed = document.get("scopes_supported") or []
        if isinstance(listed, list):
            missing = [name for name in self.scopes if name not in listed]
            document["scopes_supported"] = [*listed, *missing]
        served = {k: v for k, v in document.items() if v is not None and v != []}
        text = json.dumps(served, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self.metadata = text.encode()
        parts = urlsplit(resource)
        self.origin = f"{parts.scheme}://{parts.netloc}".lower()
        self.path = parts.path if parts.path != "/" else ""
        return servers

    def below(self, root: str) -> str:
        """The resource's path as this app sees it: shorter behind a proxy that strips a prefix."""
        return self.path.removeprefix(root) if f"{self.path}/".startswith(f"{root}/") else self.path

    def metadata_paths(self, root: str) -> set[str]:
        """Where the metadata answers (RFC 9728, 3.1), each with and without a slash."""
        forms = {unquote(form).rstrip("/") for form in ("", self.path, self.below(root))}
        return {WELL_KNOWN + form + slash for form in forms for slash in ("", "/")}

    def refusal(self, scope: Scope, status: int, error: str = "", text: str = "") -> Answer:
        """With a challenge (RFC 6750, 3; RFC 9728, 5.1): from the settings and never from Host."""
        root = app_root(scope)
        members = {
            "realm": "OAuth",
            "error": error,
            "error_description": text,
            "scope": " ".join(self.scopes),
            "resource_metadata": f"{self.origin}{quote(root)}{WELL_KNOWN}{self.below(root)}",
        }
        given = ", ".join(f'{name}="{value}"' for name, value in members.items() if value)
        headers = {**NO_STORE, "WWW-Authenticate": f"Bearer {given}"}
        return Answer(status, headers, error or "Missing Bearer token", text)


settings = functools.cache(Settings)  # an error is not kept: the next request looks again


def configured(otherwise: int) -> Settings:
    """For a request that comes without a start, as a bare test client's. Raises Answer."""
    try:
        return settings()
    except RuntimeError as error:
        tell(str(error), int(time.monotonic()))
        raise Answer(otherwise, BUSY, "config missing") from None


@functools.lru_cache(maxsize=64)
def tell(text: str, second: int) -> None:
    """Logs a text once a second: a flood of requests must not become a flood of lines."""
    log.warning("%s", text)


def scopes_of(claims: Mapping[str, Any]) -> Iterator[str]:
    """They come as a list or as words in one text."""
    for value in (claims.get("scopes"), claims.get("scope"), claims.get("scp")):
        words = value.split() if isinstance(value, str) else value
        yield from (w for w in words if isinstance(w, str)) if isinstance(words, list) else ()


class Caller(AuthenticatedUser):
    """Who asks. What tools see, and may change, is made once they look, for this request alone."""

    def __init__(self, token: str, digest: bytes, scopes: tuple[str, ...]) -> None:
        self.scopes, self._digest, self._claims = list(scopes), digest, token.split(".")[1]

    def __getattr__(self, name: str) -> Any:
        if name not in ("access_token", "username"):
            raise AttributeError(name)
        claims = json.loads(base64url_decode(self._claims))
        subject = str(claims["sub"])
        # FastMCP's own class where the app uses it: its tools find no subject in the SDK's.
        fastmcp: Any = sys.modules.get("fastmcp.server.auth.auth")
        kind = fastmcp.AccessToken if fastmcp else AccessToken
        known = kind(
            # Not the token: a tool can't pass on what it does not have. By the digest FastMCP's
            # response cache keeps users apart.
            token=self._digest.hex(),
            client_id=str(claims.get("client_id") or claims.get("azp") or subject),
            scopes=list(scopes_of(claims)),
            expires_at=int(claims["exp"]),
            subject=subject,
            claims=claims,
        )
        super().__init__(known)
        return self.__dict__[name]


class Keys:
    """Scalekit's keys, which its SDK fetches, and what they prove.

    The SDK keeps keys for ever, and fetches them on the event loop and without a lock. Here one
    thread at a time has it fetch them: for an unknown key id, and when they are five minutes old;
    at ten they no longer count.
    """

    def __init__(self, credentials: tuple[str, str, str], issuers: list[str], audiences: list[str]):
        self.credentials, self.issuers, self.audiences = credentials, issuers, audiences
        self.client: Any = None
        self.keys: dict[str, Any] = {}
        # Tokens that the present keys have proved: by SHA-256, their expiry and scopes.
        self.verified: dict[bytes, tuple[int, tuple[str, ...]]] = {}
        self.fetched = self.not_before = self.began = float("-inf")
        self.reached = False
        self.lock = threading.Lock()
        self.renewal: Future[None] | None = None

    def fetch(self, kid: str, renewal: Future[None]) -> None:
        """Runs in a thread: importing the SDK takes seconds, and Scalekit may be slow.

        A look-up has failed, and cools down, when the key that it was for is not among the new.
        """
        started, self.reached = time.monotonic(), False
        try:
            if self.client is None:
                sdk = import_module("scalekit.client")
                self.client = sdk.ScalekitClient(*self.credentials)
            # A copy without keys fetches them anew; without the access token, for they are public.
            core = copy.copy(self.client.core_client)
            core.keys, core.access_token = {}, None
            try:
                core.get_jwks()
                if not core.keys:
                    raise jwt.PyJWKSetError("none listed")
                self.reached = True
            finally:  # it gives up at a key of a kind that it does not know; those before are good
                keys = {name: load_pem_public_key(pem.encode()) for name, pem in core.keys.items()}
                if keys and started > self.fetched:
                    self.keys = keys
                    self.verified = {}  # after the keys: what old ones proved never enters it
                    self.fetched = started
        except Exception as error:  # the SDK raises its own, requests' and KeyError
            problem = ", ".join(type(e).__name__ for e in (error, error.__context__) if e)
            log.warning("Scalekit's keys cannot be had: %s", problem)
        finally:
            if not self.reached or kid not in self.keys:
                self.not_before = time.monotonic() + 5
            renewal.set_result(None)

    def renew(self, kid: str) -> Future[None] | None:
        """The renewal under way, or a new one; None while a failed look-up cools down."""
        with self.lock:
            now = time.monotonic()
            # One that has hung for a minute is given up: it must not shut everybody out for good.
            if self.renewal is None or self.renewal.done() or now - self.began > 60:
                if now < self.not_before:
                    return None
                renewal: Future[None] = Future()
                threading.Thread(target=self.fetch, args=[kid, renewal], daemon=True).start()
                self.renewal, self.began = renewal, now
            return self.renewal

    def usable(self, kid: str, seconds: int) -> bool:
        return kid in self.keys and time.monotonic() - self.fetched < seconds

    async def find(self, kid: str) -> None:
        """Returns once the key is there. Raises Answer (503), or InvalidTokenError: no such key."""
        renewal = None
        if not self.usable(kid, 300):
            with suppress(RuntimeError):  # no thread can be started: the old keys may still do
                renewal = self.renew(kid)
        if renewal and not self.usable(kid, 600):
            await asyncio.wait([asyncio.wrap_future(renewal)], timeout=15)
        if self.usable(kid, 600):
            return
        if not self.reached:
            raise Answer(503, BUSY, "temporarily_unavailable", "Keys cannot be fetched, try again")
        raise jwt.InvalidTokenError("unknown key id")

    async def verify(self, token: str) -> Caller:
        """Whose a good token is. Raises Answer (503), or anything else for a bad token."""
        digest = hashlib.sha256(token.encode()).digest()
        kept = self.verified.get(digest) if time.monotonic() - self.fetched < 300 else None
        if kept and time.time() < kept[0]:
            return Caller(token, digest, kept[1])
        if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token, re.A):
            raise jwt.InvalidTokenError("not a signed JWT")
        kid = key_id(token.partition(".")[0])
        await self.find(kid)
        verified = self.verified
        # As the SDK does it, but that it requires neither exp nor sub, and parses the token twice.
        claims = jwt.decode(
            token,
            self.keys[kid],
            algorithms=["RS256"],
            issuer=self.issuers,
            audience=self.audiences,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        if not claims["sub"]:
            raise jwt.InvalidTokenError("no sub")
        if len(verified) >= 10_000:
            verified.clear()
        verified[digest] = kept = int(claims["exp"]), tuple(scopes_of(claims))
        return Caller(token, digest, kept[1])


@functools.lru_cache(maxsize=64)
def key_id(head: str) -> str:
    """Out of a token's header, nearly always the same. Raises whatever an ill-formed one does."""
    header = json.loads(base64url_decode(head))
    kid = header.get("kid")
    if header.get("alg") != "RS256" or "crit" in header or not isinstance(kid, str):
        raise jwt.InvalidTokenError("its header's alg, crit or kid")
    return kid


class ScalekitAuthMiddleware:
    """Pure ASGI guard for HTTP and WebSocket, around the mounted MCP app or the whole app.

    `public` are the exact paths below `app` that need no token.
    """

    __name__ = "scalekit_auth"  # rate limiters and access logs ask an endpoint for it

    def __init__(self, app: ASGIApp, public: Iterable[str] = ()) -> None:
        self.app = app
        self.known = AuthContextMiddleware(app)  # for get_access_token() of the official SDK
        self.public = frozenset([public] if isinstance(public, str) else public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self.is_public(scope)):
            await self.app(scope, receive, send)
            return
        try:
            config = configured(503)
            send = for_browser(config, scope, send)
            user = await authenticate(config, scope)
        except Answer as answer:
            extensions = scope.get("extensions") or {}
            if scope["type"] == "http" or "websocket.http.response" in extensions:
                await answer.response(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        auth = AuthCredentials(user.scopes)
        await self.known({**scope, "user": user, "auth": auth}, receive, send)

    def is_public(self, scope: Scope) -> bool:
        path = route_path(scope)
        if path in self.public:
            return True
        if not path.startswith(WELL_KNOWN) or "app_root_path" in scope:
            return False  # a Mount sets app_root_path: metadata is not below one
        try:
            return path in configured(503).metadata_paths(app_root(scope))
        except Answer:
            return path == WELL_KNOWN  # its route says what is missing


async def authenticate(config: Settings, scope: Scope) -> Caller:
    """Who asks. Raises Answer: 401, 400 or 403 as RFC 6750, 3.1 has them, 503 without keys."""
    given = fields(scope, b"authorization")
    query = scope.get("query_string", b"").decode("latin-1") if given else ""
    if len(given) > 1 or (query and "access_token" in parse_qs(query, keep_blank_values=True)):
        raise config.refusal(scope, 400, "invalid_request", "More than one access token")
    scheme, _, token = "".join(given).partition(" ")
    if scheme.lower() != "bearer" or not token:
        if route_path(scope).startswith("/.well-known/"):  # where clients look around
            raise Answer(404, NO_STORE, "not found")
        raise config.refusal(scope, 401)
    try:
        caller = await config.keys.verify(token.strip(" "))
    except Answer:
        raise
    except Exception as error:  # whatever goes wrong while it is checked, the token is not good
        # Only PyJWT's own sentences: others may repeat what the token holds.
        reason = repr(error) if isinstance(error, jwt.PyJWTError) else type(error).__name__
        tell(f"Token refused: {reason}", int(time.monotonic()))
        raise config.refusal(scope, 401, "invalid_token", "Token validation failed") from None
    if not set(config.scopes) <= set(caller.scopes):
        text = "The token lacks a required scope"
        raise config.refusal(scope, 403, "insufficient_scope", text)
    return caller


def for_browser(config: Settings, scope: Scope, send: Send) -> Send:
    """`send` with CORS headers for an allowed origin; as it is for what is no browser.

    Raises Answer: 403 for an origin that is not allowed (MCP, Streamable HTTP: DNS rebinding), 204
    for a preflight. An app with a CORSMiddleware answers browsers itself; then this only checks.
    """
    origins = fields(scope, b"origin")
    if not origins:
        return send
    origin = ", ".join(origins)
    cors = app_cors(scope)
    # What lets everybody in is for the app's pages, and never for MCP.
    listed = cors and cors.is_allowed_origin(origin)
    listed = listed and not cors.is_allowed_origin("https://nobody.invalid")
    if not listed and not config.origins.fullmatch(origin):
        raise Answer(403, NO_STORE, "origin not allowed")
    shown = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if scope.get("method") == "OPTIONS" and fields(scope, b"access-control-request-method"):
        raise Answer(204, {**PREFLIGHT, **shown})

    async def readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            answer = MutableHeaders(scope=message)
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Expose-Headers"] = "WWW-Authenticate, Mcp-Session-Id"
            answer.add_vary_header("Origin")
        await send(message)

    return send if cors else readable


def app_cors(scope: Scope) -> Any:
    """The outermost CORSMiddleware of the app, as it was built; None where there is none."""
    layer = getattr(scope.get("app"), "middleware_stack", None)
    for _ in range(50):  # whatever a middleware has as its `app`, be it itself
        if layer is None or isinstance(layer, CORSMiddleware):
            return layer
        layer = getattr(layer, "app", None)
    return None


def fields(scope: Scope, name: bytes) -> list[str]:
    """The values of a header; `name` in lower case, as servers give them (ASGI)."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def app_root(scope: Scope) -> str:
    """The prefix that a proxy, or `--root-path`, puts before the whole app."""
    root: str = scope.get("app_root_path", scope.get("root_path", "")).strip("/")
    return f"/{root}" if root else ""


def route_path(scope: Scope) -> str:
    """The path as Starlette's router matches it: without the root_path that it begins with."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


class Endpoint:
    """An ASGI app as a route's endpoint: Starlette takes a bare function for something else."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.__name__ = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def protected_resource_metadata(scope: Scope, receive: Receive, send: Send) -> None:
    """Serves PROTECTED_RESOURCE_METADATA to anyone (RFC 9728, 3)."""
    headers = {"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
    response: Response
    try:
        config = configured(500)
    except Answer as answer:
        response = answer.response
    else:
        if route_path(scope) not in config.metadata_paths(app_root(scope)):
            response = JSONResponse({"error": "not found"}, 404, headers)
        elif scope["method"] in ("GET", "HEAD"):
            headers["Cache-Control"] = "public, max-age=3600"
            response = Response(config.metadata, 200, headers, "application/json")
        else:
            allow = {**headers, **PREFLIGHT, "Allow": "GET, HEAD, OPTIONS"}
            response = Response(None, 204 if scope["method"] == "OPTIONS" else 405, allow)
    await response(scope, receive, send)


def add_protected_resource_metadata(app: Starlette) -> None:
    """Adds the metadata routes, and refuses the start while settings are missing or ill-formed."""
    endpoint: Any = Endpoint(protected_resource_metadata, "protected_resource_metadata")
    app.add_route(WELL_KNOWN, endpoint, include_in_schema=False)
    app.add_route(WELL_KNOWN + "/{rest:path}", endpoint, include_in_schema=False)
    app.router.lifespan_context = merge_lifespans(require_settings, app.router.lifespan_context)


def answer_bare_path(app: Starlette, path: str) -> None:
    """Lets `/mcp` answer as `/mcp/` does; a redirect loses the token behind many proxies."""

    async def with_slash(scope: Scope, receive: Receive, send: Send) -> None:
        slashed = {"path": scope["path"] + "/", "raw_path": (scope.get("raw_path") or b"") + b"/"}
        await app.router({**scope, **slashed}, receive, send)

    endpoint: Any = Endpoint(with_slash, "with_slash")
    if path.rstrip("/"):
        app.add_route(path.rstrip("/"), endpoint, include_in_schema=False)


@asynccontextmanager
async def require_settings(app: Any) -> AsyncIterator[None]:
    """A lifespan that only checks the settings. Raises RuntimeError naming all that is wrong."""
    Settings()  # before what an earlier start has read is forgotten
    settings.cache_clear()
    settings()  # or the first request would read them
    yield


def merge_lifespans(*lifespans: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """One lifespan out of several, the first outermost; None counts as none.

    Takes what FastAPI takes, bare generator functions too. Yields the merged state, where the outer
    one wins, or None: not every server supports lifespan state, and an empty dict asks for it.
    """

    @asynccontextmanager
    async def merged(app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
        state: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            for lifespan in filter(None, lifespans):
                context = lifespan(app)
                if inspect.isgenerator(context):
                    added = stack.enter_context(contextmanager(lambda run: run)(context))
                elif inspect.isasyncgen(context):
                    manager = asynccontextmanager(lambda run: run)(context)
                    added = await stack.enter_async_context(manager)
                else:
                    added = await stack.enter_async_context(context)
                state = {**(added or {}), **state}
            yield state or None

    return merged
