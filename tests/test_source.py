"""Reading a file: what Python can run is read as it is, the rest is refused with a reason."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_auth_retrofit.results import Refused, Unusable
from mcp_auth_retrofit.source import load, parse

HERE = Path("main.py")


def unusable(data: bytes) -> tuple[str, int | None, str]:
    with pytest.raises(Unusable) as caught:
        parse(HERE, data)
    reason = caught.value.reason
    assert reason.hint
    return reason.code, reason.line, reason.message


def refused(data: bytes) -> tuple[str, int | None]:
    with pytest.raises(Refused) as caught:
        parse(HERE, data)
    assert caught.value.reason.hint
    return caught.value.reason.code, caught.value.reason.line


@pytest.mark.parametrize(
    ("data", "encoding", "newline"),
    [
        (b"x = 1\n", "utf-8", "\n"),
        (b"x = 1", "utf-8", "\n"),
        (b"\xef\xbb\xbfx = 1\r\n", "utf-8-sig", "\r\n"),
        ("x = 'é'\n".encode(), "utf-8", "\n"),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", "iso-8859-1", "\n"),
        ("# coding: shift_jis\nx = 'ソ'\n".encode("shift_jis"), "shift_jis", "\n"),
        (b"a = 1\r\nb = 2\r\nc = 3\n", "utf-8", "\r\n"),
        (b"a = 1\r\nb = 2\nc = 3\n", "utf-8", "\n"),
        (b"if 1:\n\tx = 1\n\x0c\ny = 2\n", "utf-8", "\n"),
    ],
)
def test_what_python_runs_is_read(data: bytes, encoding: str, newline: str) -> None:
    source = parse(HERE, data)
    assert (source.encoding, source.newline) == (encoding, newline)
    assert source.data == data
    assert source.bom is (encoding == "utf-8-sig")
    assert ast.dump(source.tree) == ast.dump(ast.parse(data))


def test_load_keeps_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    source = load(path)
    assert source.path == path
    assert source.data == b"\xef\xbb\xbfx = 1\r\n"


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"x = 1\ny = '\0'\n", "binary", 2),
        ("x = 1\n".encode("utf-16"), "undecodable", None),
        (b"x = 1\n\n\ny = '\xe9'\n", "undecodable", 4),
        (b"x = '\xe9'\n", "undecodable", 1),
        ("# coding: ascii\nx = 'é'\n".encode(), "undecodable", 2),
        (b"# coding: klingon\nx = 1\n", "unknown-encoding", None),
        (b"# coding: rot13\nx = 1\n", "unknown-encoding", None),
        (b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", "unknown-encoding", None),
        (b"def f(:\n    pass\n", "syntax", 1),
        (b"x = 1\n  y = 2\n", "syntax", 2),
        (b"x = " + b"(" * 300 + b")" * 300, "too-deeply-nested", 1),
        (b"x = " + b"not " * 20_000 + b"1\n", "too-deeply-nested", None),
        (b"x = 1" + b" + 1" * 20_000 + b"\n", "too-deeply-nested", None),
    ],
)
def test_what_python_cannot_run(data: bytes, code: str, line: int | None) -> None:
    assert unusable(data)[:2] == (code, line)


def test_a_syntax_error_says_where_and_what() -> None:
    assert "line 2, column 5" in unusable(b"x = 1\ny = (\n")[2]


def test_an_undecodable_byte_is_named() -> None:
    message = unusable(b"# coding: ascii\nx = '\xe9'\n")[2]
    assert "0xE9" in message
    assert "ascii" in message


NEWER = [
    ((3, 15), b"lazy import json\n"),
    ((3, 14), b"try:\n    pass\nexcept OSError, ValueError:\n    pass\n"),
    ((3, 14), b"x = t'{name}'\n"),
    ((3, 13), b"class Box[T = int]:\n    pass\n"),
    ((3, 12), b"class Box[T]:\n    pass\n"),
    ((3, 12), b"async def first[T: list[int]](xs: T) -> T:\n    ...\n"),
    ((3, 12), b"type Names = list[str]\n"),
    ((3, 12), b"x = f'{names['first']}'\n"),
    ((3, 12), b"x = f'{names[0]}?{\n    names[1]\n}'\n"),
    ((3, 12), b'x = f"{sep.join(a)}{"\\n".join(b)}"\n'),
]


@pytest.mark.parametrize(("version", "data"), NEWER)
def test_newer_syntax_says_so(version: tuple[int, int], data: bytes) -> None:
    if sys.version_info >= version:  # then it is no error at all
        assert parse(HERE, data).data == data
        return
    code, _, message = unusable(data)
    assert code == "newer-syntax"
    assert "It reads like Python {}.{}".format(*version) in message


@pytest.mark.parametrize(
    "data",
    [b"print 'hello'\n", b"x = f'{a' \n", b"x = f'{a} 'b'\n", b"type = = 1\n", b"def f[\n"],
)
def test_plain_mistakes_are_not_called_newer(data: bytes) -> None:
    assert unusable(data)[0] == "syntax"


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "empty-file", None),
        (b"\n  \n", "empty-file", None),
        (b"\xef\xbb\xbf", "empty-file", None),
        (b"x = 1\ry = 2\r", "carriage-return", 1),
        (b"x = 1\ny = 2\rz = 3\n", "carriage-return", 2),
        (b"x = 1\r\r\ny = 2\r\n", "carriage-return", 1),
    ],
)
def test_readable_but_left_alone(data: bytes, code: str, line: int | None) -> None:
    assert refused(data) == (code, line)


@pytest.mark.parametrize("name", ["nowhere.py", "file.py/main.py", "link.py", "loop.py"])
def test_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.py").write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to("gone.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    with pytest.raises(Unusable) as caught:
        load(tmp_path / name)
    assert caught.value.reason.code == ("unreadable" if name == "loop.py" else "missing-path")
    assert ("a link to" in caught.value.reason.message) == (name == "link.py")


def test_a_directory_names_its_entrypoint(tmp_path: Path) -> None:
    with pytest.raises(Unusable) as caught:
        load(tmp_path)
    assert caught.value.reason.code == "is-a-directory"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("x = 1\n")
    with pytest.raises(Unusable) as caught:
        load(tmp_path)
    assert str(tmp_path / "app" / "main.py") in caught.value.reason.hint


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "main.py")
    with pytest.raises(Unusable) as caught:
        load(tmp_path / "main.py")
    assert caught.value.reason.code == "not-a-file"


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "main.py"
    path.write_text("x = 1\n")

    def deny(_: Path) -> bytes:  # root may read everything, so a mode would not do
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(Unusable) as caught:
        load(path)
    assert caught.value.reason.code == "unreadable"
    assert "Permission denied" in caught.value.reason.message


def test_a_name_with_a_null_byte() -> None:
    with pytest.raises(Unusable) as caught:
        load(Path("ma\0in.py"))
    assert caught.value.reason.code == "unreadable"


def test_the_users_warnings_are_not_ours_to_print(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_bytes(b"x = '\\d'\ny = 1 is 1\n")
    code = (
        "import sys; from pathlib import Path; from mcp_auth_retrofit.source import load; "
        "load(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, path], capture_output=True, check=True
    )
    assert done.stderr == b""
