"""What the tests share: a process to fork apps from, and a stand-in Scalekit."""

from collections.abc import Iterator

import pytest

from harness.warm import Warm
from mcp_auth_retrofit.verify.standin import Standin


def pytest_addoption(parser: pytest.Parser) -> None:
    """The tests' own options."""
    parser.addoption(
        "--all-spellings",
        action="store_true",
        help="hold every spelling of every case to the laws, and boot it",
    )


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process that has imported the libraries; `launch=warm.launch` makes `boot` cheap."""
    with Warm() as process:
        yield process


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """One stand-in Scalekit for the whole session: for tests that leave its switches alone."""
    with Standin() as scalekit:
        yield scalekit
