"""Scalekit's keys: fetched off the loop, once, renewed when they turn, never older than 10 min."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import (
    INITIALIZE,
    MCP_HEADERS,
    WELL_KNOWN,
    Clock,
    Site,
    load_guard,
    site,
    stateless_app,
    status,
)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    """A Scalekit and a site of the test's own; no key fetched yet."""
    with Standin() as scalekit, site(tmp_path, scalekit, stateless_app) as one:
        yield one


@pytest.fixture
def clock(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(fresh.guard, "time", one)
    return one


def until_fetched(one: Site, count: int) -> None:
    """Wait for a renewal that no request waits for."""
    deadline = time.monotonic() + 5
    while one.scalekit.fetches < count or not one.guard.settings().keys.renewal.done():
        assert time.monotonic() < deadline, one.scalekit.fetches
        time.sleep(0.01)


def test_nothing_is_asked_of_scalekit_before_the_first_token(fresh: Site) -> None:
    assert fresh.http.get("/health").status_code == 200
    assert fresh.http.get(WELL_KNOWN).status_code == 200
    assert status(fresh, {}) == 401
    assert status(fresh, {"authorization": "Bearer nonsense"}) == 401
    for header in ({"kid": None}, {"alg": "HS256"}, {"crit": ["exp"]}):
        assert status(fresh, fresh.bearer(header=header)) == 401
    assert (fresh.scalekit.sign_ins, fresh.scalekit.fetches) == (0, 0)
    assert status(fresh, fresh.bearer()) == 200
    assert (fresh.scalekit.sign_ins, fresh.scalekit.fetches) == (1, 1)


def test_keys_are_asked_for_without_the_machine_token(fresh: Site) -> None:
    assert status(fresh, fresh.bearer()) == 200
    assert "authorization" not in fresh.scalekit.seen[0]


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers
    assert answer.json()["error"] == "temporarily_unavailable"


@pytest.mark.parametrize("broken", ["keys", "sign-in"])
def test_keys_that_cannot_be_had_are_503_and_recover(
    fresh: Site, clock: Clock, broken: str
) -> None:
    scalekit = fresh.scalekit
    scalekit.fail, scalekit.fail_sign_in = (500, 0) if broken == "keys" else (0, 401)
    assert_unavailable(fresh.post("/mcp", fresh.bearer()))
    assert fresh.http.get("/health").status_code == 200
    assert status(fresh, {}) == 401
    scalekit.fail = scalekit.fail_sign_in = 0
    assert_unavailable(fresh.post("/mcp", fresh.bearer()))  # it cools down
    clock.ahead += 5
    assert status(fresh, fresh.bearer()) == 200


def test_scalekit_out_of_reach_is_503(
    folder: Path, scalekit: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    with site(folder / "gone", scalekit, stateless_app, SK_ENV_URL="http://127.0.0.1:9") as one:
        assert_unavailable(one.post("/mcp", one.bearer()))
        assert one.post("/orders", {}).status_code == 200
    assert "ConnectionError" in caplog.text  # what is behind the SDK's own exception


def test_secrets_are_not_logged_when_keys_cannot_be_had(
    fresh: Site, caplog: pytest.LogCaptureFixture
) -> None:
    fresh.scalekit.fail_sign_in = 401
    token = fresh.scalekit.token()
    assert status(fresh, {"authorization": f"Bearer {token}"}) == 503
    assert "ScalekitUnauthorizedException" in caplog.text
    assert fresh.scalekit.client_secret not in caplog.text
    assert token not in caplog.text


def test_failed_fetch_is_not_repeated_while_it_cools_down(fresh: Site, clock: Clock) -> None:
    fresh.scalekit.fail = 500
    for _ in range(10):
        assert status(fresh, fresh.bearer()) == 503
    clock.ahead += 4.1
    assert status(fresh, fresh.bearer()) == 503
    assert fresh.scalekit.fetches == 1
    clock.ahead += 0.9
    assert status(fresh, fresh.bearer()) == 503
    assert fresh.scalekit.fetches == 2


def test_rotated_key_is_accepted_at_once(fresh: Site) -> None:
    assert status(fresh, fresh.bearer()) == 200
    for _ in range(3):  # a look-up that succeeds starts no cool-down
        fresh.scalekit.rotate()
        assert status(fresh, fresh.bearer()) == 200
    assert (fresh.scalekit.fetches, fresh.scalekit.sign_ins) == (4, 1)


def test_made_up_key_ids_cost_one_fetch_per_cool_down(fresh: Site, clock: Clock) -> None:
    good = fresh.bearer()
    assert status(fresh, good) == 200
    for number in range(20):
        assert status(fresh, fresh.bearer(header={"kid": f"made-up-{number}"})) == 401
        assert status(fresh, good) == 200
    assert fresh.scalekit.fetches == 2
    fresh.scalekit.rotate()
    assert status(fresh, fresh.bearer()) == 401  # the cool-down delays a true new key, too
    clock.ahead += 4.1
    assert status(fresh, fresh.bearer()) == 401
    clock.ahead += 0.9
    assert status(fresh, fresh.bearer()) == 200  # and is not prolonged by those who knock


def test_old_keys_serve_while_new_ones_cannot_be_had(fresh: Site, clock: Clock) -> None:
    old = fresh.bearer()
    assert status(fresh, old) == 200
    fresh.scalekit.rotate()
    fresh.scalekit.fail = 503
    assert_unavailable(fresh.post("/mcp", fresh.bearer()))
    assert status(fresh, old) == 200
    clock.ahead += 300
    for _ in range(5):  # each would begin a renewal, if the last one did not cool down
        assert status(fresh, old) == 200
        until_fetched(fresh, 3)
    assert fresh.scalekit.fetches == 3
    clock.ahead += 299.2
    assert status(fresh, old) == 200
    clock.ahead += 0.8
    assert_unavailable(fresh.post("/mcp", old))
    fresh.scalekit.fail = 0
    clock.ahead += 5
    assert status(fresh, old) == 200


def test_keys_are_renewed_in_the_background_after_five_minutes(fresh: Site, clock: Clock) -> None:
    assert status(fresh, fresh.bearer()) == 200
    clock.ahead += 299.2
    assert status(fresh, fresh.bearer()) == 200
    assert fresh.scalekit.fetches == 1
    fresh.scalekit.delay = 1
    clock.ahead += 0.8
    began = time.monotonic()
    assert status(fresh, fresh.bearer()) == 200
    assert time.monotonic() - began < 0.9
    until_fetched(fresh, 2)


def test_withdrawn_key_is_refused_after_ten_minutes(fresh: Site, clock: Clock) -> None:
    old = fresh.bearer()
    withdrawn = fresh.scalekit.kid
    assert status(fresh, old) == 200
    fresh.scalekit.rotate()
    fresh.scalekit.withdraw(withdrawn)
    assert status(fresh, old) == 200
    clock.ahead += 600
    assert status(fresh, old) == 401
    assert status(fresh, fresh.bearer()) == 200


def test_withdrawn_key_is_refused_as_soon_as_keys_are_renewed(fresh: Site) -> None:
    old = fresh.bearer()
    withdrawn = fresh.scalekit.kid
    assert status(fresh, old) == 200
    fresh.scalekit.rotate()
    fresh.scalekit.withdraw(withdrawn)
    assert status(fresh, fresh.bearer()) == 200
    assert status(fresh, old) == 401


def test_empty_key_set_is_503_and_keeps_the_old_keys(
    fresh: Site, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    old = fresh.bearer()
    assert status(fresh, old) == 200
    fresh.scalekit.withdraw(fresh.scalekit.kid)
    assert status(fresh, fresh.bearer(header={"kid": "made-up"})) == 503
    assert status(fresh, old) == 200
    assert "Scalekit's keys cannot be had: PyJWKSetError" in caplog.text
    clock.ahead += 601
    assert status(fresh, old) == 503


def test_request_that_is_cancelled_does_not_stop_the_fetch(fresh: Site) -> None:
    fresh.scalekit.delay = 0.5
    keys, kid = fresh.guard.settings().keys, fresh.scalekit.kid

    async def leave_and_come_back() -> None:
        before = set(threading.enumerate())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.find(kid), 0.2)
        begun = set(threading.enumerate()) - before
        assert begun
        assert all(thread.daemon for thread in begun)  # none keeps the server from ending
        await keys.find(kid)

    asyncio.run(leave_and_come_back())
    assert fresh.scalekit.fetches == 1


def test_slow_keys_stall_nothing_and_are_fetched_once(fresh: Site) -> None:
    """60 first requests while keys take 3 s: the recipe freezes, or fetches 40 times.

    The bound tells a frozen loop from a busy machine; benchmarks/guard.py measures.
    """
    fresh.scalekit.delay = 3
    waits: list[float] = []

    async def ask_public(client: httpx.AsyncClient, done: asyncio.Event) -> None:
        while not done.is_set():
            for method, path in (("GET", "/health"), ("POST", "/orders")):  # async, and in a pool
                began = time.perf_counter()
                answer = await client.request(method, path)
                waits.append(time.perf_counter() - began)
                assert answer.status_code == 200
            await asyncio.sleep(0.02)

    async def ask_mcp(client: httpx.AsyncClient) -> int:
        headers = {**MCP_HEADERS, **fresh.bearer()}
        return (await client.post("/mcp", json=INITIALIZE, headers=headers)).status_code

    async def burst() -> list[int]:
        done = asyncio.Event()
        async with httpx.AsyncClient(base_url=fresh.url, trust_env=False, timeout=20) as client:
            public = asyncio.create_task(ask_public(client, done))
            statuses = await asyncio.gather(*(ask_mcp(client) for _ in range(60)))
            done.set()
            await public
        return statuses

    assert set(asyncio.run(burst())) == {200}
    assert (fresh.scalekit.fetches, fresh.scalekit.sign_ins) == (1, 1)
    assert len(waits) > 10
    assert max(waits) < 2.5, max(waits)


def test_two_guards_of_one_app_share_the_keys(tmp_path: Path) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        (mount,) = [route for route in app.routes if getattr(route, "path", "") == "/mcp"][-1:]
        inner = mount.app.app  # type: ignore[attr-defined]  # the mount's guard's app
        app.mount("/again", guard.ScalekitAuthMiddleware(inner))
        return app

    with Standin() as scalekit, site(tmp_path, scalekit, build) as one:
        for path in ("/mcp/", "/again/"):
            assert one.post(path, one.bearer()).status_code == 200
        assert scalekit.fetches == 1


def test_import_and_start_need_no_network(tmp_path: Path) -> None:
    with Standin() as scalekit:
        guard = load_guard(tmp_path, scalekit.settings("http://localhost:3002/mcp"))
        stateless_app(guard)
        guard.Settings()
        assert (scalekit.sign_ins, scalekit.fetches) == (0, 0)


def test_a_fetch_that_hangs_is_waited_for_so_long_and_given_up(fresh: Site, clock: Clock) -> None:
    """Fifteen seconds, and a minute: neither shuts everybody out for good."""
    fresh.scalekit.delay_sign_in = 60
    began = time.monotonic()
    assert_unavailable(fresh.post("/mcp", fresh.bearer()))
    assert 14.5 < time.monotonic() - began < 25
    fresh.scalekit.delay_sign_in = 0
    clock.ahead += 59 - (time.monotonic() - began)
    assert fresh.guard.settings().keys.renew("x") is fresh.guard.settings().keys.renewal
    assert fresh.scalekit.sign_ins == 1
    clock.ahead += 2
    assert status(fresh, fresh.bearer()) == 200
    assert (fresh.scalekit.sign_ins, fresh.scalekit.fetches) == (2, 1)


def test_what_a_late_fetch_brings_does_not_replace_newer_keys(fresh: Site) -> None:
    assert status(fresh, fresh.bearer()) == 200
    keys = fresh.guard.settings().keys
    newer = keys.keys
    keys.fetched += 5  # as if a fetch that began later had come back first
    keys.fetch(fresh.scalekit.kid, Future())
    assert keys.keys is newer


def test_a_fetch_that_ends_badly_ends(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's log filter may raise, in the middle of it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fresh.guard.log, "warning", broken)
    fresh.scalekit.fail = 500
    renewal: Future[None] = Future()
    with pytest.raises(ZeroDivisionError):
        fresh.guard.settings().keys.fetch("kid", renewal)
    assert renewal.done()


def test_look_ups_that_nobody_waits_for_cost_one_fetch_too(fresh: Site) -> None:
    assert status(fresh, fresh.bearer()) == 200
    fresh.scalekit.delay = 0.2
    keys = fresh.guard.settings().keys

    async def leave_at_once() -> None:
        for number in range(12):
            with contextlib.suppress(TimeoutError, Exception):
                await asyncio.wait_for(keys.find(f"made-up-{number}"), 0.05)

    asyncio.run(leave_at_once())
    assert fresh.scalekit.fetches == 2


def test_made_up_key_ids_all_at_once_are_401_for_one_fetch(fresh: Site) -> None:
    assert status(fresh, fresh.bearer()) == 200
    fresh.scalekit.delay = 0.3
    keys = fresh.guard.settings().keys

    async def ask(number: int) -> str:
        try:
            await keys.find(f"made-up-{number}")
        except Exception as error:  # Answer is the guard's own, and would be a 503
            return type(error).__name__
        return "found"

    async def flood() -> set[str]:
        return set(await asyncio.gather(*(ask(number) for number in range(100))))

    for _ in range(3):
        assert asyncio.run(flood()) == {"InvalidTokenError"}
    assert fresh.scalekit.fetches == 2


def test_a_key_of_a_strange_kind_does_not_take_the_others(tmp_path: Path) -> None:
    """RFC 7517, 5: it is to be ignored. The SDK gives up at it, with the keys that come before."""

    class Odd(Standin):
        def jwks(self) -> dict[str, Any]:
            strange = {"kty": "AKP", "alg": "ML-DSA-65", "kid": "post-quantum", "pub": "AA"}
            return {"keys": [*super().jwks()["keys"], strange]}

    with Odd() as scalekit, site(tmp_path, scalekit, stateless_app) as one:
        assert status(one, one.bearer()) == 200
        assert_unavailable(one.post("/mcp", one.bearer(header={"kid": "behind-it"})))


def test_old_keys_do_where_no_thread_can_be_started(
    fresh: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(fresh, fresh.bearer()) == 200

    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(fresh.guard.threading.Thread, "start", none_left)
    clock.ahead += 300
    assert status(fresh, fresh.bearer()) == 200
