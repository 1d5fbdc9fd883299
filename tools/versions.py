"""Runs the laws and the wire tests with every supported set of libraries: `make versions`.

    python tools/versions.py [NAME ...]

Each set gets an environment of its own in `.venv-versions`, kept between runs and brought up to
date. What was installed, what passed and which fixtures cannot be booted there is printed, and
after a run of all sets it is written into docs/versions.md. Exit status 1 when something failed.
"""

import json
import os
import re
import subprocess
import sys
import venv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv-versions"
PAGE = ROOT / "docs" / "versions.md"
SHOWN = ("fastmcp", "mcp", "fastapi", "starlette", "scalekit-sdk-python")
MARK = "<!-- measured -->"


@dataclass(frozen=True)
class Combination:
    """One set of libraries, as pip is asked for it; the newest that will do is installed."""

    name: str
    wanted: tuple[str, ...]


COMBINATIONS = (
    Combination("4", ("fastmcp>=4,<5", "mcp>=2,<3")),
    Combination("3", ("fastmcp>=3,<4", "mcp>=1,<2", "fastapi-mcp")),
    Combination("2.14", ("fastmcp>=2.14,<3", "mcp>=1,<2", "fastapi-mcp")),
    Combination(
        "2.14, old FastAPI",
        ("fastmcp>=2.14,<3", "fastapi==0.115.14", "starlette==0.46.2", "fastapi-mcp"),
    ),
    Combination(
        "oldest",
        (
            "fastmcp==2.14.0",
            "mcp==1.28.0",
            "fastapi==0.115.0",
            "scalekit-sdk-python==2.4.17",
            "fastapi-mcp",
        ),
    ),
)

LEFT_OUT = """
import json
from harness.cases import REWRITES
print(json.dumps({case.name: case.lacks for case in REWRITES if case.lacks}))
"""


@dataclass(frozen=True)
class Measured:
    """What came of one set."""

    name: str
    versions: Mapping[str, str]
    passed: int
    failed: int
    left_out: Mapping[str, Mapping[str, str]]
    """Fixtures that are not booted there: what each needs, and why."""

    @property
    def row(self) -> str:
        """Its line of the table."""
        cells = (self.name, *(self.versions[name] for name in SHOWN), self.passed, self.failed)
        return f"| {' | '.join(map(str, cells))} | {len(self.left_out)} |"


def measure(combination: Combination) -> Measured:
    """Installs one set, and runs the tests with it."""
    python = environment(combination)
    printed = run(python, "-m", "pytest", "tests/laws", "tests/wire", "--numprocesses=auto")
    print("\n".join(re.findall(r"(?m)^(?:FAILED|ERROR) .*", printed)[:40]), flush=True)
    closing = printed.rstrip().rpartition("\n")[2]
    counts: defaultdict[str, int] = defaultdict(int)
    for number, what in re.findall(r"(\d+) (passed|failed|error)", closing):
        counts[what] = int(number)
    code = f"import importlib.metadata as m; print(*[m.version(n) for n in {SHOWN!r}])"
    return Measured(
        combination.name,
        dict(zip(SHOWN, run(python, "-c", code).split(), strict=True)),
        counts["passed"],
        counts["failed"] + counts["error"],
        json.loads(run(python, "-c", LEFT_OUT)),
    )


def environment(combination: Combination) -> Path:
    """The Python of its environment, with the project and exactly these libraries installed."""
    folder = FOLDER / re.sub(r"[^\w.]+", "-", combination.name)
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    newest = ["--upgrade", "--upgrade-strategy=eager"]
    subprocess.run([*pip, *newest, "--editable", f"{ROOT}[dev]", *combination.wanted], check=True)
    return python


def run(python: Path, *arguments: str) -> str:
    """What an interpreter prints, in the project's root."""
    env = {**os.environ, "PYTHONPATH": "tests"}
    done = subprocess.run(
        [python, *arguments], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout


def table(sets: Sequence[Measured]) -> list[str]:
    """All sets, in Markdown."""
    titles = ("set", *SHOWN, "passed", "failed", "fixtures not booted")
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *(one.row for one in sets)]


def exceptions(sets: Sequence[Measured]) -> list[str]:
    """The fixtures that some set cannot boot, by what they need, in Markdown."""
    fixtures: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    where: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for one in sets:
        for name, needs in one.left_out.items():
            for pair in needs.items():
                fixtures[pair][f"`{name}`"] = None
                where[pair][one.name] = None
    lines = ["| needs | because | fixtures | not booted with |", "|---|---|---|---|"]
    for (need, why), names in fixtures.items():
        sets_of_it = "; ".join(where[need, why])
        lines.append(f"| `{need}` | {why} | {', '.join(names)} | {sets_of_it} |")
    return lines


def main(names: Sequence[str]) -> int:
    """Runs the named sets, or all."""
    sets = []
    for combination in COMBINATIONS:
        if not names or combination.name in names:
            print(f"== {combination.name}: {', '.join(combination.wanted)}", flush=True)
            sets.append(measure(combination))
            print(sets[-1].row, flush=True)
    lines = [*table(sets), "", *exceptions(sets)]
    print("\n".join(lines))
    if not names:
        head, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
        PAGE.write_text("\n".join([f"{head}{MARK}", "", *lines, ""]), encoding="utf-8")
    return int(any(one.failed or not one.passed for one in sets))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
