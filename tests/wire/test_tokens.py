"""Which tokens are good (MCP authorization, "Token Handling"; RFC 8725; RFC 9068, 4)."""

import logging
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from jwt.algorithms import RSAAlgorithm

from mcp_auth_retrofit.verify.standin import Standin, public_pem, rsa_key
from wire.world import WHO, Clock, Site, challenge

BOTH = pytest.mark.parametrize("path", ["/mcp", "/mcp/"])


@BOTH
def test_a_good_token_reaches_the_tool_on_both_spellings(mounted: Site, path: str) -> None:
    answer = mounted.post(path, mounted.bearer(), WHO)
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"] is False


def good_tokens() -> dict[str, Callable[[Site], dict[str, Any]]]:
    return {
        "older issuer": lambda site: {"iss": site.scalekit.url},
        "newer issuer": lambda site: {"iss": site.scalekit.issuer},
        "audience is the resource id": lambda site: {"aud": site.scalekit.resource_id},
        "audience is the URL": lambda site: {"aud": site.url + "/mcp"},
        "audience among others": lambda site: {"aud": ["https://else.example", site.url + "/mcp"]},
        "no nbf": lambda _: {"nbf": None},
        "no client_id": lambda _: {"client_id": None},
        "typ at+jwt": lambda _: {"header": {"typ": "at+jwt"}},
        "no typ": lambda _: {"header": {"typ": None}},
    }


@pytest.mark.parametrize("case", good_tokens())
def test_good_token_is_accepted(mounted: Site, case: str) -> None:
    token = good_tokens()[case](mounted)
    assert mounted.post("/mcp", mounted.bearer(**token)).status_code == 200


def bad_tokens() -> dict[str, Callable[[Standin], dict[str, Any]]]:
    now = int(time.time())
    return {
        "alg none": lambda _: {"alg": "none"},
        "alg None with a capital": lambda _: {"alg": "none", "header": {"alg": "None"}},
        "HS256 with the public key": lambda one: {"alg": "HS256", "key": public_pem(one.key)},
        "HS256 header, RSA signature": lambda _: {"header": {"alg": "HS256"}},
        "RS512": lambda _: {"header": {"alg": "RS512"}},
        "foreign key under a known kid": lambda _: {"key": rsa_key(99)},
        "foreign key that it brings along": lambda _: {
            "key": rsa_key(99),
            "header": {"jwk": RSAAlgorithm.to_jwk(rsa_key(99).public_key(), as_dict=True)},
        },
        "foreign key at an address that it names": lambda one: {
            "key": rsa_key(99),
            "header": {"jku": f"{one.url}/keys", "x5u": f"{one.url}/keys"},
        },
        "expired": lambda _: {"exp": now - 1},
        "not yet valid": lambda _: {"nbf": now + 60},
        "issued in the future": lambda _: {"iat": now + 60},
        "no exp": lambda _: {"exp": None},
        "exp is not a number": lambda _: {"exp": "tomorrow"},
        "no sub": lambda _: {"sub": None},
        "empty sub": lambda _: {"sub": ""},
        "sub is not text": lambda _: {"sub": 7},
        "no kid": lambda _: {"header": {"kid": None}},
        "kid is not text": lambda _: {"header": {"kid": 7}},
        "unknown kid": lambda _: {"header": {"kid": "made-up"}},
        "critical header": lambda _: {"header": {"crit": ["exp"]}},
        "unknown critical header": lambda _: {"header": {"crit": ["x"], "x": 1}},
        "wrong issuer": lambda _: {"iss": "https://else.example"},
        "issuer with a slash": lambda one: {"iss": one.url + "/"},
        "issuer of another resource": lambda one: {"iss": one.url + "/resources/res_else"},
        "no issuer": lambda _: {"iss": None},
        "wrong audience": lambda _: {"aud": "https://else.example"},
        "audience is the older issuer": lambda one: {"aud": one.url},
        "empty audience": lambda _: {"aud": ""},
        "empty audience list": lambda _: {"aud": []},
        "no audience": lambda _: {"aud": None},
    }


@pytest.mark.parametrize("case", bad_tokens())
def test_bad_token_is_refused(mounted: Site, case: str) -> None:
    token = bad_tokens()[case](mounted.scalekit)
    answer = mounted.post("/mcp", mounted.bearer(**token))
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_token",
        "error_description": "Token validation failed",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert challenge(answer) == {
        "realm": "OAuth",
        "error": "invalid_token",
        "error_description": "Token validation failed",
        "resource_metadata": f"{mounted.url}/.well-known/oauth-protected-resource/mcp",
    }


MALFORMED = {
    "one word": "abc",
    "two parts": "a.b",
    "four parts": "a.b.c.d",
    "empty parts": "..",
    "junk between": "{head}.{body}!.{mac}",
    "junk in the signature": "{head}.{body}.{mac}!",
    "padding after the signature": "{head}.{body}.{mac}==",
    "blanks in the signature": "{head}.{body}. {mac}",
    "two tokens": "{head}.{body}.{mac} {head}.{body}.{mac}",
    "header is no JSON": "bm90.{body}.{mac}",
    "header is a list": "W10.{body}.{mac}",
    "header nested too deep": jwt.utils.base64url_encode(b"[" * 9000).decode() + ".{body}.{mac}",
    "other signature": "{head}.{body}.AAAA",
    "no signature": "{head}.{body}.",
    "latin-1": "{head}.{body}.{mac}\u00e9",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_token_is_refused(mounted: Site, case: str) -> None:
    head, body, mac = mounted.scalekit.token().split(".")
    token = MALFORMED[case].format(head=head, body=body, mac=mac)
    field = f"Bearer {token}".encode("latin-1")
    answer = mounted.http.post("/mcp", headers=[(b"authorization", field)])
    assert answer.status_code == 401
    assert challenge(answer)["error"] == "invalid_token"


def test_tokens_of_sixteen_kilobytes_are_taken(mounted: Site) -> None:
    large = mounted.bearer(roles=["r" * 100] * 120)
    assert len(large["authorization"]) > 16_000
    assert mounted.post("/mcp", large).status_code == 200
    assert mounted.post("/mcp", {"authorization": large["authorization"] + "A"}).status_code == 401


def test_claims_changed_after_signing_are_refused(mounted: Site) -> None:
    head, _, mac = mounted.scalekit.token().split(".")
    body = mounted.scalekit.token(sub="usr_mallory").split(".")[1]
    answer = mounted.post("/mcp", {"authorization": f"Bearer {head}.{body}.{mac}"})
    assert answer.status_code == 401


def test_reason_is_in_the_log_and_the_token_is_not(
    mounted: Site, caplog: pytest.LogCaptureFixture
) -> None:
    mounted.guard.tell.cache_clear()
    token = mounted.scalekit.token(aud="https://else.example")
    answer = mounted.post("/mcp", {"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "audience" not in answer.text.lower()
    (record,) = filter(ours, caplog.records)
    assert "Audience doesn't match" in record.getMessage()
    assert not any(part in caplog.text for part in token.split("."))


def test_a_flood_of_bad_tokens_is_no_flood_of_lines(
    mounted: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reason once a second."""
    clock = Clock()
    clock.stop()
    monkeypatch.setattr(mounted.guard, "time", clock)
    mounted.guard.tell.cache_clear()
    for _ in range(5):
        mounted.post("/mcp", mounted.bearer(iss="https://flood.example"))
        mounted.post("/mcp", mounted.bearer(exp=1))
    assert [record.getMessage() for record in caplog.records if ours(record)] == [
        "Token refused: InvalidIssuerError('Invalid issuer')",
        "Token refused: ExpiredSignatureError('Signature has expired')",
    ]
    clock.ahead += 1
    mounted.post("/mcp", mounted.bearer(exp=1))
    assert len([record for record in caplog.records if ours(record)]) == 3


def ours(record: logging.LogRecord) -> bool:
    return record.name == "scalekit_auth"


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
def test_a_claim_that_is_missing_is_named_in_the_log(
    mounted: Site, caplog: pytest.LogCaptureFixture, claim: str
) -> None:
    mounted.guard.tell.cache_clear()
    assert mounted.post("/mcp", mounted.bearer(**{claim: None})).status_code == 401
    (record,) = filter(ours, caplog.records)
    assert record.getMessage() == f"Token refused: MissingRequiredClaimError('{claim}')"


def test_a_reason_never_repeats_what_a_token_holds(
    mounted: Site, caplog: pytest.LogCaptureFixture
) -> None:
    mounted.guard.tell.cache_clear()
    body = mounted.scalekit.token().partition(".")[2]
    for head in (b"secret", b"\xffsecret", b"[" * 9000):
        token = f"{jwt.utils.base64url_encode(head).decode()}.{body}"
        assert mounted.post("/mcp", {"authorization": f"Bearer {token}"}).status_code == 401
    assert {record.getMessage() for record in filter(ours, caplog.records)} == {
        "Token refused: JSONDecodeError",
        "Token refused: UnicodeDecodeError",
        "Token refused: RecursionError",
    }


@pytest.mark.parametrize(
    "claims",
    [
        {"scopes": ["todo:read", "todo:write"]},
        {"scopes": "todo:read todo:write"},
        {"scope": "todo:write todo:read other"},
        {"scp": ["todo:read", "todo:write"]},
        {"scope": "todo:read", "scp": "todo:write"},
    ],
    ids=repr,
)
def test_required_scopes_are_found_in_every_form(scoped: Site, claims: dict[str, Any]) -> None:
    assert scoped.post("/mcp", scoped.bearer(**claims)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scopes": ["todo:read"]},
        {"scope": "todo:readtodo:write"},
        {"scopes": 7},
        {"scopes": {"todo:read": 1, "todo:write": 1}},
        {"scopes": [["todo:read", "todo:write"], 7]},
        {"permissions": ["todo:read", "todo:write"]},
    ],
    ids=repr,
)
def test_lacking_scope_is_403_naming_all_required(scoped: Site, claims: dict[str, Any]) -> None:
    answer = scoped.post("/mcp", scoped.bearer(**claims))
    assert answer.status_code == 403
    assert answer.json()["error"] == "insufficient_scope"
    assert answer.headers["cache-control"] == "no-store"
    assert challenge(answer) == {
        "realm": "OAuth",
        "error": "insufficient_scope",
        "error_description": "The token lacks a required scope",
        "scope": "todo:read todo:write",
        "resource_metadata": f"{scoped.url}/.well-known/oauth-protected-resource/mcp",
    }


def test_required_scopes_are_named_in_the_401_too(scoped: Site) -> None:
    assert challenge(scoped.post("/mcp", {}))["scope"] == "todo:read todo:write"
