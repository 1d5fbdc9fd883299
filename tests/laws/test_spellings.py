"""No form hangs on one spelling: each case, written otherwise by machine, is held to the laws.

A run takes a few spellings of each case, chosen by a hash of their names, and boots some of them;
`pytest tests/laws/test_spellings.py --all-spellings` takes all and boots all that differ as trees.
"""

import ast
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from harness.cases import BOOTED, REWRITES, Case
from harness.observing import observe
from harness.rewriting import Rewrite, rewrite
from harness.spellings import LAYOUTS, SPELLINGS
from harness.warm import Warm
from laws import test_text as text
from laws.conftest import Rewritten
from laws.test_running import before_and_after, compared, failed
from mcp_auth_retrofit.verify.standin import Standin

EACH = 3
SERVED = 32
REFUSED = {
    # A body on the line of its `def`, `else` or `async with` leaves no line for what is new.
    ("app_on_self", "one_line"): "app-one-line",
    ("routes_behind_the_factory", "one_line"): "app-one-line",
    ("mount_in_else", "one_line"): "mount-in-block",
    ("mount_in_function", "one_line"): "mount-in-block",
    ("mount_in_lifespan", "one_line"): "mount-in-block",
    ("mount_in_lifespan_of_factory", "one_line"): "mount-in-block",
    ("mount_in_loop", "one_line"): "mount-in-block",
    ("routes_by_closure", "one_line"): "mount-in-block",
}
"""(case, spelling) that is refused, and the code; all others are rewritten."""
LAWS = (
    text.test_compiles,
    text.test_comments_survive,
    text.test_byte_order_mark_survives,
    text.test_line_ends_survive,
    text.test_final_newline_survives,
    text.test_indent_unit_survives,
    text.test_the_inserted_module_arrives_first_and_whole,
)
LONG_LAWS = (
    text.test_a_second_run_changes_nothing,
    text.test_protection_can_be_switched_and_back,
)


def digest(*names: str) -> str:
    """What the choice goes by: the same on every machine and in every process."""
    return hashlib.sha256(" ".join(names).encode()).hexdigest()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The cases whose spellings are booted."""
    if "booted" in metafunc.fixturenames:
        some = sorted(BOOTED, key=lambda case: digest(case.name))[:SERVED]
        cases = BOOTED if metafunc.config.getoption("all_spellings") else some
        metafunc.parametrize("booted", cases, ids=lambda case: case.name)


def spellings(case: Case) -> Iterator[tuple[str, Case]]:
    """The spellings of a case that apply and are rewritten, each behind its name."""
    for name in sorted(SPELLINGS, key=lambda name: digest(case.name, name)):
        spelled = None if (case.name, name) in REFUSED else SPELLINGS[name](case)
        if spelled is not None:
            yield name, spelled


@contextmanager
def told(name: str, spelled: Case) -> Iterator[None]:
    """Adds to a broken law the spelling that broke it."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"spelling: {name}\n{spelled.before.decode()}")
        raise


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether all spellings were asked for."""
    return bool(pytestconfig.getoption("all_spellings"))


def known(result: Rewrite) -> Rewritten:
    """What the laws take: here each rewrite is looked at once."""
    return lambda _: result


def tree(source: bytes) -> str:
    """A program without its layout: in a file with tabs, docstrings of the guard have them too."""
    return ast.unparse(ast.parse(source)).replace("\t", "    ")


def test_every_spelling_is_made() -> None:
    case = next(case for case in REWRITES if case.name == "own_health")
    made = {name: make(case) for name, make in SPELLINGS.items()}
    assert [name for name, spelled in made.items() if spelled is None] == []
    assert len({spelled.before for spelled in made.values() if spelled}) == len(SPELLINGS)


@pytest.mark.parametrize("case", REWRITES, ids=lambda case: case.name)
def test_the_laws_hold(case: Case, thorough: bool, tmp_path: Path) -> None:
    held = 0
    for name, spelled in spellings(case):
        result = rewrite(spelled, tmp_path / name)
        with told(name, spelled):
            for law in LAWS:
                law(spelled, known(result))
            if name in LAYOUTS:
                assert tree(spelled.before) == tree(case.before)
                assert tree(result.after) == tree(case.golden.read_bytes())
            if thorough:
                for number, long_law in enumerate(LONG_LAWS):
                    long_law(spelled, known(result), tmp_path / f"{name} {number}")
        held += 1
        if held == EACH and not thorough:
            break
    assert held >= EACH


@pytest.mark.parametrize(("name", "spelling"), REFUSED, ids=lambda part: part)
def test_refused(name: str, spelling: str, tmp_path: Path) -> None:
    spelled = SPELLINGS[spelling](next(case for case in REWRITES if case.name == name))
    assert spelled is not None
    reason = rewrite(spelled, tmp_path / "project").result.reason
    assert reason is not None
    assert reason.code == REFUSED[name, spelling]


def test_served_before_and_after(
    booted: Case, thorough: bool, warm: Warm, standin: Standin, tmp_path: Path
) -> None:
    """What differs in its layout alone is the same program (see above), and is not booted."""
    probes = [*booted.probes, *booted.opens, *booted.locks]
    if booted.starts_before:
        booted.lay_out(tmp_path / "as it was")
        with observe(booted, tmp_path / "as it was", warm.launch) as original:
            original.ask(probes)
    served = (pair for pair in spellings(booted) if pair[0] not in LAYOUTS)
    for name, spelled in served if thorough else islice(served, 1):
        result = rewrite(spelled, tmp_path / name)
        with told(name, spelled):
            before = before_and_after(result, warm, standin, tmp_path / f"{name} served")
            assert (before is not None) == booted.starts_before
            if before is not None:
                # The spelling itself has changed nothing.
                assert before.events == original.events
                assert before.openapi == original.openapi
                assert failed(compared(booted, original, before)) == []
