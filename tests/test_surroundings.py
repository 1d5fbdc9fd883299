"""What the project's other modules do with the app: read for refusals and for warnings."""

from pathlib import Path

import pytest

from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.results import FileResult

MAIN = "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/a')\ndef a(): ...\n"
FACTORY = "from fastapi import FastAPI\n\n\ndef create():\n    app = FastAPI()\n    return app\n"


def applied(folder: Path, main: str = MAIN, **others: str) -> FileResult:
    (folder / "pyproject.toml").touch()
    for name, text in others.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".py").write_text(text)
    (folder / "main.py").write_text(main)
    return prepare(folder / "main.py", Options())


@pytest.mark.parametrize(
    ("code", "main", "other"),
    [
        ("app-mounted", MAIN, "import main\nouter.mount('/in', main.app)\n"),
        ("app-mounted", MAIN, "from main import app as a\nroutes = [Mount('/in', app=a)]\n"),
        ("app-mounted", MAIN, "from main import app\nb = app\nouter.host('x.example', b)\n"),
        ("app-mounted", FACTORY, "from main import create\nouter.mount('/in', create())\n"),
        ("mcp-elsewhere", MAIN, "from main import app\napp.mount('/mcp', tools)\n"),
        ("mcp-elsewhere", MAIN, "from main import app\nm = FastApiMCP(app)\nm.mount_http()\n"),
        ("mcp-elsewhere", MAIN, "from main import app\nmcp.mount(app, '/tools')\n"),
        (
            "mcp-elsewhere",
            FACTORY,
            "from main import create\nx = create()\nx.add_middleware(MCPMiddleware)\n",
        ),
    ],
)
def test_refused(tmp_path: Path, code: str, main: str, other: str) -> None:
    result = applied(tmp_path, main, pkg__outer=other)
    assert result.reason is not None
    assert result.reason.code == code
    assert "pkg/outer.py, line " in result.reason.message


@pytest.mark.parametrize(
    "other",
    [
        "from elsewhere import app\nouter.mount('/in', app)\n",
        "from main import app\napp.mount('/static', files)\n",
        "from main import app\nclient = TestClient(app)\n",
        "from main import settings as app\nouter.mount('/in', app)\n",
    ],
    ids=["another app", "something mounted on it", "a test client", "another name of it"],
)
def test_harmless(tmp_path: Path, other: str) -> None:
    assert applied(tmp_path, outer=other).status == "changed"


def test_tests_and_examples_do_not_count(tmp_path: Path) -> None:
    mounts = "from main import app\nouter.mount('/in', app)\n"
    assert applied(tmp_path, tests__outer=mounts, test_outer=mounts).status == "changed"


def codes(result: FileResult) -> list[str]:
    return [warning.code for warning in result.warnings]


def test_another_server_of_the_project_is_named(tmp_path: Path) -> None:
    server = "from fastmcp import FastMCP\n\nmcp = FastMCP('Tools')\n"
    result = applied(tmp_path, tools=server)
    (said,) = [w.message for w in result.warnings if w.code == "server-elsewhere"]
    assert said.startswith("tools.py, line 3, makes an MCP server too")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('model_config = SettingsConfigDict(env_file=".env")', True),
        ('model_config = {"env_file": ".env", "env_prefix": "APP_"}', True),
        ('model_config = SettingsConfigDict(env_file=".env", extra="ignore")', False),
        ("class Config:\n        env_file = '.env'\n        extra = 'allow'", False),
        ("# env_file is not used", False),
    ],
)
def test_settings_that_stumble_over_ours(tmp_path: Path, config: str, told: bool) -> None:
    settings = f"class Settings(BaseSettings):\n    {config}\n"
    assert ("dotenv-strict" in codes(applied(tmp_path, config=settings))) is told


@pytest.mark.parametrize(
    ("started", "imported", "command"),
    [
        ('CMD ["uvicorn", "src.main:app"]', b"from src.scalekit_auth import", "src.main:app"),
        ("RUN cd src && uvicorn main:app", b"from scalekit_auth import", "main:app"),
    ],
)
def test_the_helper_is_imported_as_the_project_is_started(
    tmp_path: Path, started: str, imported: bytes, command: str
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "Dockerfile").write_text(started)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(MAIN)
    result = prepare(tmp_path / "src" / "main.py", Options())
    assert imported in result.writes[-1].after
    assert f"uvicorn {command} --port" in (result.run_command or "")
