"""Requirements in pyproject.toml: PEP 621's list, or Poetry's table, in its own style."""

import copy
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from mcp_auth_retrofit.project import toml_list
from mcp_auth_retrofit.project.names import name_of, normalised

_POETRY = ("tool", "poetry", "dependencies")
_KEY = re.compile(r"""(?<![\w-])["']?dependencies["']?[ \t]*=[ \t]*\[""")


def listed(data: bytes) -> dict[str, str] | None:
    """{normalised name: requirement}; None when requirements do not live in this file.

    Raises ValueError when it is not TOML.
    """
    document = _parse(data)
    project = _table(document, "project")
    if isinstance(project.get("dependencies"), list):
        lines = [line for line in project["dependencies"] if isinstance(line, str)]
        return {name: line for line in lines if (name := name_of(line))}
    poetry = _table(document, *_POETRY)
    if poetry:
        return {normalised(name): f"{name}{_requirement(value)}" for name, value in poetry.items()}
    return {} if project and "dependencies" not in project.get("dynamic", ()) else None


def with_requirements(data: bytes, needs: list[str]) -> bytes | None:
    """The file with these requirements; None where they can't be put in.

    The places are found in the text, so that not a byte else changes, and what comes of it is
    parsed: it counts only if it says what the file said, and these requirements.
    """
    text = data.decode("utf-8")
    for need in needs:
        after = next((t for t in _candidates(text, need) if _adds(text, t, need)), None)
        if after is None:
            return None
        text = after
    return text.encode()


def _candidates(text: str, need: str) -> Iterator[str]:
    document = _parse(text.encode())
    if isinstance(_table(document, "project").get("dependencies"), list):
        if re.search(r"""["'][\w.\[\],-]+ [<>=!~]""", text):
            need = need.replace(">=", " >= ")
        for found in _KEY.finditer(text):
            array = toml_list.read(text, found.end() - 1)
            if array is not None:
                yield toml_list.add(text, array, need, lambda line: name_of(line) or "")
        return
    if _table(document, *_POETRY):
        name, _, bound = need.partition(">=")
        yield from _after_table(text, "tool.poetry.dependencies", f'{name} = ">={bound}"')
    else:
        yield from _after_table(text, "project", f'dependencies = ["{need}"]')


def _after_table(text: str, table: str, line: str) -> Iterator[str]:
    """The line behind the table's last key; a few tries, for a value may look like a header."""
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    head = re.search(
        rf"^[ \t]*\[[ \t]*{re.escape(table)}[ \t]*\][^\n]*(?:\n|$)", text, re.MULTILINE
    )
    if head is None:
        return
    for stop in re.finditer(r"^[ \t]*\[|\Z", text[head.end() :], re.MULTILINE):
        body = text[head.start() : head.end() + stop.start()]
        kept = re.sub(r"(?:\s|^[ \t]*#[^\n]*$)+\Z", "", body, flags=re.MULTILINE)
        rest = text[head.start() + len(kept) :]
        yield f"{text[: head.start()]}{kept}{newline}{line}{rest}"


def _adds(before: str, after: str, need: str) -> bool:
    """Whether the one requirement is all that is new."""
    try:
        old, new = _parse(before.encode()), _parse(after.encode())
    except ValueError:
        return False
    name = name_of(need)
    expected = copy.deepcopy(old)
    if isinstance(_table(new, "project").get("dependencies"), list):
        lines = new["project"]["dependencies"]
        rest = [line for line in lines if name_of(line) != name]
        expected.setdefault("project", {})["dependencies"] = lines
        had = _table(old, "project").get("dependencies", [])
        return len(rest) + 1 == len(lines) and rest == had and bool(expected == new)
    added = [key for key in _table(new, *_POETRY) if normalised(key) == name]
    if len(added) != 1 or added[0] in _table(old, *_POETRY):
        return False
    _table(expected, *_POETRY)[added[0]] = _table(new, *_POETRY)[added[0]]
    return bool(expected == new)


def _parse(data: bytes) -> dict[str, Any]:
    return tomllib.loads(data.decode("utf-8").removeprefix("\ufeff"))


def _table(document: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        document = document.get(key, {}) if isinstance(document, dict) else {}
    return document if isinstance(document, dict) else {}


def _requirement(value: Any) -> str:
    """Poetry's way to say extras and version, as one requirement says them."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    extras = value.get("extras") or []
    return (f"[{','.join(map(str, extras))}]" if extras else "") + str(value.get("version", ""))
