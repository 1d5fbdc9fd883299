"""The hooks in the real pre-commit, in a scratch repository."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
BURIED = """\
from fastapi import FastAPI
from fastmcp import FastMCP
from scalekit_auth import ScalekitAuthMiddleware

mcp = FastMCP("x")
mcp_app = mcp.http_app(path="/")
app = FastAPI(lifespan=mcp_app.lifespan)
app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))
app.add_api_route("/mcp/about", lambda: "us")
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that runs our hooks as they are, in this environment instead of a new one."""
    hooks = MANIFEST.read_text().replace("language: python", "language: system")
    hooks = hooks.replace("mcp-auth-check", f"{sys.executable} -m mcp_auth_retrofit.hook")
    hooks = hooks.replace(f"id: {sys.executable} -m mcp_auth_retrofit.hook", "id: mcp-auth-check")
    indented = "".join(f"      {line}\n" for line in hooks.splitlines())
    config = "repos:\n  - repo: local\n    hooks:\n" + indented
    (tmp_path / ".pre-commit-config.yaml").write_text(config)
    run(tmp_path, "git", "init", "--quiet")
    return tmp_path


def commit_check(folder: Path, hook: str) -> subprocess.CompletedProcess[str]:
    run(folder, "git", "add", "--all")
    return run(folder, sys.executable, "-m", "pre_commit", "run", hook, "--all-files")


def test_the_manifest_is_valid() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)]
    assert run(ROOT, *command).returncode == 0


@pytest.mark.parametrize("hook", ["mcp-mount-last", "mcp-auth-check"])
def test_a_buried_route_stops_the_commit(repository: Path, hook: str) -> None:
    (repository / "main.py").write_text(BURIED)
    ran = commit_check(repository, hook)
    assert ran.returncode == 1
    assert "main.py:9:1: MAR001 Route /mcp/about never answers" in ran.stdout


def test_an_open_server_is_for_the_second_hook(repository: Path) -> None:
    lines = BURIED.splitlines(keepends=True)[:-1]
    guard = "ScalekitAuthMiddleware(mcp_app)"
    (repository / "main.py").write_text("".join(lines).replace(guard, "mcp_app"))
    assert commit_check(repository, "mcp-mount-last").returncode == 0
    ran = commit_check(repository, "mcp-auth-check")
    assert ran.returncode == 1
    assert "MAR005" in ran.stdout


def test_the_right_order_passes(repository: Path) -> None:
    *head, mount, late = BURIED.splitlines(keepends=True)
    (repository / "main.py").write_text("".join([*head, late, mount]))
    ran = commit_check(repository, "mcp-auth-check")
    assert ran.returncode == 0, ran.stdout
