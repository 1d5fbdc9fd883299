"""What an authorization server has to remember: clients, codes and refresh tokens.

Everybody who asks is signed in at once; what is asked is checked as the standards say.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """An error of RFC 6749, RFC 7591 or RFC 8707; `error` is its code."""

    def __init__(self, error: str, text: str) -> None:
        self.error = error
        super().__init__(text)

    def body(self) -> dict[str, str]:
        return {"error": self.error, "error_description": str(self)}


@dataclass(frozen=True)
class Grant:
    """What a user has agreed to."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    resource: str
    scope: str


class Grants:
    """`resource` is the one server that tokens are given for (RFC 8707)."""

    def __init__(self) -> None:
        self.resource = ""
        self._clients: dict[str, list[str]] = {}
        self._codes: dict[str, Grant] = {}
        self._renewals: dict[str, Grant] = {}

    def register(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A public client (RFC 7591, 3). Raises Refused."""
        uris = asked.get("redirect_uris")
        if not isinstance(uris, list) or not uris:
            raise Refused("invalid_redirect_uri", "a client needs a redirect URI")
        client_id = f"mcp_{secrets.token_hex(8)}"
        self._clients[client_id] = [str(uri) for uri in uris]
        return {**asked, "client_id": client_id, "token_endpoint_auth_method": "none"}

    def knows(self, client_id: str, redirect_uri: str) -> bool:
        """Whether a browser may be sent there at all (RFC 6749, 4.1.2.1)."""
        return redirect_uri in self._clients.get(client_id, ())

    def authorize(self, asked: Mapping[str, str]) -> str:
        """A code, for a client that it `knows`. Raises Refused."""
        if asked.get("response_type") != "code":
            raise Refused("unsupported_response_type", "only code")
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            raise Refused("invalid_request", "PKCE with S256 is needed")
        if asked.get("resource") != self.resource:
            raise Refused("invalid_target", "no tokens for that resource")
        code = secrets.token_urlsafe(16)
        self._codes[code] = Grant(
            client_id=asked["client_id"],
            redirect_uri=asked["redirect_uri"],
            code_challenge=asked["code_challenge"],
            resource=asked["resource"],
            scope=asked.get("scope", ""),
        )
        return code

    def redeem(self, form: Mapping[str, str]) -> Grant:
        """The grant behind a code, which counts once (RFC 6749, 4.1.3). Raises Refused."""
        grant = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if grant is None or challenge != grant.code_challenge:  # RFC 7636, 4.6
            raise Refused("invalid_grant", "no such code, or another's verifier")
        if form.get("redirect_uri") != grant.redirect_uri:
            raise Refused("invalid_grant", "the code was given to another redirect URI")
        return self._checked(grant, form)

    def renew(self, form: Mapping[str, str]) -> Grant:
        """The grant behind a refresh token, which counts once (RFC 6749, 6). Raises Refused."""
        grant = self._renewals.pop(form.get("refresh_token", ""), None)
        if grant is None:
            raise Refused("invalid_grant", "no such refresh token")
        return self._checked(grant, form)

    def renewal(self, grant: Grant) -> str:
        """A new refresh token."""
        token = secrets.token_urlsafe(16)
        self._renewals[token] = grant
        return token

    def _checked(self, grant: Grant, form: Mapping[str, str]) -> Grant:
        if form.get("client_id") != grant.client_id:
            raise Refused("invalid_grant", "given to another client")
        if form.get("resource") != grant.resource:
            raise Refused("invalid_target", "granted for another resource")
        return grant
