"""Breaks the guard on purpose, one small way at a time, and sees whether a test notices.

    python tools/mutate.py [--idle] [--jobs N] [--only TEXT] [--json FILE] [TESTS ...]

Every mutant is the guard with one thing changed: a comparison turned, a condition made always
true or always false, a statement, an operand, an argument or an element left out, a number or a
text changed. The wire tests run on it until the first fails; mutants that outlive them are listed.
With `--idle` it is the tests that are looked at: those are listed that no mutant made fail.
Exit status 1 when anything is listed.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_auth_retrofit.verify.standin import rsa_key
from mutants import Mutant, mutants

ROOT = Path(__file__).parents[1]
GUARD = ROOT / "src" / "mcp_auth_retrofit" / "inserted" / "scalekit_auth.py"
HEAVY = ("fastapi", "fastmcp", "httpx", "scalekit.client", "uvicorn", "websockets.sync.client")
LIMIT = 180
"""Seconds that the tests get for one mutant: one that hangs is one that was noticed."""
LAST = ("test_keys", "test_paths", "test_verified")
"""Tests that take long: they run when the others have noticed nothing."""


@dataclass
class Trial:
    """A mutant, and the process that tries it."""

    mutant: Mutant
    folder: Path
    process: int
    begun: float

    @property
    def told(self) -> Path:
        return self.folder / "failed.json"

    def ended(self) -> bool:
        """Whether it has; ends it when it has had its time."""
        if time.monotonic() - self.begun > LIMIT:
            os.killpg(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            return True
        return os.waitpid(self.process, os.WNOHANG) != (0, 0)

    def failed(self) -> list[str]:
        """The tests that failed; none for a survivor."""
        names: list[str] = ["(hung, or ended the tests)"]
        if self.told.exists():
            names = json.loads(self.told.read_text())
        shutil.rmtree(self.folder)
        return names


class Trials:
    """A pytest plugin: once the tests are collected, they run in one process for each mutant."""

    def __init__(self, chosen: Sequence[Mutant], jobs: int, *, idle: bool) -> None:
        self.waiting = list(reversed(chosen))
        self.jobs = jobs
        self.idle = idle
        self.tests: list[str] = []
        self.results: list[tuple[Mutant, list[str]]] = []
        self.noted: list[str] = []
        self.mine: Trial | None = None
        """In a mutant's process, its own."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: Path(item.path).stem in LAST)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.noted:
            self.noted.append(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Any:
        running: list[Trial] = []
        while self.waiting or running:
            while self.waiting and len(running) < self.jobs:
                trial = self._begin(self.waiting.pop())
                if trial is None:
                    return (yield)  # in the new process: the loop of pytest itself
                running.append(trial)
            for trial in [one for one in running if one.ended()]:
                running.remove(trial)
                self._note(trial, session.items)
            time.sleep(0.02)
        self.tests = [item.nodeid for item in session.items]
        session.items.clear()
        return (yield)

    def _begin(self, mutant: Mutant) -> Trial | None:
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        trial = Trial(mutant, folder, os.fork(), time.monotonic())
        if trial.process:
            return trial
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        guard = folder / "scalekit_auth.py"
        guard.write_bytes(mutant.source)
        world: Any = sys.modules["wire.world"]
        world.INSERTED = guard
        self.mine = trial
        return None

    def pytest_sessionfinish(self) -> None:
        if self.mine:
            self.mine.told.write_text(json.dumps(self.noted))
            os._exit(0)

    def _note(self, trial: Trial, items: list[pytest.Item]) -> None:
        failed = trial.failed()
        self.results.append((trial.mutant, failed))
        if self.idle:
            items[:] = [item for item in items if item.nodeid not in failed]
            return
        # What noticed this one, or stands beside it, may notice the next one too.
        files = {name.partition("::")[0] for name in failed}
        items.sort(key=lambda item: item.nodeid.partition("::")[0] not in files)
        items.sort(key=lambda item: item.nodeid not in failed)
        if sys.stderr.isatty() or not failed:
            said = f"{len(self.results)}: {'outlived' if not failed else 'noticed'}"
            print(f"{said}  {trial.mutant}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", default=["tests/wire"])
    parser.add_argument("--idle", action="store_true", help="list tests that no mutant made fail")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose line has this")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    os.chdir(ROOT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in HEAVY:
            importlib.import_module(name)
    for number in (0, 1, 2, 3, 99):  # keys that every process would make for itself
        rsa_key(number)
    chosen = [mutant for mutant in mutants(GUARD.read_bytes()) if given.only in str(mutant)]
    trials = Trials(chosen, given.jobs, idle=given.idle)
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", *given.tests]
    pytest.main(arguments if given.idle else [*arguments, "-x"], plugins=[trials])
    if given.json:
        told = [{"mutant": str(mutant), "failed": failed} for mutant, failed in trials.results]
        given.json.write_text(json.dumps(told, indent=1))
    print(f"{len(trials.results)} mutants, ", end="")
    if given.idle:
        print(f"{len(trials.tests)} tests that none of them made fail", *trials.tests, sep="\n")
        return int(bool(trials.tests))
    outlived = [mutant for mutant, failed in trials.results if not failed]
    print(f"{len(outlived)} outlived {len(trials.tests)} tests", *outlived, sep="\n")
    return int(bool(outlived))


if __name__ == "__main__":
    sys.exit(main())
