"""Requirement lines: the name in them (PEP 508), compared as PEP 503 has it."""

import re

NEEDED = ("fastmcp>=2.14", "scalekit-sdk-python>=2.4", "uvicorn>=0.30")
"""What the rewritten app imports and is served by, with the oldest version that will do."""
OLDEST = (*NEEDED, "fastapi>=0.115", "mcp>=1.28")
"""What is pinned below one of these is too old, whether it has to be listed or comes along."""

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?=$|[\[<>=!~;@(\s])")
_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)")
_WHEEL = re.compile(r"(?:^|/)([A-Za-z0-9._]+)-[^/]+\.whl\b")
_PIN = re.compile(r"={2,3}\s*v?(\d+)(?:\.(\d+))?")
_WITH_SERVER = re.compile(r"\[[^\]]*\b(?:standard|all)\b")
_SERVERS = frozenset({"uvicorn", "hypercorn", "granian", "gunicorn", "daphne"})


def normalised(name: str) -> str:
    """`Scalekit_SDK.Python` and `scalekit-sdk-python` are one name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str | None:
    """The normalised name in a requirement; None for an option or a path without a name."""
    text = requirement.strip()
    found = _EGG.search(text) or (None if text.startswith("-") else _WHEEL.search(text))
    if (
        found is None
        and "://" not in text.partition("@")[0]
        and not text.startswith(("-", ".", "/"))
    ):
        found = _NAME.match(text)
    return normalised(found[1]) if found else None


def missing(listed: dict[str, str], fastmcp: bool = True) -> list[str]:
    """What has to be added to requirements, given as {normalised name: requirement}."""
    needed = NEEDED if fastmcp else NEEDED[1:]
    lacking = [need for need in needed if name_of(need) not in listed]
    served = _SERVERS & set(listed) or _WITH_SERVER.search(listed.get("fastapi", ""))
    return [need for need in lacking if not (served and name_of(need) == "uvicorn")]


def too_old(listed: dict[str, str]) -> list[tuple[str, str]]:
    """Requirements pinned below what will do: (as it stands, what is needed)."""
    old = []
    for need in OLDEST:
        name, _, bound = need.partition(">=")
        pin = _PIN.search(listed.get(name, "").partition(";")[0])
        if pin and (int(pin[1]), int(pin[2] or 0)) < tuple(map(int, bound.split("."))):
            old.append((listed[name].partition("#")[0].strip(), need))
    return old
