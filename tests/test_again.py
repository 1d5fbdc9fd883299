"""Running again with other options: the file changes to that, and the user's comments stay."""

from dataclasses import replace
from pathlib import Path

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options

DONE = """\
from fastapi import FastAPI
from fastmcp import FastMCP
from scalekit_auth import (
    ScalekitAuthMiddleware,
    add_protected_resource_metadata,
    answer_bare_path,
)

mcp = FastMCP("x")
mcp_app = mcp.http_app(path="/")
app = FastAPI(lifespan=mcp_app.lifespan)
add_protected_resource_metadata(app)  # first of all


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


# for clients that forget the slash
answer_bare_path(app, "/mcp")  # both spellings
app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))  # the door
"""
OPTIONS = Options(project_files=False)


def again(entry: Path, options: Options) -> str:
    result = prepare(entry, options)
    assert result.reason is None
    for write in result.writes:
        write.path.write_bytes(write.after)
    return entry.read_text()


def test_another_mount_path(tmp_path: Path) -> None:
    entry = tmp_path / "main.py"
    entry.write_text(DONE)
    after = again(entry, replace(OPTIONS, mount_path="/tools"))
    assert 'answer_bare_path(app, "/tools")' in after
    assert 'app.mount("/tools", ScalekitAuthMiddleware(mcp_app))  # the door' in after
    assert "# for clients that forget the slash" in after
    assert "# both spellings" in after
    assert '"/mcp"' not in after
    assert prepare(entry, OPTIONS).status == "unchanged"


def test_the_whole_app_and_back(tmp_path: Path) -> None:
    entry = tmp_path / "main.py"
    entry.write_text(DONE)
    whole = again(entry, replace(OPTIONS, protect="all", public=("/docs",)))
    assert 'Middleware(ScalekitAuthMiddleware, public=("/health", "/docs"))' in whole
    assert 'app.mount("/mcp", mcp_app)  # the door' in whole
    assert prepare(entry, OPTIONS).status == "unchanged"
    back = again(entry, replace(OPTIONS, protect="mcp"))
    assert back.replace("from starlette.middleware import Middleware\n", "") == DONE


def test_a_root_mount_has_no_bare_path(tmp_path: Path) -> None:
    entry = tmp_path / "main.py"
    entry.write_text(DONE)
    after = again(entry, replace(OPTIONS, mount_path="/"))
    assert "answer_bare_path(app" not in after
    assert 'app.mount("/", ScalekitAuthMiddleware(mcp_app))' in after
    assert "# both spellings" in after
