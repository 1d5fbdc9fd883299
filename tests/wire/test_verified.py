"""A verified token is not verified again while it lives, and nothing is let in by that."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from mcp_auth_retrofit.verify.standin import Standin, rsa_key
from wire.world import Clock, Site, site, stateless_app, status


class Counted:
    """PyJWT's `decode`, and how often it has verified a token."""

    def __init__(self) -> None:
        self.decode, self.count = jwt.decode, 0

    def __call__(self, token: str, *given: Any, **options: Any) -> Any:
        self.count += 1
        return self.decode(token, *given, **options)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    """A Scalekit and a site of the test's own, whose keys are there."""
    with Standin() as scalekit, site(tmp_path, scalekit, stateless_app) as one:
        assert status(one, one.bearer()) == 200
        yield one


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(jwt, "decode", counted)
    return counted


def test_a_good_token_is_verified_once(fresh: Site, verified: Counted) -> None:
    good = fresh.bearer()
    assert [status(fresh, good) for _ in range(3)] == [200] * 3
    assert verified.count == 1
    assert status(fresh, fresh.bearer()) == 200
    assert status(fresh, good) == 200
    assert verified.count == 2


def test_it_is_refused_once_it_has_expired(fresh: Site) -> None:
    ends = int(time.time()) + 2
    short = fresh.bearer(exp=ends)
    assert [status(fresh, short) for _ in range(2)] == [200] * 2
    time.sleep(max(0.0, ends - time.time()) + 0.05)
    assert status(fresh, short) == 401


def test_a_bad_token_is_verified_every_time_and_not_kept(fresh: Site, verified: Counted) -> None:
    kept = dict(fresh.guard.settings().keys.verified)
    for bad in (fresh.bearer(key=rsa_key(99)), fresh.bearer(exp=None), fresh.bearer(sub="")):
        before = verified.count
        assert [status(fresh, bad) for _ in range(2)] == [401] * 2
        assert verified.count == before + 2
    assert fresh.guard.settings().keys.verified == kept


def test_a_scope_that_is_lacking_is_so_every_time(scoped: Site) -> None:
    lacking = scoped.bearer()
    assert [status(scoped, lacking) for _ in range(2)] == [403] * 2


def test_another_signature_under_the_same_claims_is_not_the_same_token(fresh: Site) -> None:
    good = fresh.bearer()
    assert status(fresh, good) == 200
    head, body, mac = good["authorization"].split(".")
    other = mac[:-4] + ("AAAA" if not mac.endswith("AAAA") else "BBBB")
    assert status(fresh, {"authorization": f"{head}.{body}.{other}"}) == 401


def test_new_keys_verify_it_anew(fresh: Site, verified: Counted) -> None:
    good = fresh.bearer()
    assert status(fresh, good) == 200
    fresh.scalekit.rotate()
    assert status(fresh, fresh.bearer()) == 200
    before = verified.count
    assert status(fresh, good) == 200
    assert verified.count == before + 1


def test_what_old_keys_proved_is_not_kept_for_the_new(
    fresh: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys may change, in their own thread, while a token is being verified."""
    keys, good = fresh.guard.settings().keys, fresh.bearer()

    decode = jwt.decode

    def change_meanwhile(*given: Any, **options: Any) -> Any:
        keys.verified = {}
        return decode(*given, **options)

    monkeypatch.setattr(jwt, "decode", change_meanwhile)
    assert status(fresh, good) == 200
    assert keys.verified == {}


def test_keys_older_than_five_minutes_verify_every_time(
    fresh: Site, verified: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, clock = fresh.bearer(), Clock()
    assert status(fresh, good) == 200
    fresh.scalekit.fail = 503
    monkeypatch.setattr(fresh.guard, "time", clock)
    clock.ahead += 300
    clock.time = time.time  # type: ignore[method-assign]  # the token is as young as before
    assert [status(fresh, good) for _ in range(2)] == [200] * 2
    assert verified.count == 3


def test_hashes_are_kept_and_only_so_many(fresh: Site) -> None:
    keys, token = fresh.guard.settings().keys, fresh.bearer()
    assert status(fresh, token) == 200
    assert {(type(entry), len(entry)) for entry in keys.verified} == {(bytes, 32)}
    for part in token["authorization"].split("."):
        assert not any(part in repr(known) for known in keys.verified.values())
    (known,) = list(keys.verified.values())[-1:]
    keys.verified |= {n.to_bytes(32): known for n in range(10_000 - len(keys.verified))}
    assert len(keys.verified) == 10_000
    good = fresh.bearer()
    assert status(fresh, good) == 200
    assert len(keys.verified) == 1
    assert status(fresh, good) == 200


def test_what_a_tool_does_to_its_claims_is_gone_with_the_request(
    folder: Path, scalekit: Standin
) -> None:
    async def promote(request: Request) -> JSONResponse:
        user = request.user
        assert user.display_name == "mcp_client"
        token = user.access_token
        seen = {"roles": list(token.claims["roles"]), "scopes": [*token.scopes, *user.scopes]}
        token.claims["roles"].append("admin")
        token.scopes.append("admin")
        user.scopes.append("admin")
        assert not hasattr(user, "nonsense")
        request.auth.scopes.append("admin")
        return JSONResponse(seen)

    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        inner = app.routes[-1].app.app  # type: ignore[attr-defined]  # the mount's guard's app
        inner.add_route("/promote", promote)
        return app

    with site(folder / "promote", scalekit, build) as one:
        token = one.bearer(roles=["reader"], scope="read")
        for _ in range(3):
            answer = one.http.get("/mcp/promote", headers=token)
            assert answer.json() == {"roles": ["reader"], "scopes": ["read", "read"]}
