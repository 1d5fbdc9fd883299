"""Each case is rewritten once in each test process."""

from collections.abc import Callable

import pytest

from harness.cases import Case
from harness.rewriting import Rewrite, rewrite

Rewritten = Callable[[Case], Rewrite]


@pytest.fixture(scope="session")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    """The rewrite of a case; its project is not to be written to (`Rewrite.written` copies it)."""
    done: dict[str, Rewrite] = {}

    def once(case: Case) -> Rewrite:
        if case.name not in done:
            folder = tmp_path_factory.mktemp(case.name) / "project"
            done[case.name] = rewrite(case, folder)
        return done[case.name]

    return once
