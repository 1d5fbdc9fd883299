"""The guard inside the entrypoint: whose it is, and what happens when it is not as it was."""

import hashlib
from pathlib import Path

import pytest

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.check import check
from mcp_auth_retrofit.inline import block, own_names
from mcp_auth_retrofit.options import Layout, Options
from mcp_auth_retrofit.results import FileResult

APP = """\
from fastapi import FastAPI
from fastmcp import FastMCP

mcp = FastMCP("Inside")
mcp_app = mcp.http_app(path="/")
app = FastAPI(lifespan=mcp_app.lifespan)
app.mount("/mcp", mcp_app)
"""


def run(entry: Path, layout: Layout | None = None) -> FileResult:
    return prepare(entry, Options(layout=layout, project_files=False))


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A file that the guard was put into."""
    path = tmp_path / "main.py"
    path.write_text(APP)
    (write,) = run(path, "inline").writes
    path.write_bytes(write.after)
    return path


def code(result: FileResult) -> str | None:
    return result.reason.code if result.reason else None


def test_it_is_found_and_left_alone(entry: Path) -> None:
    layouts: tuple[Layout | None, ...] = (None, "inline")
    for layout in layouts:
        result = run(entry, layout)
        assert (result.status, result.state) == ("unchanged", "guarded")
    assert not (entry.parent / "scalekit_auth.py").exists()
    assert [f.code for f in check([entry]).findings] == []


def test_the_other_layout_is_refused(entry: Path, tmp_path: Path) -> None:
    assert code(run(entry, "module")) == "layout-differs"
    other = tmp_path / "other" / "main.py"
    other.parent.mkdir()
    other.write_text(APP)
    for write in run(other).writes:
        write.path.write_bytes(write.after)
    assert code(run(other, "inline")) == "layout-differs"


def test_an_edited_one_is_refused(entry: Path) -> None:
    text = entry.read_text()
    assert "if len(given) > 1" in text
    entry.write_text(text.replace("if len(given) > 1", "if len(given) > 2"))
    assert code(run(entry)) == "inline-edited"


def test_one_of_another_version_is_refused(entry: Path) -> None:
    lines = entry.read_text().splitlines(keepends=True)
    (first,) = [n for n, line in enumerate(lines) if line.startswith('"scalekit_auth, format')]
    (last,) = [n for n, line in enumerate(lines) if line.startswith('"Untouched, what')]
    body = "".join(lines[first + 1 : last]).replace("import time\n", "import time\n\nOLD = 1\n")
    seal = hashlib.sha256(body.encode()).hexdigest()[:16]
    lines[first + 1 : last + 1] = [
        body,
        f'"Untouched, what mcp-auth-retrofit wrote has the seal {seal}"\n',
    ]
    entry.write_text("".join(lines))
    assert code(run(entry)) == "inline-outdated"


def test_a_class_of_the_same_name_is_no_guard(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    mine = "class ScalekitAuthMiddleware:\n    def __init__(self, app):\n        pass\n\n\n"
    path.write_text(APP.replace("mcp = Fast", f"{mine}mcp = Fast"))
    text = run(path, "inline").writes[-1].after.decode()
    assert 'app.mount("/mcp", ScalekitScalekitAuthMiddleware(mcp_app))' in text
    path.write_text(path.read_text().replace(", mcp_app)", ", ScalekitAuthMiddleware(mcp_app))"))
    assert code(run(path, "inline")) == "guard-unclear"


def test_every_name_can_be_another() -> None:
    renamed = {name: f"x_{name}" for name in own_names()}
    text = block(renamed)
    compile(text, "block", "exec")
    scope: dict[str, object] = {"__name__": "block", "__file__": __file__}
    exec(text, scope)
    assert set(own_names()) & set(scope) == set()
    assert callable(scope["x_ScalekitAuthMiddleware"])
