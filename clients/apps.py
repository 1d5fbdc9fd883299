"""The same app twice: as it is, and as the tool rewrites it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authorization_server import AuthorizationServer
from child import run

from mcp_auth_retrofit.verify.boot import boot

PROJECT = Path(__file__).with_name("app")
SCOPE = "tools:call"
"""The scope that the guarded app asks for: a client learns of it from the guard alone."""


@contextmanager
def unguarded() -> Iterator[str]:
    """The URL of its MCP server; with the slash, or the mount would redirect."""
    with boot(cwd=PROJECT) as running:
        yield f"{running.url}/mcp/"


@contextmanager
def guarded(server: AuthorizationServer) -> Iterator[str]:
    """Rewrites a copy with `apply` and serves it; the URL of its MCP server."""
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        project = Path(shutil.copytree(PROJECT, Path(folder) / "app"))
        apply = [sys.executable, "-m", "mcp_auth_retrofit", "apply", "--yes"]
        done = run([*apply, project / "main.py"])
        if done.status:
            raise RuntimeError(f"apply did not rewrite clients/app/main.py: {done.last_words}")
        with boot(
            cwd=project,
            env=lambda url: {**server.protect(f"{url}/mcp"), "MCP_REQUIRED_SCOPES": SCOPE},
        ):
            yield server.grants.resource
