"""Sites shared by the whole run: making one costs more than asking it."""

import importlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import Site, site, stateless_app

SETTINGS = (
    "SK_ENV_URL",
    "SK_CLIENT_ID",
    "SK_CLIENT_SECRET",
    "EXPECTED_AUDIENCE",
    "PROTECTED_RESOURCE_METADATA",
    "MCP_ALLOWED_ORIGINS",
    "MCP_REQUIRED_SCOPES",
)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Settings of whoever runs the tests would come before those of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        patch.setenv("NO_PROXY", "*")
        assert not [name for name in SETTINGS if name in os.environ]
        yield


@pytest.fixture(autouse=True, scope="session")
def _quiet_sdk() -> None:
    """Fifty deprecation warnings of the SDK's own, on its first import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("scalekit.client")


@pytest.fixture(scope="session")
def scalekit() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sites")


@pytest.fixture(scope="session")
def mounted(folder: Path, scalekit: Standin) -> Iterator[Site]:
    """The MCP server at /mcp, every MCP answer plain JSON, no session."""
    with site(folder / "mounted", scalekit, stateless_app) as one:
        yield one


@pytest.fixture(scope="session")
def at_root(folder: Path, scalekit: Standin) -> Iterator[Site]:
    """The MCP server at /, the shape of an app without routes of its own."""
    with site(
        folder / "root", scalekit, lambda guard: stateless_app(guard, "/"), resource="/"
    ) as one:
        yield one


@pytest.fixture(scope="session")
def scoped(folder: Path, scalekit: Standin) -> Iterator[Site]:
    """As `mounted`, and two scopes are required."""
    scopes = "todo:read, todo:write"
    with site(folder / "scoped", scalekit, stateless_app, MCP_REQUIRED_SCOPES=scopes) as one:
        yield one
