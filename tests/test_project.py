"""Files around the entrypoint: only what is missing is added, in the file's own style."""

import difflib
import io
import json
import shutil
import tomllib
from pathlib import Path

import pytest
from dotenv import dotenv_values

from harness.cases import FIXTURES
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.project import plan_project, project_writes, settings
from mcp_auth_retrofit.project.files import project_root
from mcp_auth_retrofit.project.names import NEEDED, missing, name_of, too_old

NAMES = (
    "PORT",
    "SK_ENV_URL",
    "SK_CLIENT_ID",
    "SK_CLIENT_SECRET",
    "EXPECTED_AUDIENCE",
    "PROTECTED_RESOURCE_METADATA",
)
ALL = "".join(f"{name}=x\n" for name in NAMES)


def lay_out(root: Path, **files: str | bytes) -> Path:
    """A project; `_` in a keyword stands for the dot before a suffix. The entrypoint's path."""
    names = {
        "env": ".env.example",
        "requirements": "requirements.txt",
        "pyproject": "pyproject.toml",
    }
    root.mkdir(parents=True, exist_ok=True)
    for key, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (root / names[key]).write_bytes(data)
    (root / "main.py").write_text("x = 1\n")
    return root / "main.py"


def written(entry: Path, mcp_path: str = "/mcp") -> dict[str, bytes]:
    """What would be written, by file name; it must then be done for good."""
    writes = project_writes(entry, mcp_path)
    for write in writes:
        assert write.before == (write.path.read_bytes() if write.path.exists() else None)
        write.path.write_bytes(write.after)
    assert project_writes(entry, mcp_path) == []
    for write in writes:
        if write.before is None:
            write.path.unlink()
        else:
            write.path.write_bytes(write.before)
    return {write.path.name: write.after for write in writes}


def codes(entry: Path, mcp_path: str = "/mcp") -> list[str]:
    return [caution.code for caution in plan_project(entry, mcp_path).cautions]


def removed(before: bytes, after: bytes) -> list[str]:
    """Lines of the old file that the new one has not."""
    old = before.decode("latin-1").splitlines(keepends=True)
    new = after.decode("latin-1").splitlines(keepends=True)
    return [line for line in difflib.ndiff(old, new) if line.startswith("- ")]


# .env.example


def test_env_example_is_made(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, requirements="fastapi\n")
    made = written(entry)[".env.example"]
    values = dotenv_values(stream=io.StringIO(made.decode()))
    assert tuple(values) == NAMES
    assert values["PORT"] == "3002"
    assert values["SK_ENV_URL"] == "https://your-env.scalekit.com"
    assert values["EXPECTED_AUDIENCE"] == "http://localhost:3002/mcp"
    metadata = json.loads(values["PROTECTED_RESOURCE_METADATA"] or "")
    assert metadata["resource"] == "http://localhost:3002/mcp"
    assert all(metadata.values())


def test_the_default_at_the_root() -> None:
    assert settings("/")["EXPECTED_AUDIENCE"] == "http://localhost:3002/"


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\n",
        b'# Tickets\nDATABASE_URL="sqlite:///t.db"   # local\n',
        b"A=1\n\n",
        b"A=1",
        b"A=1\r\nB='2'\r\n",
        b"A=1\r\nB=2",
        b"\xef\xbb\xbfA=1\n",
        b"A=\xe9\n",
        b"export SK_CLIENT_ID=mine\nPORT = 8000\n",
        b"SK_ENV_URL\n",
        b'KEY="-----BEGIN\nPORT=not a name\n-----END"\nSK_ENV_URL=y\n',
        b"# PORT=8000\n",
    ],
)
def test_env_example_keeps_what_is_there(tmp_path: Path, before: bytes) -> None:
    entry = lay_out(tmp_path, env=before, requirements="\n".join(NEEDED))
    after = written(entry)[".env.example"]
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    assert after.startswith(before)
    assert after.endswith(newline) == (not before or before.endswith(b"\n"))
    assert (b"\r\n" in after) == (b"\r\n" in before)
    assert after.count(b"\n") == after.count(newline)
    text = after.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    values = dotenv_values(stream=io.StringIO(text))
    assert set(NAMES) <= set(values)
    for name, value in dotenv_values(stream=io.StringIO(text[: len(before)])).items():
        assert values[name] == value
    for name in NAMES:
        lines = [line for line in text.splitlines() if line.startswith((name, f"export {name}"))]
        assert len(lines) == 1 + (b"PORT=not a name" in before and name == "PORT")


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    before = b"OPEN='never closed\nPORT=8000\n"
    entry = lay_out(tmp_path, env=before, requirements="\n".join(NEEDED))
    after = written(entry)[".env.example"]
    assert after.startswith(before)
    assert after.count(b"PORT=") == 1


@pytest.mark.parametrize("before", [ALL, ALL.replace("=x", ""), ALL.replace("=x", "=")])
def test_a_complete_env_example_is_left_alone(tmp_path: Path, before: str) -> None:
    entry = lay_out(tmp_path, env=before, requirements="\n".join(NEEDED))
    assert written(entry) == {}


def test_utf_16_is_left_alone(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env="A=1\n".encode("utf-16"), requirements="\n".join(NEEDED))
    assert written(entry) == {}


def test_env_is_never_touched_nor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = lay_out(tmp_path, requirements="fastapi\n")
    (tmp_path / ".env").write_text("SK_CLIENT_SECRET=deadly\n")
    read = Path.read_bytes

    def guarded(self: Path) -> bytes:
        assert self.name != ".env"
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", guarded)
    writes = project_writes(entry, "/mcp")
    assert {write.path.name for write in writes} == {"requirements.txt", ".env.example"}
    assert not any(b"deadly" in write.after for write in writes)


def test_an_audience_of_another_path_is_pointed_out(tmp_path: Path) -> None:
    lines = ALL.replace("EXPECTED_AUDIENCE=x", "EXPECTED_AUDIENCE=http://localhost:3002/mcp")
    entry = lay_out(tmp_path, env=lines, requirements="\n".join(NEEDED))
    assert codes(entry, "/mcp") == []
    assert codes(entry, "/mcp/") == []
    assert codes(entry, "/tools") == ["audience-differs"]
    (tmp_path / ".env.example").write_text(lines.replace("localhost:3002", "tools.example"))
    assert codes(entry, "/tools") == []


# Where the project begins


@pytest.mark.parametrize("mark", ["pyproject.toml", "requirements.txt", ".git"])
def test_the_nearest_mark_is_the_root(tmp_path: Path, mark: str) -> None:
    (tmp_path / "requirements.txt").write_text("flask\n")
    inner = tmp_path / "service"
    entry = lay_out(inner / "app")
    (inner / mark).touch()
    assert project_root(entry) == inner
    written(entry)
    assert {write.path.parent for write in project_writes(entry, "/mcp")} == {inner}


def test_without_a_mark_the_entrypoints_folder(tmp_path: Path) -> None:
    entry = lay_out(tmp_path / "app")
    writes = plan_project(entry, "/mcp").writes
    assert [write.path for write in writes] == [tmp_path / "app" / ".env.example"]
    assert codes(entry) == ["requirements"]


def test_an_env_example_nearer_than_the_root_is_used(tmp_path: Path) -> None:
    entry = lay_out(tmp_path / "app", env="A=1\n")
    (tmp_path / ".git").mkdir()
    assert [w.path for w in project_writes(entry, "/mcp")] == [tmp_path / "app" / ".env.example"]


# requirements.txt


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{0}\n{1}\n{2}\n"),
        ("fastapi\n", "fastapi\n{0}\n{1}\n{2}\n"),
        ("fastapi", "fastapi\n{0}\n{1}\n{2}"),
        ("fastapi\r\nhttpx\r\n", "fastapi\r\n{0}\r\nhttpx\r\n{1}\r\n{2}\r\n"),
        ("Flask\nfastapi\n", "Flask\nfastapi\n{0}\n{1}\n{2}\n"),
        ("anyio\nFastAPI\npydantic\nzope\n", "anyio\nFastAPI\n{0}\npydantic\n{1}\n{2}\nzope\n"),
        (
            "# web\nfastapi\n\n# db\nsqlalchemy\n",
            "# web\nfastapi\n\n# db\nsqlalchemy\n{0}\n{1}\n{2}\n",
        ),
        ("fastapi  # web\nuvicorn\n", "fastapi  # web\n{0}\n{1}\nuvicorn\n"),
        (
            "fastapi >= 0.1\nuvicorn >= 1\n",
            "fastapi >= 0.1\nfastmcp >= 2.14\nscalekit-sdk-python >= 2.4\nuvicorn >= 1\n",
        ),
        ("fastapi[standard]>=0.1\n", "fastapi[standard]>=0.1\n{0}\n{1}\n"),
        ("fastapi\ngunicorn\n", "fastapi\n{0}\ngunicorn\n{1}\n"),
        (
            "Fast_MCP\nfastapi\nScalekit.SDK_Python[x]>=2.4; os_name>'a'\nuvicorn\n",
            "Fast_MCP\nfastapi\n{0}\nScalekit.SDK_Python[x]>=2.4; os_name>'a'\nuvicorn\n",
        ),
        (
            "fastmcp @ git+https://x.example/f@v3\nuvicorn\n",
            "fastmcp @ git+https://x.example/f@v3\n{1}\nuvicorn\n",
        ),
        (
            "-e git+https://x.example/f.git#egg=fastmcp\nuvicorn\n",
            "-e git+https://x.example/f.git#egg=fastmcp\nuvicorn\n{1}\n",
        ),
        (
            "./wheels/fastmcp-4.1-py3-none-any.whl\nuvicorn\n",
            "./wheels/fastmcp-4.1-py3-none-any.whl\n{1}\nuvicorn\n",
        ),
        ("# fastmcp\nfastapi\nuvicorn\n", "# fastmcp\nfastapi\n{0}\n{1}\nuvicorn\n"),
        ("fastapi \\\n  >=0.1\nuvicorn\n", "fastapi \\\n  >=0.1\n{0}\n{1}\nuvicorn\n"),
        (
            "--index-url https://x.example\nfastapi\n",
            "--index-url https://x.example\nfastapi\n{0}\n{1}\n{2}\n",
        ),
        ("\ufefffastapi\nuvicorn\n", "\ufefffastapi\n{0}\n{1}\nuvicorn\n"),
    ],
)
def test_requirements_txt(tmp_path: Path, before: str, after: str) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements=before)
    assert written(entry)["requirements.txt"].decode() == after.format(*NEEDED)


def test_requirements_that_are_all_there(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements="uvicorn\nfastmcp==4.1\nscalekit-sdk-python\n")
    assert written(entry) == {}
    assert codes(entry) == []


def test_included_files_count(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements="-r base.txt\n--requirement=web.txt  # more\n")
    (tmp_path / "base.txt").write_text("fastmcp\n-r requirements.txt\n-r gone.txt\n")
    (tmp_path / "web.txt").write_text("uvicorn\n")
    assert written(entry)["requirements.txt"].decode().splitlines()[2:] == [NEEDED[1]]


def test_utf_16_requirements(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements="fastapi\r\nuvicorn\r\n".encode("utf-16"))
    after = written(entry)["requirements.txt"].decode("utf-16")
    assert after == f"fastapi\r\n{NEEDED[0]}\r\n{NEEDED[1]}\r\nuvicorn\r\n"


@pytest.mark.parametrize(
    "before",
    [
        "# This file is autogenerated by pip-compile with Python 3.11\nfastapi==0.130.1\n",
        "# This file was autogenerated by uv via the following command:\nfastapi==0.130.1\n",
        "fastapi==0.130.1 \\\n    --hash=sha256:00\n",
    ],
)
def test_a_generated_file_is_not_written(tmp_path: Path, before: str) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements=before)
    assert written(entry) == {}
    assert codes(entry) == ["requirements"]
    (tmp_path / "requirements.in").write_text("fastapi\n")
    assert list(written(entry)) == ["requirements.in"]


def test_cautions_about_versions(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements="fastapi==0.1\nfastmcp==2.3.4\n")
    assert codes(entry) == ["old-requirement", "old-requirement", "unpinned-requirement"]


@pytest.mark.parametrize("listed", ["mcp", "fastapi-mcp", ""])
def test_a_server_of_the_official_sdk_needs_no_fastmcp(tmp_path: Path, listed: str) -> None:
    entry = lay_out(tmp_path, env=ALL, requirements=f"fastapi\n{listed}\nuvicorn\n")
    (write,) = plan_project(entry, "/mcp", fastmcp=False).writes
    lines = [line for line in write.after.decode().splitlines() if line]
    assert sorted(lines) == sorted(filter(None, ["fastapi", listed, "uvicorn", NEEDED[1]]))


@pytest.mark.parametrize(
    ("case", "needed"),
    [("official_sdk", False), ("official_sdk_1", False), ("fastapi_mcp", False), ("bare", True)],
)
def test_fastmcp_is_required_where_a_server_is_its(tmp_path: Path, case: str, needed: bool) -> None:
    lay_out(tmp_path, requirements="fastapi\n")
    entry = Path(shutil.copy(FIXTURES / case / "before.py", tmp_path / "main.py"))
    writes = prepare(entry, Options()).writes
    (after,) = [write.after for write in writes if write.path.name == "requirements.txt"]
    assert (NEEDED[0] in after.decode()) is needed


# pyproject.toml


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('["fastapi", "uvicorn"]', '["fastapi", "{0}", "{1}", "uvicorn"]'),
        ('["uvicorn", "fastapi"]', '["uvicorn", "fastapi", "{0}", "{1}"]'),
        ('["uvicorn", "fastapi",]', '["uvicorn", "fastapi", "{0}", "{1}",]'),
        ('[ "uvicorn" ]', '[ "uvicorn", "{0}", "{1}" ]'),
        ("['uvicorn']", "['uvicorn', '{0}', '{1}']"),
        ('["uvicorn >= 1"]', '["uvicorn >= 1", "fastmcp >= 2.14", "scalekit-sdk-python >= 2.4"]'),
        (
            '[\n  "fastapi",\n  "uvicorn",\n]',
            '[\n  "fastapi",\n  "{0}",\n  "{1}",\n  "uvicorn",\n]',
        ),
        ('[\n\t"uvicorn"\n]', '[\n\t"uvicorn",\n\t"{0}",\n\t"{1}"\n]'),
        (
            "[\n  'uvicorn'  # run\n  # the end\n]",
            "[\n  'uvicorn',  # run\n  '{0}',\n  '{1}'\n  # the end\n]",
        ),
        (
            '[\n  # web\n  "fastapi",\n  "uvicorn",\n  # db\n  "zodb",\n]',
            '[\n  # web\n  "fastapi",\n  "uvicorn",\n  # db\n  "zodb",\n  "{0}",\n  "{1}",\n]',
        ),
        ('["uvicorn",\n  "fastapi"]', '["uvicorn",\n  "fastapi",\n  "{0}",\n  "{1}"]'),
        ('["uvicorn",\n  "fastapi",]', '["uvicorn",\n  "fastapi",\n  "{0}",\n  "{1}",]'),
        ("[]", '[\n    "{0}",\n    "{1}",\n    "{2}",\n]'),
        ("[\n]", '[\n    "{0}",\n    "{1}",\n    "{2}",\n]'),
        ("[\n  # none\n]", '[\n  # none\n    "{0}",\n    "{1}",\n    "{2}",\n]'),
        (
            "[\"uvicorn[standard]>=0.3; os_name > '3'\"]",
            '["uvicorn[standard]>=0.3; os_name > \'3\'", "{0}", "{1}"]',
        ),
        ('["fastapi[standard]"]', '["fastapi[standard]", "{0}", "{1}"]'),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_pyproject(tmp_path: Path, before: str, after: str, newline: str) -> None:
    frame = (
        '[build-system]\nrequires = ["hatchling"]\n\n[project]\nname = "x"  # mine\n'
        'dependencies = {}\n\n[project.optional-dependencies]\ndependencies = ["uvicorn"]\n'
    )
    old = frame.format(before).replace("\n", newline).encode()
    new = frame.format(after.format(*NEEDED)).replace("\n", newline).encode()
    entry = lay_out(tmp_path, env=ALL, pyproject=old)
    assert written(entry)["pyproject.toml"] == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[project]\nname = "x"\n\n[tool.x]\n',
            '[project]\nname = "x"\ndependencies = ["{0}", "{1}", "{2}"]\n\n[tool.x]\n',
        ),
        (
            '[tool.poetry]\nname = "x"\n\n[tool.poetry.dependencies]\nfastapi = "^0.1"\n'
            'Uvicorn = {{extras = ["standard"], version = "^0.3"}}\n\n[tool.x]\n',
            '[tool.poetry]\nname = "x"\n\n[tool.poetry.dependencies]\nfastapi = "^0.1"\n'
            'Uvicorn = {{extras = ["standard"], version = "^0.3"}}\nfastmcp = ">=2.14"\n'
            'scalekit-sdk-python = ">=2.4"\n\n[tool.x]\n',
        ),
        (
            '[tool.poetry.dependencies]\nfastapi = {{extras = ["standard"]}}\n',
            '[tool.poetry.dependencies]\nfastapi = {{extras = ["standard"]}}\nfastmcp = ">=2.14"\n'
            'scalekit-sdk-python = ">=2.4"\n',
        ),
        (
            'project.name = "x"\nproject.dependencies = ["uvicorn"]\n',
            'project.name = "x"\nproject.dependencies = ["uvicorn", "{0}", "{1}"]\n',
        ),
    ],
)
def test_other_shapes_of_pyproject(tmp_path: Path, before: str, after: str) -> None:
    entry = lay_out(tmp_path, env=ALL, pyproject=before.format())
    assert written(entry)["pyproject.toml"].decode() == after.format(*NEEDED)


def test_a_list_of_the_same_name_elsewhere_is_not_taken(tmp_path: Path) -> None:
    before = (
        '[tool.x]\ndependencies = ["uvicorn"]\n[project]\nname = "x"\ndependencies = ["uvicorn"]\n'
    )
    entry = lay_out(tmp_path, env=ALL, pyproject=before)
    document = tomllib.loads(written(entry)["pyproject.toml"].decode())
    assert document["tool"]["x"]["dependencies"] == ["uvicorn"]
    assert document["project"]["dependencies"] == ["uvicorn", *NEEDED[:2]]


def test_what_cannot_be_added_is_said(tmp_path: Path) -> None:
    before = '[project]\nname = "x"\ndependencies = ["uvicorn", {a = 1}]\n'
    entry = lay_out(tmp_path, env=ALL, pyproject=before)
    assert written(entry) == {}
    assert codes(entry) == ["requirements"]


@pytest.mark.parametrize(
    ("pyproject", "requirements", "taken"),
    [
        ('[project]\nname = "x"\ndependencies = ["fastapi"]\n', "fastapi\n", "pyproject.toml"),
        ('[project]\nname = "x"\ndependencies = []\n', "fastapi\n", "requirements.txt"),
        ('[project]\nname = "x"\ndependencies = ["httpx"]\n', "", "pyproject.toml"),
        ('[project]\nname = "x"\ndynamic = ["dependencies"]\n', "x\n", "requirements.txt"),
        ("[tool.ruff]\n", "fastapi\n", "requirements.txt"),
        ("not toml", "fastapi\n", "requirements.txt"),
    ],
)
def test_where_requirements_live(
    tmp_path: Path, pyproject: str, requirements: str, taken: str
) -> None:
    entry = lay_out(tmp_path, env=ALL, pyproject=pyproject, requirements=requirements)
    assert list(written(entry)) == [taken]


def test_a_lock_file_is_pointed_out(tmp_path: Path) -> None:
    entry = lay_out(tmp_path, env=ALL, pyproject='[project]\nname="x"\ndependencies=["fastapi"]\n')
    (tmp_path / "uv.lock").touch()
    assert codes(entry) == ["lock-file"]


def test_every_old_line_stays(tmp_path: Path) -> None:
    """This project's own pyproject.toml, whole, less what is asked for."""
    own = (Path(__file__).parents[1] / "pyproject.toml").read_bytes()
    entry = lay_out(tmp_path, env=ALL, pyproject=own)
    after = written(entry)["pyproject.toml"]
    assert removed(own, after) == []
    assert tomllib.loads(after.decode())["project"]["dependencies"] == sorted(
        [*tomllib.loads(own.decode())["project"]["dependencies"], *NEEDED]
    )


# Names


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("fastmcp", "fastmcp"),
        ("Fast_MCP.x>=1", "fast-mcp-x"),
        ("a[b,c] ~= 1 ; python_version < '4'", "a"),
        ("a@ https://x.example/a.zip", "a"),
        ("git+https://x.example/a.git#subdirectory=p&egg=Real_Name", "real-name"),
        ("https://x.example/scalekit_sdk_python-2.21.0-py3-none-any.whl", "scalekit-sdk-python"),
        ("-r base.txt", None),
        ("--hash=sha256:0", None),
        ("-e .", None),
        ("./local", None),
        ("https://x.example/a.zip", None),
        ("", None),
    ],
)
def test_name_of(line: str, name: str | None) -> None:
    assert name_of(line) == name


def test_what_is_missing_and_what_is_too_old() -> None:
    assert missing({}) == list(NEEDED)
    assert missing({"fastmcp": "fastmcp", "hypercorn": "hypercorn"}) == [NEEDED[1]]
    assert too_old({"fastmcp": "fastmcp==2.13.9  # old"}) == [("fastmcp==2.13.9", NEEDED[0])]
    for server in ("fastapi[standard]", "fastapi [x, standard] >=0.1", "fastapi[all]"):
        assert missing({"fastapi": server}) == list(NEEDED[:2])
    assert missing({"fastapi": "fastapi[orjson]"}) == list(NEEDED)
    assert too_old({"mcp": "mcp==1.27.2"}) == [("mcp==1.27.2", "mcp>=1.28")]
    for fine in ("fastmcp==2.14", "fastmcp===3.0", "fastmcp>=2", "fastmcp", "fastmcp<3"):
        assert too_old({"fastmcp": fine}) == []
