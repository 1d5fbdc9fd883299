"""Runs the laws and the wire tests with every supported set of libraries: `make versions`.

Each set gets an environment of its own in `.venv-versions`, kept between runs; what was installed
and what passed is written into docs/versions.md.
"""

import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv-versions"
PAGE = ROOT / "docs" / "versions.md"
SHOWN = ("fastmcp", "mcp", "fastapi", "starlette", "scalekit-sdk-python")
MARK = "<!-- measured -->"


@dataclass(frozen=True)
class Combination:
    """One set of libraries, as pip is asked for it."""

    name: str
    wanted: tuple[str, ...]


COMBINATIONS = (
    Combination("4", ("fastmcp>=4,<5",)),
    Combination("3", ("fastmcp>=3,<4", "fastapi-mcp")),
    Combination("2.14", ("fastmcp>=2.14,<3", "fastapi-mcp")),
    Combination(
        "2.14-old",
        ("fastmcp>=2.14,<3", "fastapi-mcp", "fastapi==0.115.14", "starlette==0.46.2"),
    ),
)


def installed(python: Path) -> dict[str, str]:
    """The versions that an environment really has."""
    code = f"import importlib.metadata as m; print(*[m.version(n) for n in {SHOWN!r}])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(SHOWN, done.stdout.split(), strict=True))


def environment(combination: Combination) -> Path:
    """Its Python, with the project and exactly these libraries installed."""
    folder = FOLDER / combination.name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[dev]", *combination.wanted], check=True)
    return python


def measured(python: Path) -> str:
    """The closing line of the tests: what passed, what failed."""
    command = [str(python), "-m", "pytest", "tests/laws", "tests/wire", "--numprocesses=auto"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    print("\n".join(lines[:40]), flush=True)
    closing = re.search(r"\d+ (?:passed|failed|error)[^\n]* in ", done.stdout)
    return closing[0].removesuffix(" in ") if closing else "did not run"


def main(names: list[str]) -> int:
    """Runs the named sets, or all; the number of those with a failure."""
    rows, wrong = {}, 0
    for combination in COMBINATIONS:
        if names and combination.name not in names:
            continue
        print(f"== {combination.name}: {', '.join(combination.wanted)}", flush=True)
        python = environment(combination)
        result = measured(python)
        wrong += not re.fullmatch(r"\d+ passed", result)
        versions = installed(python)
        cells = (*(versions[name] for name in SHOWN), result)
        rows[combination.name] = f"| {' | '.join(cells)} |"
        print(rows[combination.name], flush=True)
    if not names:
        write(list(rows.values()))
    return wrong


def write(rows: list[str]) -> None:
    """Puts the table behind its mark in the page."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    titles = f"| {' | '.join(SHOWN)} | laws and wire tests |"
    table = "\n".join([titles, "|---" * (len(SHOWN) + 1) + "|", *rows])
    PAGE.write_text(f"{head}{MARK}\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
