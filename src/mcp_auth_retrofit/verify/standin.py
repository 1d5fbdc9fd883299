"""A stand-in for Scalekit on 127.0.0.1: what its SDK asks for, and tokens good and bad.

It answers `POST /oauth/token` (the SDK signs in when its client is made) and `GET /keys` (RFC 7517)
from threads of its own. Token and key shapes follow Scalekit's SDK 2.21 and its documentation.
"""

import base64
import contextlib
import functools
import hmac
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


@functools.cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """The process's RSA key of that number: making one takes a tenth of a second or more."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class Standin:
    """Runs between `with` and its end; `url` is the environment URL that apps are given.

    `/keys` answers after `delay` seconds, and with the HTTP status `fail` unless that is 0;
    `delay_sign_in` and `fail_sign_in` are the same for `/oauth/token`. `fetches` and `sign_ins`
    count the requests.
    """

    client_id = "skc_standin"
    client_secret = "standin-secret"  # noqa: S105 - opens nothing but this process
    resource_id = "res_standin"

    def __init__(self) -> None:
        self.delay = 0.0
        self.fail = 0
        self.delay_sign_in = 0.0
        self.fail_sign_in = 0
        self.fetches = 0
        self.sign_ins = 0
        self.seen: list[Mapping[str, str]] = []
        """Headers of the requests for `/keys`, the oldest first."""
        self._lock = threading.Lock()
        self._newest = 0
        self._published = {self._kid(0): rsa_key(0)}
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(self.handler(), self)
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handler(self) -> type["Handler"]:
        """What answers: a stand-in that does more has one of its own."""
        return Handler

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def issuer(self) -> str:
        """The newer issuer, with the resource's id; `url` is the older one."""
        return f"{self.url}/resources/{self.resource_id}"

    @property
    def kid(self) -> str:
        """The id of the key that signs now."""
        return self._kid(self._newest)

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return rsa_key(self._newest)

    @staticmethod
    def _kid(number: int) -> str:
        return f"standin-key-{number}"

    def metadata(self, resource_url: str) -> dict[str, Any]:
        """Protected resource metadata (RFC 9728, 2) as Scalekit's dashboard shows it."""
        return {
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
            "resource": resource_url,
            "resource_documentation": resource_url.rstrip("/") + "/docs",
            "scopes_supported": [],
        }

    def settings(self, resource_url: str) -> dict[str, str]:
        """The environment for an app whose MCP server answers at `resource_url`."""
        return {
            "SK_ENV_URL": self.url,
            "SK_CLIENT_ID": self.client_id,
            "SK_CLIENT_SECRET": self.client_secret,
            "EXPECTED_AUDIENCE": resource_url,
            "PROTECTED_RESOURCE_METADATA": json.dumps(self.metadata(resource_url)),
        }

    def token(
        self,
        *,
        header: Mapping[str, Any] | None = None,
        alg: str = "RS256",
        key: rsa.RSAPrivateKey | bytes | None = None,
        **claims: Any,
    ) -> str:
        """A signed access token; without arguments a good one.

        `claims` and `header` are put over the usual members, and None takes one away. `key` signs
        instead of the published key; with `alg` HS256 it is the secret, and "none" signs nothing.
        """
        now = int(time.time())
        payload = {
            "iss": self.issuer,
            "aud": [self.resource_id],
            "sub": "usr_alice",
            "client_id": "mcp_client",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": f"jti_{time.monotonic_ns()}",
            **claims,
        }
        head = {"typ": "JWT", "alg": alg, "kid": self.kid, **(header or {})}
        parts = [{k: v for k, v in part.items() if v is not None} for part in (head, payload)]
        signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_base64(_signature(signed.encode(), alg, key or self.key))}"

    def rotate(self) -> str:
        """Publishes a new key beside the old ones and signs with it from now on; its id."""
        with self._lock:
            self._newest += 1
            self._published = {**self._published, self.kid: self.key}
        return self.kid

    def withdraw(self, kid: str) -> None:
        """Publishes a key no longer. Raises KeyError when it is not published."""
        with self._lock:
            published = dict(self._published)
            del published[kid]
            self._published = published

    def jwks(self) -> dict[str, Any]:
        """The published keys as a JWK Set (RFC 7517, 5)."""
        return {
            "keys": [
                {
                    **RSAAlgorithm.to_jwk(key.public_key(), as_dict=True),
                    "kid": kid,
                    "use": "sig",
                    "alg": "RS256",
                }
                for kid, key in self._published.items()
            ]
        }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(data: bytes, alg: str, key: rsa.RSAPrivateKey | bytes) -> bytes:
    if isinstance(key, bytes):
        # By hand: PyJWT will not sign with a public key as the secret, the attack to be tried.
        return hmac.digest(key, data, alg.replace("HS", "sha"))
    if alg == "none":
        return b""
    return RSAAlgorithm(RSAAlgorithm.SHA256).sign(data, key)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection on the stand-in's behalf; a subclass may answer more paths."""

    protocol_version = "HTTP/1.1"

    def __init__(self, standin: Standin, *connection: Any) -> None:
        self.standin = standin  # before the base class, which answers in its constructor
        super().__init__(*connection)

    def do_GET(self) -> None:
        if self.path != "/keys":
            self.answer(404, {"error": "not_found"})
            return
        self.standin.fetches += 1
        self.standin.seen.append({name.lower(): value for name, value in self.headers.items()})
        time.sleep(self.standin.delay)
        if self.standin.fail:
            self.answer(self.standin.fail, {"error": "unavailable"})
        else:
            self.answer(200, self.standin.jwks())

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        if self.path != "/oauth/token":
            self.answer(404, {"error": "not_found"})
            return
        self.standin.sign_ins += 1
        time.sleep(self.standin.delay_sign_in)
        expected = {
            "grant_type": ["client_credentials"],
            "client_id": [self.standin.client_id],
            "client_secret": [self.standin.client_secret],
        }
        if self.standin.fail_sign_in:
            self.answer(self.standin.fail_sign_in, {"error": "unavailable"})
        elif form != expected:
            self.answer(401, {"error": "invalid_client"})
        else:
            grant = {"access_token": "standin-m2m", "token_type": "Bearer", "expires_in": 3600}
            self.answer(200, grant)

    def answer(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        # A client that gave up in the meantime is the client's affair.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing: the terminal belongs to whoever asked for the proof."""
