"""Laws of the rewritten text, held by every case."""

import ast
import difflib
import io
import tokenize
from collections import Counter
from pathlib import Path

import pytest
from mcp_auth_retrofit.apply import prepare

from harness.cases import CASES, REFUSALS, REWRITES, Case
from harness.rewriting import others
from laws.conftest import Rewritten
from mcp_auth_retrofit import inserted
from mcp_auth_retrofit.options import Options

every_rewrite = pytest.mark.parametrize("case", REWRITES, ids=lambda case: case.name)
every_refusal = pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
BOM = b"\xef\xbb\xbf"


def lines(source: bytes) -> list[str]:
    """Lines as Python counts them, with their ends."""
    return io.StringIO(source.decode("utf-8"), newline="").readlines()


def comments(source: bytes) -> Counter[str]:
    """The comments of a file, as often as each is there."""
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)


def test_there_are_cases() -> None:
    assert len(REWRITES) >= 40
    assert len(REFUSALS) >= 12
    assert len({case.about for case in CASES}) == len(CASES)


@every_rewrite
def test_golden(case: Case, rewritten: Rewritten) -> None:
    result = rewritten(case)
    assert result.after.decode() == case.golden.read_bytes().decode()


@every_rewrite
def test_compiles(case: Case, rewritten: Rewritten) -> None:
    compile(rewritten(case).after, case.entry, "exec", dont_inherit=True)


@every_rewrite
def test_a_second_run_changes_nothing(case: Case, rewritten: Rewritten, tmp_path: Path) -> None:
    entry = rewritten(case).written(tmp_path / "project")
    for options in (case.parsed_options(), Options(app=case.parsed_options().app)):
        again = prepare(entry, options)
        assert (again.status, again.reason) == ("unchanged", None)
        assert again.writes == []


@every_rewrite
def test_comments_survive(case: Case, rewritten: Rewritten) -> None:
    assert not comments(case.before) - comments(rewritten(case).after)


@every_rewrite
def test_byte_order_mark_survives(case: Case, rewritten: Rewritten) -> None:
    after = rewritten(case).after
    assert after.startswith(BOM) == case.before.startswith(BOM)
    assert after.count(BOM) == case.before.count(BOM)


@every_rewrite
def test_line_ends_survive(case: Case, rewritten: Rewritten) -> None:
    def ends(source: bytes) -> set[str]:
        return {line[len(line.rstrip("\r\n")) :] for line in lines(source)}

    assert ends(rewritten(case).after) == ends(case.before)


@every_rewrite
def test_final_newline_survives(case: Case, rewritten: Rewritten) -> None:
    assert rewritten(case).after.endswith(b"\n") == case.before.endswith(b"\n")


@every_rewrite
def test_indent_unit_survives(case: Case, rewritten: Rewritten) -> None:
    kept = Counter(lines(case.before))
    added = Counter(lines(rewritten(case).after)) - kept
    tabbed = any(line.startswith("\t") for line in kept)
    assert not [line for line in added if line.startswith(" " if tabbed else "\t")]


@every_rewrite
def test_only_announced_statements_are_touched(case: Case, rewritten: Rewritten) -> None:
    """A line that is gone belongs to a statement, or the comments above it, that a change names."""
    result = rewritten(case)
    before, after = lines(case.before), lines(result.after)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    moved = Counter(after) - Counter(before)
    gone = [
        number + 1
        for tag, start, end, _, _ in matcher.get_opcodes()
        if tag in ("replace", "delete")
        for number in range(start, end)
        # The same line elsewhere, indented otherwise or not, was moved with its statement.
        if before[number].strip() and before[number] not in after and not moved[before[number]]
    ]
    announced = {change.line for change in result.result.changes}
    spans = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(case.before))
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    ]
    allowed = {number for span in spans if announced & set(span) for number in span}
    assert [before[number - 1] for number in gone if number not in allowed] == []


@every_rewrite
def test_the_inserted_module_arrives_first_and_whole(case: Case, rewritten: Rewritten) -> None:
    result = rewritten(case)
    source = Path(inserted.__file__).with_name("scalekit_auth.py").read_bytes()
    beside = {write.path.name: write for write in others(result.result.writes, result.entry)}
    assert beside["scalekit_auth.py"].path.parent == result.entry.parent
    assert beside["scalekit_auth.py"].after == source
    # An entrypoint on the disk never imports a file that is not there.
    assert result.result.writes[-1].path == result.entry


@every_refusal
def test_refusals(case: Case, rewritten: Rewritten) -> None:
    result = rewritten(case).result
    assert result.status == ("refused" if case.refused else "error")
    assert result.reason is not None
    assert result.reason.code == (case.refused or case.error)
    assert result.reason.message
    assert result.reason.hint
    assert result.writes == []
    assert result.reason.line is None or result.reason.line <= len(lines(case.before))
