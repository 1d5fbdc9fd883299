"""Servers of the official SDK where FastMCP is not installed."""

from pathlib import Path

import pytest

from harness.cases import BOOTED, Case
from harness.observing import observe
from laws.conftest import Rewritten
from laws.test_running import failed
from mcp_auth_retrofit.verify.boot import spawn
from mcp_auth_retrofit.verify.proof import prove
from mcp_auth_retrofit.verify.standin import Standin

NAMES = ("official_sdk", "official_sdk_1", "fastapi_mcp")
HIDES_FASTMCP = """
import importlib.metadata
import sys

sys.modules["fastmcp"] = None  # an import of it, or of a part of it, raises ImportError
_found = importlib.metadata.version


def _version(name):
    if name == "fastmcp":
        raise importlib.metadata.PackageNotFoundError(name)
    return _found(name)


importlib.metadata.version = _version
"""


@pytest.mark.parametrize(
    "case", [case for case in BOOTED if case.name in NAMES], ids=lambda case: case.name
)
def test_it_is_guarded_all_the_same(
    case: Case, rewritten: Rewritten, standin: Standin, tmp_path: Path
) -> None:
    rewritten(case).written(tmp_path / "project")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDES_FASTMCP)

    def settings(url: str) -> dict[str, str]:
        return {**standin.settings(url + case.mcp), "PYTHONPATH": str(tmp_path / "site")}

    with observe(case, tmp_path / "project", spawn, settings) as after:
        checks = prove(
            after.running.url,
            case.mcp,
            token=standin.token(),
            foreign=standin.token(aud="https://elsewhere.example/mcp"),
            health_path=case.health,
            origin=case.origin,
            paths=case.spellings,
        )
    assert failed(checks) == []
