"""`merge_lifespans`, and the start that every form of lifespan keeps."""

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from wire.test_settings import GOOD, refusal
from wire.world import WELL_KNOWN, load_guard


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return load_guard(tmp_path_factory.mktemp("guard"), GOOD)


def recorder(events: list[str]) -> Any:
    def make(name: str, **state: Any) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[dict[str, Any] | None]:
            events.append(f"+{name}")
            yield state or None
            events.append(f"-{name}")

        return lifespan

    return make


def run(lifespan: Any) -> dict[str, Any]:
    """Start and stop an app with it; the state that requests saw."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def root(request: Request) -> dict[str, Any]:
        return dict(request.scope.get("state", {}))

    with TestClient(app) as client:
        return dict(client.get("/").json())


def test_first_is_outermost(guard: ModuleType) -> None:
    events: list[str] = []
    make = recorder(events)
    run(guard.merge_lifespans(make("user"), None, make("mcp")))
    assert events == ["+user", "+mcp", "-mcp", "-user"]


def test_state_is_merged_and_the_outer_one_wins(guard: ModuleType) -> None:
    make = recorder([])
    merged = guard.merge_lifespans(make("user", a=1, b=2), make("mcp", b=3, c=4))
    assert run(merged) == {"a": 1, "b": 2, "c": 4}


async def yielded(lifespan: Any) -> Any:
    async with lifespan(None) as state:
        return state


@pytest.mark.anyio
async def test_no_state_is_none_and_not_an_empty_dict(guard: ModuleType) -> None:
    make = recorder([])
    assert await yielded(guard.merge_lifespans()) is None
    assert await yielded(guard.merge_lifespans(None, make("user"))) is None
    assert await yielded(guard.merge_lifespans(make("user", a=1))) == {"a": 1}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


events: list[str] = []


async def bare_async(app: Any) -> AsyncIterator[dict[str, int]]:
    events.append("+")
    yield {"a": 1}
    events.append("-")


def bare_sync(app: Any) -> Iterator[dict[str, int]]:
    events.append("+")
    yield {"a": 1}
    events.append("-")


class Manager:
    def __init__(self, app: Any) -> None:
        pass

    async def __aenter__(self) -> dict[str, int]:
        events.append("+")
        return {"a": 1}

    async def __aexit__(self, *_: object) -> None:
        events.append("-")


class Instance:
    def __call__(self, app: Any) -> Manager:
        return Manager(app)

    async def method(self, app: Any) -> AsyncIterator[dict[str, int]]:
        async for state in bare_async(app):
            yield state


FORMS: dict[str, Any] = {
    "context manager": asynccontextmanager(bare_async),
    "bare async generator": bare_async,
    "bare generator": bare_sync,
    "class": Manager,
    "instance": Instance(),
    "method": Instance().method,
    "partial": functools.partial(bare_async),
    "lambda": lambda app: Manager(app),  # noqa: PLW0108 - a lambda is what is tried
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_lifespan_is_taken(guard: ModuleType, form: str) -> None:
    events.clear()
    assert run(guard.merge_lifespans(FORMS[form], None)) == {"a": 1}
    assert events == ["+", "-"]


def test_outer_one_ends_when_the_inner_one_cannot_start(guard: ModuleType) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def user(app: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen.append("closed")

    class Broken(Manager):
        async def __aenter__(self) -> dict[str, int]:
            raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        run(guard.merge_lifespans(user, Broken))
    assert seen == ["closed"]


def test_startup_handlers_still_run_in_the_wrap_form(guard: ModuleType) -> None:
    seen: list[str] = []
    app = FastAPI(on_startup=[lambda: seen.append("+constructor")])
    guard.add_protected_resource_metadata(app)
    app.router.lifespan_context = guard.merge_lifespans(
        app.router.lifespan_context, recorder(seen)("mcp")
    )
    app.router.on_startup.append(lambda: seen.append("+later"))
    app.router.on_shutdown.append(lambda: seen.append("-user"))
    with TestClient(app) as client:
        assert client.get(WELL_KNOWN).status_code == 200
    assert seen == ["+constructor", "+later", "+mcp", "-mcp", "-user"]


def test_settings_are_checked_before_the_users_lifespan(tmp_path: Path) -> None:
    seen: list[str] = []
    guard = load_guard(tmp_path, {})
    app = FastAPI(lifespan=recorder(seen)("user"))
    guard.add_protected_resource_metadata(app)
    with pytest.raises(RuntimeError, match="SK_ENV_URL is missing"), TestClient(app):
        pass
    assert seen == []


def test_require_settings_alone_refuses_the_start(tmp_path: Path) -> None:
    """For apps that assign router.lifespan_context later than add_protected_resource_metadata."""
    assert "SK_ENV_URL is missing" in refusal(tmp_path, {})
    guard = load_guard(tmp_path, {})
    app = FastAPI()
    app.router.lifespan_context = guard.merge_lifespans(
        guard.require_settings, app.router.lifespan_context
    )
    with pytest.raises(RuntimeError, match="SK_ENV_URL is missing"), TestClient(app):
        pass
