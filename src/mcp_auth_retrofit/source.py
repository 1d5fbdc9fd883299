"""A file's bytes, and what Python makes of them. Standard library only."""

import ast
import io
import stat
import sys
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from mcp_auth_retrofit.discover import conventional_in
from mcp_auth_retrofit.newer_syntax import needed_version
from mcp_auth_retrofit.results import Reason, Refused, Unusable

BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_AS_UTF8 = "Save the file as UTF-8, then run this again."


@dataclass(frozen=True, eq=False)
class Source:
    """One Python file, read and parsed."""

    path: Path
    data: bytes
    encoding: str
    """As Python names it: `utf-8`, `utf-8-sig` with a BOM, or what the coding line says."""
    newline: str
    """The line end that most lines have."""
    tree: ast.Module

    @property
    def bom(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self.data.startswith(BOM)


def load(path: Path) -> Source:
    """Reads and parses one file.

    Raises Unusable when it can't be read as Python, Refused when it can but is left alone (empty,
    or lines that end in a bare carriage return).
    """
    return parse(path, read_bytes(path))


def parse(path: Path, data: bytes) -> Source:
    """What `load` makes of a file's bytes. Raises as `load` does."""
    encoding = _encoding(data)
    if not data.removeprefix(BOM).strip():
        raise Refused(
            Reason(
                "empty-file",
                "The file is empty.",
                "Name the file that makes the FastAPI app, or start with "
                "`mcp-auth-retrofit new DIRECTORY`.",
            )
        )
    _refuse_bare_returns(data)
    pairs = data.count(b"\r\n")
    newline = "\r\n" if pairs * 2 > data.count(b"\n") else "\n"
    return Source(path, data, encoding, newline, _tree(data, encoding))


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises Unusable, in plain words, when they can't be had."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _directory(path)
        if not stat.S_ISREG(mode):  # a pipe would block, a device may never end
            raise _unusable("not-a-file", "This is no regular file.", "Name a Python file.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        message = "There is no such file."
        if path.is_symlink():
            message = "This is a link to a file that is not there."
        raise _unusable("missing-path", message, "Check the path.") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        raise _unusable(
            "unreadable",
            f"The file cannot be read: {said or 'the path is not valid'}.",
            "Check the path and its permissions.",
        ) from None


def _directory(path: Path) -> Unusable:
    names = conventional_in(path)
    hint = "Name the file that makes the FastAPI app."
    if names:
        hint = f"Name the entrypoint itself, here perhaps {path / names[0]}."
    return _unusable("is-a-directory", "This is a directory, not a file.", hint)


def _encoding(data: bytes) -> str:
    if data.startswith(_WIDE_BOMS):
        raise _unusable("undecodable", "The file is UTF-16, which Python does not run.", _AS_UTF8)
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise _unusable(
            "binary", "The file is binary: it has null bytes.", "Name a Python file.", line
        )
    encoding = _named_encoding(data)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        says = "which the coding line names"
        if encoding.startswith("utf-8"):
            says = "and nothing at the top of the file names another encoding"
        raise _unusable(
            "undecodable",
            f"The byte 0x{data[error.start]:02X} on this line is not valid {encoding}, {says}.",
            "Save the file as UTF-8, or name its real encoding in a coding line at the top.",
            data.count(b"\n", 0, error.start) + 1,
        ) from None
    except LookupError:
        raise _bad_cookie(f"The coding line names {encoding}, which is no text encoding.") from None
    return encoding


def _named_encoding(data: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        said = error.msg or ""
    if said.startswith("unknown encoding"):
        name = said.rpartition(": ")[2]
        raise _bad_cookie(f"The coding line names {name}, which Python does not know.")
    if data.startswith(BOM):
        raise _bad_cookie("The coding line does not fit the UTF-8 byte order mark before it.")
    return "utf-8"  # no coding line, and a first line that is not UTF-8: decoding says which byte


def _bad_cookie(message: str) -> Unusable:
    return _unusable(
        "unknown-encoding", message, "Correct the coding line, or save the file as UTF-8."
    )


def _refuse_bare_returns(data: bytes) -> None:
    bare = data.replace(b"\r\n", b"\n\n").find(b"\r")
    if bare < 0:
        return
    line = data.count(b"\n", 0, bare) + 1
    if b"\n" not in data:
        message = "Its lines end in a bare carriage return, as on the first Macintosh."
    else:
        message = "This line holds a bare carriage return, which Python takes for a line end."
    raise Refused(
        Reason("carriage-return", message, "Save the file with LF or CRLF line ends.", line)
    )


def _tree(data: bytes, encoding: str) -> ast.Module:
    """ast gets bytes: BOM and coding line are its business."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user's own, said again whenever Python compiles
            return ast.parse(data)
    except SyntaxError as error:
        raise _syntax(error, data.decode(encoding)) from None
    except (RecursionError, MemoryError):
        raise too_deeply_nested() from None
    except ValueError:
        raise _unusable("syntax", "Python cannot parse the file.", "Correct the file.") from None


def too_deeply_nested(line: int | None = None) -> Unusable:
    """Also for a tree that ast could build and a later step could not walk."""
    return _unusable(
        "too-deeply-nested",
        "An expression or block is nested too deeply to be read.",
        "Break it up, for instance by giving its parts names.",
        line,
    )


def comments(data: bytes) -> list[tuple[int, str]]:
    """(line, text) of every comment of a file that parses."""
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]


def _syntax(error: SyntaxError, text: str) -> Unusable:
    said, line = (error.msg or "invalid syntax").rstrip(".?"), error.lineno
    if said.startswith("too many"):  # nested parentheses, levels of indentation, statically nested
        return too_deeply_nested(line)
    where = f"line {line}, column {error.offset}: " if line and error.offset else ""
    if line and _is_recipes(text.splitlines()[line - 1 : line]):
        return _unusable(
            "recipe-syntax",
            f"Line {line} is the published recipe's own, and its f-string is not closed.",
            "Type the missing ' in front of the last brace, so that the line ends in "
            '}"\'} as in f\'Bearer realm="OAuth", resource_metadata="{URL}"\'}; then run this '
            "again.",
            line,
        )
    version = needed_version(text, line or 1, said)
    if version:
        ours = "{}.{}".format(*sys.version_info)
        return _unusable(
            "newer-syntax",
            f"This is not valid Python {ours}: {where}{said}. It reads like Python {version}.",
            f"If it is, run mcp-auth-retrofit with Python {version} or later.",
            line,
        )
    return _unusable(
        "syntax",
        f"This is not valid Python: {where}{said}.",
        "Correct the file, then run this again.",
        line,
    )


def _is_recipes(lines: list[str]) -> bool:
    """`WWW_HEADER = {"WWW-Authenticate": f'Bearer ..., resource_metadata="{URL}"}`."""
    return any("resource_metadata=" in x and x.count("'") % 2 == 1 for x in lines)


def _unusable(code: str, message: str, hint: str, line: int | None = None) -> Unusable:
    return Unusable(Reason(code, message, hint, line))
