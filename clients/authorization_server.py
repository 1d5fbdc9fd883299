"""A stand-in Scalekit that signs users in: discovery, registration, consent, tokens.

The verifying stand-in answers the SDK and `/keys`; everything a client needs lies below the issuer.
"""

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from grants import Grant, Grants, Refused

from mcp_auth_retrofit.verify.standin import Handler, Standin

WELL_KNOWN = "/.well-known/oauth-authorization-server"


class AuthorizationServer(Standin):
    """`steps` are the parts of sign-ins so far; `lifetime` is the next tokens', in seconds."""

    subject = "usr_alice"

    def __init__(self) -> None:
        super().__init__()
        self.grants = Grants()
        self.steps: list[str] = []
        self.lifetime = 300

    def handler(self) -> type[Handler]:
        return _SignIn

    def protect(self, resource_url: str) -> dict[str, str]:
        """The environment for the app at `resource_url`, the only one that tokens are given for."""
        self.grants.resource = resource_url
        return self.settings(resource_url)

    def server_metadata(self) -> dict[str, Any]:
        """RFC 8414, 2. Without scopes: a client has them from the guard, or not."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def tokens(self, grant: Grant) -> dict[str, Any]:
        """RFC 6749, 5.1; the audience is the resource alone."""
        access = self.token(
            aud=[grant.resource],
            sub=self.subject,
            client_id=grant.client_id,
            scopes=grant.scope.split(),
            exp=int(time.time()) + self.lifetime,
        )
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "scope": grant.scope,
            "refresh_token": self.grants.renewal(grant),
        }


class _SignIn(Handler):
    standin: AuthorizationServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == WELL_KNOWN + urlsplit(self.standin.issuer).path:
            self.standin.steps.append("metadata")
            self.answer(200, self.standin.server_metadata())
        elif path == self._below("/authorize"):
            self._authorize(dict(parse_qsl(urlsplit(self.path).query)))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        if self.path not in (self._below("/register"), self._below("/token")):
            super().do_POST()
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            if self.path == self._below("/register"):
                self.standin.steps.append("register")
                self.answer(201, self.standin.grants.register(json.loads(body)))
            else:
                self.answer(200, self.standin.tokens(self._grant(dict(parse_qsl(body.decode())))))
        except Refused as refused:
            self.answer(400, refused.body())

    def _grant(self, form: dict[str, str]) -> Grant:
        if form.get("grant_type") == "refresh_token":
            self.standin.steps.append("refresh")
            return self.standin.grants.renew(form)
        self.standin.steps.append("token")
        return self.standin.grants.redeem(form)

    def _authorize(self, asked: dict[str, str]) -> None:
        """Consents at once, and says who it is (RFC 9207)."""
        self.standin.steps.append("authorize")
        target = asked.get("redirect_uri", "")
        if not self.standin.grants.knows(asked.get("client_id", ""), target):
            self.answer(400, {"error": "invalid_request"})
            return
        try:
            outcome = {"code": self.standin.grants.authorize(asked)}
        except Refused as refused:
            outcome = refused.body()
        outcome |= {"state": asked.get("state", ""), "iss": self.standin.issuer}
        self.send_response(302)
        self.send_header("Location", f"{target}?{urlencode(outcome)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _below(self, path: str) -> str:
        return urlsplit(self.standin.issuer).path + path
