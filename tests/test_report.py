"""What is printed: a patch that git takes, plain sentences, JSON in its schema."""

import io
import json
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from mcp_auth_retrofit.project.settings import settings
from mcp_auth_retrofit.report import colour, out, text
from mcp_auth_retrofit.report.diff import out_of_reach, patch, top_level
from mcp_auth_retrofit.report.json import render
from mcp_auth_retrofit.report.paths import each_once, shown
from mcp_auth_retrofit.results import Caution, Change, FileResult, Reason, Write

MANY = b"".join(b"line %d\n" % n for n in range(1, 400))


def git(folder: Path, *words: str, data: bytes = b"") -> bytes:
    done = subprocess.run(["git", *words], cwd=folder, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


PAIRS = {
    "one line": (b"a\n", b"b\n"),
    "insert at the start": (b"b\nc\n", b"a\nb\nc\n"),
    "insert at the end": (b"a\nb\n", b"a\nb\nc\n"),
    "delete all": (b"a\nb\n", b""),
    "fill an empty file": (b"", b"a\n"),
    "no final newline, kept": (b"a\nb\nc", b"a\nB\nc"),
    "no final newline, gained": (b"a\nb", b"a\nb\n"),
    "no final newline, lost": (b"a\nb\n", b"a\nb"),
    "no final newline, last line changed": (b"a\nb", b"a\nc"),
    "crlf": (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\nd\r\n"),
    "mixed ends": (b"a\r\nb\nc\r\n", b"a\r\nb\r\nc\r\n"),
    "form feed and bare return": (b"a\n\x0cb\rc\n", b"a\n\x0cB\rc\n"),
    "bom and latin-1": (b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfa\n\xe9\n"),
    "line separators of unicode": ("a\u2028b\x85\n".encode(), "a\u2028B\x85\n".encode()),
    "far apart": (MANY, MANY.replace(b"line 7\n", b"x\ny\n").replace(b"line 391\n", b"")),
    "close together": (MANY, MANY.replace(b"line 100\n", b"").replace(b"line 106\n", b"z\n")),
    "looks like a patch": (b"--- a\n+++ b\n@@ -1 +1 @@\n", b"-- a\n+++ b\n@@ -1 +1 @@\n"),
    "repeated lines": (b"\n" * 300 + b"a\n" + b"\n" * 300, b"\n" * 300 + b"b\n" + b"\n" * 301),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_git_applies_it_and_takes_it_back(repository: Path, pair: tuple[bytes, bytes]) -> None:
    before, after = pair
    path = repository / "main.py"
    path.write_bytes(before)
    made = patch([Write(path, before, after)], repository)
    git(repository, "apply", "--whitespace=nowarn", data=made)
    assert path.read_bytes() == after
    git(repository, "apply", "--whitespace=nowarn", "-R", data=made)
    assert path.read_bytes() == before


def test_an_empty_range_names_the_line_before_it(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    assert b"\n@@ -1,2 +0,0 @@\n" in patch([Write(path, b"a\nb\n", b"")], tmp_path)
    assert b"\n@@ -0,0 +1 @@\n" in patch([Write(path, None, b"a\n")], tmp_path)


@pytest.mark.parametrize("data", [b"a\nb\n", b"a", b"\n", b""])
def test_new_files(repository: Path, data: bytes) -> None:
    git(repository, "apply", data=patch([Write(repository / "a b" / "n", None, data)], repository))
    assert (repository / "a b" / "n").read_bytes() == data
    assert (repository / "a b" / "n").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "name",
    [
        "my file.py",
        "café.py",
        'a"b.py',
        "a\\b.py",
        "a\tb.py",
        "a\nb.py",
        "-x.py",
        " lead.py",
        "'.py",
    ],
)
def test_odd_names(repository: Path, name: str) -> None:
    path = repository / name
    path.write_bytes(b"a\n")
    made = patch([Write(path, b"a\n", b"b\n")], repository)
    git(repository, "apply", data=made)
    assert path.read_bytes() == b"b\n"
    # What git itself prints for the same change, but for its index line.
    git(repository, "add", "-A", "-f")
    path.write_bytes(b"a\n")
    git(repository, "add", "-A", "-f")
    path.write_bytes(b"b\n")
    theirs = git(repository, "diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    assert [line for line in theirs.split(b"\n") if not line.startswith(b"index ")] == made.split(
        b"\n"
    )


def test_undecodable_names(repository: Path) -> None:
    path = repository / "caf\udce9.py"
    path.write_bytes(b"a\n")
    git(repository, "apply", data=patch([Write(path, b"a\n", b"b\n")], repository))
    assert path.read_bytes() == b"b\n"


def test_paths_start_at_the_top_of_the_work_tree(repository: Path) -> None:
    sub = repository / "services" / "api"
    sub.mkdir(parents=True)
    (sub / "main.py").write_bytes(b"a\n")
    writes = [Write(sub / "main.py", b"a\n", b"b\n"), Write(repository / "new.txt", None, b"n\n")]
    made = patch(writes, sub)
    assert b"+++ b/services/api/main.py\n" in made
    git(sub, "apply", data=made)
    assert (sub / "main.py").read_bytes() == b"b\n"
    # git passes over what lies outside the folder it runs in, without a word: hence this.
    assert not (repository / "new.txt").exists()
    assert out_of_reach(writes, sub) == [repository / "new.txt"]
    assert out_of_reach(writes, repository) == []


def test_a_work_tree_inside_another(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    (inner / ".git").write_text("gitdir: elsewhere\n")  # a submodule or a linked work tree
    assert top_level(inner / "app") == inner


def test_outside_any_work_tree(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "main.py").write_bytes(b"a\n")
    (there / "main.py").write_bytes(b"a\n")
    assert b"--- a/main.py\n" in patch([Write(here / "main.py", b"a\n", b"b\n")], here)
    made = patch([Write(there / "main.py", b"a\n", b"b\n")], here)
    assert f"--- a{there}/main.py\n".encode() in made
    # Named from the root, as `git diff --no-index` does.
    git(Path("/"), "apply", "--unsafe-paths", "-p1", data=made)
    assert (there / "main.py").read_bytes() == b"b\n"


def test_a_link_is_followed(repository: Path) -> None:
    (repository / "real.py").write_bytes(b"a\n")
    (repository / "main.py").symlink_to("real.py")
    git(
        repository, "apply", data=patch([Write(repository / "main.py", b"a\n", b"b\n")], repository)
    )
    assert (repository / "real.py").read_bytes() == b"b\n"
    assert (repository / "main.py").is_symlink()


def test_standing_in_a_linked_folder(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(repository)
    (repository / "main.py").write_bytes(b"a\n")
    made = patch([Write(link / "main.py", b"a\n", b"b\n")], link)
    assert made.startswith(b"diff --git a/main.py b/main.py\n")


def test_nothing_changes_nothing(tmp_path: Path) -> None:
    assert patch([Write(tmp_path / "main.py", b"a\n", b"a\n")], tmp_path) == b""


def test_hunks_are_small() -> None:
    made = patch([Write(Path("/x/main.py"), *PAIRS["far apart"])], Path("/x"))
    assert made.count(b"\n@@ ") == 2
    assert made.count(b"\n") < 30


def changed(folder: Path, **more: object) -> FileResult:
    entry = folder / "main.py"
    result = FileResult(
        entry,
        "changed",
        app="app",
        mcp="mcp_app",
        mount_path="/mcp",
        mcp_path="/mcp",
        protect="mcp",
        changes=[Change("mount", 12, "Puts the guard around the MCP mount.")],
        warnings=[Caution("cors", "Browsers are refused.", 9), Caution("general", "Beware.")],
        opened=["/mcp/about"],
        locked=["/mcp"],
        open_routes=3,
        writes=[
            Write(folder / "scalekit_auth.py", None, b"guard = 1\n"),
            Write(folder / "requirements.txt", b"fastapi\n", b"fastapi\nfastmcp>=2.14\n"),
            Write(entry, b"a\n", b"b\n"),
        ],
    )
    for name, value in more.items():
        setattr(result, name, value)
    return result


REASON = Reason("mount-in-loop", "The mount stands in a loop.", "Take it out.", 7)


def test_the_plan_says_all_that_follows(tmp_path: Path) -> None:
    said = "\n".join(text.plan(changed(tmp_path), tmp_path))
    for part in (
        "main.py: puts Scalekit sign-in in front of `mcp_app` at /mcp.",
        "line 12  Puts the guard around the MCP mount.",
        "New file: scalekit_auth.py.",
        "Changed too: requirements.txt.",
        "Begins to answer, to everybody (nothing reached it before): /mcp/about",
        "Begins to need a token: /mcp",
        "3 routes of the app stay open",
        "--protect all",
        "will not start without its settings: SK_ENV_URL, SK_CLIENT_ID, SK_CLIENT_SECRET, "
        "EXPECTED_AUDIENCE, PROTECTED_RESOURCE_METADATA.",
        "Warning, line 9: Browsers are refused. [cors]",
        "Warning: Beware. [general]",
    ):
        assert part in said
    assert "there may be more" not in said
    assert "there may be more" in "\n".join(text.plan(changed(tmp_path, complete=False), tmp_path))


def test_the_plan_for_the_whole_app(tmp_path: Path) -> None:
    said = "\n".join(text.plan(changed(tmp_path, protect="all"), tmp_path))
    assert "in front of the whole app" in said
    assert "stay open" not in said
    one = "\n".join(text.plan(changed(tmp_path, open_routes=1), tmp_path))
    assert "1 route of the app stays open" in one


def test_only_a_file_around_it_changes(tmp_path: Path) -> None:
    said = text.plan(changed(tmp_path, changes=[], warnings=[]), tmp_path)
    assert said[0] == "main.py needs no change itself, but a file around it does."
    assert not any("will not start" in line for line in said)


def test_a_refusal_has_place_reason_and_way_out(tmp_path: Path) -> None:
    refused = FileResult(tmp_path / "main.py", "refused", reason=REASON)
    assert text.failure(refused, tmp_path) == [
        "main.py:7: Refused: The mount stands in a loop. [mount-in-loop]",
        "  Take it out.",
    ]
    nowhere = FileResult(Path(), "error", reason=Reason("no-entrypoint", "None found.", "Name it."))
    assert text.failure(nowhere, tmp_path)[0] == "None found. [no-entrypoint]"


@pytest.mark.parametrize(
    ("mcp_path", "url"),
    [
        ("/mcp", "http://localhost:3002/mcp"),
        ("/mcp/", "http://localhost:3002/mcp"),
        ("/", "http://localhost:3002/"),
        ("/tools/mcp", "http://localhost:3002/tools/mcp"),
    ],
)
def test_next_steps_are_exact(tmp_path: Path, mcp_path: str, url: str) -> None:
    said = text.next_steps([changed(tmp_path, mcp_path=mcp_path, run_command="python x")], tmp_path)
    lines = [line.strip() for line in said]
    assert f"EXPECTED_AUDIENCE={url}" in lines
    prefix = "PROTECTED_RESOURCE_METADATA='"
    document = next(line for line in lines if line.startswith(prefix))[len(prefix) : -1]
    assert json.loads(document) == {
        "authorization_servers": ["https://your-env.scalekit.com/resources/res_..."],
        "bearer_methods_supported": ["header"],
        "resource": url,
    }
    assert document == settings(mcp_path)["PROTECTED_RESOURCE_METADATA"]
    assert "python x" in lines
    inspector = next(line for line in lines if "@modelcontextprotocol/inspector" in line)
    assert inspector.startswith("npx ")
    assert inspector.endswith(f" {url}")


def test_next_steps_without_a_known_command(tmp_path: Path) -> None:
    said = text.next_steps([changed(tmp_path, path=tmp_path / "my app.py")], tmp_path)
    assert "fastapi run 'my app.py' --port 3002" in "\n".join(said)


def test_next_steps_of_several_files_say_which(tmp_path: Path) -> None:
    said = text.next_steps([changed(tmp_path), changed(tmp_path, mcp_path="/b")], tmp_path)
    assert said.count("Next (main.py)") == 2


def test_paths_as_people_read_them(tmp_path: Path) -> None:
    assert shown(tmp_path / "a" / "b.py", tmp_path) == "a/b.py"
    assert shown(Path("./a/../b.py"), tmp_path) == "b.py"
    assert shown(Path("/elsewhere/b.py"), tmp_path) == "/elsewhere/b.py"


def test_shared_files_are_shown_once(tmp_path: Path) -> None:
    first, second = changed(tmp_path), changed(tmp_path, path=tmp_path / "other.py")
    second.writes = [*first.writes[:2], Write(tmp_path / "other.py", b"a\n", b"b\n")]
    once = [[write.path.name for write in own] for own in each_once([first, second])]
    assert once == [["main.py", "requirements.txt", "scalekit_auth.py"], ["other.py"]]
    refused = changed(tmp_path, status="refused")
    assert each_once([refused, first])[0] == []
    assert len(each_once([refused, first])[1]) == 3


def schema() -> dict[str, object]:
    text = files("mcp_auth_retrofit.report").joinpath("apply.schema.json").read_text("utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def test_json_holds_its_schema(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    results = [
        changed(tmp_path),
        changed(tmp_path, path=tmp_path / "two.py", mount_path="/", complete=False, protect="all"),
        FileResult(tmp_path / "three.py", "unchanged", app="app", protect="mcp"),
        FileResult(tmp_path / "four.py", "refused", reason=REASON),
        FileResult(tmp_path / "five.py", "error", reason=Reason("binary", "It is.", "Do not.")),
        FileResult(tmp_path / "six.py", "skipped"),
    ]
    document = json.loads(render(results, tmp_path))
    jsonschema.validate(document, schema())
    assert list(document) == ["version", "files", "summary"]
    assert list(document["files"][0]) == [
        *("path", "status", "app", "mcp", "mount_path", "protect", "state", "changes"),
        *("warnings", "opened", "locked", "complete", "reason", "also", "diff"),
    ]
    assert document["summary"] == {
        "changed": 2,
        "unchanged": 1,
        "refused": 1,
        "error": 1,
        "skipped": 1,
    }
    first = document["files"][0]
    assert first["changes"] == [
        {"transform": "mount", "line": 12, "summary": "Puts the guard around the MCP mount."}
    ]
    assert first["warnings"][1] == {"code": "general", "line": None, "message": "Beware."}
    assert first["also"] == [
        {"path": "requirements.txt", "status": "changed"},
        {"path": "scalekit_auth.py", "status": "created"},
    ]
    assert first["diff"].startswith("diff --git a/main.py b/main.py\n")
    assert document["files"][3]["reason"] == {
        "code": "mount-in-loop",
        "line": 7,
        "message": "The mount stands in a loop.",
        "hint": "Take it out.",
    }


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": "done"},
        {"reason": {"code": "x"}},
        {"extra": 1},
        {"changes": [{"transform": "x", "line": 0, "summary": "y"}]},
        {"protect": "some"},
    ],
)
def test_the_schema_refuses_what_is_wrong(tmp_path: Path, spoil: dict[str, object]) -> None:
    document = json.loads(render([changed(tmp_path)], tmp_path))
    document["files"][0] |= spoil
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_json_is_ascii_whatever_the_file_holds(tmp_path: Path) -> None:
    result = changed(tmp_path, writes=[Write(tmp_path / "main.py", b"\xe9\n", "é\n".encode())])
    said = render([result], tmp_path)
    assert said.isascii()
    assert "+é" in json.loads(said)["files"][0]["diff"]


def test_colour_takes_nothing_for_markup() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard", width=20)
    colour.print_patch(
        "diff --git a/x b/x\n@@ -1 +1 @@\n-a: List[int]\n+b: [red]x[/red]\n", console
    )
    said = screen.getvalue()
    assert "-a: List[int]" in said
    assert "+b: [red]x[/red]" in said
    assert "\x1b[31m-a" in said
    assert "\x1b[32m+b" in said


def test_colour_never_breaks_a_line() -> None:
    screen = io.StringIO()
    colour.print_patch(f"+{'x ' * 200}y\n", Console(file=screen, width=20))
    assert screen.getvalue().count("\n") == 1


def test_a_source_does_not_steer_the_terminal() -> None:
    assert out.without_controls("+a\x1b[2J\tb\r") == "+a\\x1b[2J\tb\\x0d"


def test_text_survives_a_narrow_encoding() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    out.say("café \udce9", stream)
    assert raw.getvalue() == b"caf\\xe9 \\udce9\n"
