"""Laws of the rewritten text, held by every case."""

import ast
import hashlib
import io
import json
import re
import subprocess
import sys
import tokenize
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cases import CASES, REFUSALS, REWRITES, Case
from harness.rewriting import others
from laws.conftest import Rewritten
from mcp_auth_retrofit import inserted
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.inline import is_untouched
from mcp_auth_retrofit.options import Options, Protect
from mcp_auth_retrofit.wiring.inlined import find_inlined

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
def test_the_way_to_the_file_does_not_matter(
    case: Case, rewritten: Rewritten, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = rewritten(case)
    for folder in (result.root, result.entry.parent):
        monkeypatch.chdir(folder)
        relative = prepare(result.entry.relative_to(folder), case.parsed_options())
        assert relative.writes[-1].after == result.after


@every_rewrite
def test_comments_survive(case: Case, rewritten: Rewritten) -> None:
    """Those that go with the published recipe are listed, each with its line."""
    result = rewritten(case)
    lost = comments(case.before) - comments(result.after)
    said = [w.message for w in result.result.warnings if w.code == "recipe-comments"]
    assert case.name.startswith("recipe") or not lost
    before = lines(case.before)
    for text in lost.elements():
        at = [number for number, line in enumerate(before, 1) if text in line]
        assert any(f"line {number} `{text}`" in said[0] for number in at)


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
    used = {line[0] for line in kept if line[:1] in ("\t", " ")} or {" "}
    assert not [line for line in added if line[:1] in {"\t", " "} - used]


@every_rewrite
def test_only_announced_statements_are_touched(case: Case, rewritten: Rewritten) -> None:
    """A line that is gone was an import, made the MCP app, or a change names its statement."""
    result = rewritten(case)
    before, after = lines(case.before), lines(result.after)
    announced = {change.line for change in result.result.changes}
    recipe = {c.line for c in result.result.changes if c.transform == "recipe"}
    allowed = {n for n, line in enumerate(before, 1) if recipe and line.strip().startswith("#")}
    for node in ast.walk(ast.parse(case.before)):
        if isinstance(node, ast.stmt) and recipe & {node.lineno, *decorated(node)}:
            allowed.update(range(min(node.lineno, *decorated(node), node.lineno), end(node)))
        if not isinstance(node, ast.stmt) or hasattr(node, "body"):
            continue
        span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        makes_mcp_app = "http_app(" in ast.unparse(node)
        if isinstance(node, ast.Import | ast.ImportFrom) or makes_mcp_app or announced & {*span}:
            allowed.update(span)
    # Whole lines that stand elsewhere now were moved with their statement.
    gone = [number for number, line in enumerate(before, 1) if line.strip() and line not in after]
    assert [before[number - 1] for number in gone if number not in allowed] == []


def decorated(node: ast.stmt) -> set[int]:
    """The lines of a definition's decorators."""
    return {d.lineno for d in getattr(node, "decorator_list", [])}


def end(node: ast.stmt) -> int:
    """The line behind a statement."""
    return (node.end_lineno or node.lineno) + 1


def findings(folder: Path, name: str) -> set[str]:
    """The codes of what ruff says about blank lines, imports and unused or undefined names."""
    command = [
        *(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--preview"),
        *("--select", "E1,E2,E3,E7,E9,W,F,I", "--ignore", "E203", "--output-format", "json"),
        *("--config", "lint.isort.combine-as-imports=true", name),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return {finding["code"] for finding in json.loads(done.stdout)}


@every_rewrite
def test_ruff_finds_nothing_new(case: Case, rewritten: Rewritten, tmp_path: Path) -> None:
    """What is inserted stands as the file's other code does: blank lines, import groups."""
    entry = rewritten(case).written(tmp_path / "project")
    after = findings(entry.parent, entry.name)
    # The guard brings all it needs: what the file imports too is imported twice.
    after -= {"F811"} if case.inline else set()
    entry.write_bytes(case.before)
    assert after <= findings(entry.parent, entry.name)


@every_rewrite
def test_the_inserted_module_arrives_first_and_whole(case: Case, rewritten: Rewritten) -> None:
    result = rewritten(case)
    source = Path(inserted.__file__).with_name("scalekit_auth.py").read_bytes()
    seal = f"# Untouched, this file ends with its seal: {hashlib.sha256(source).hexdigest()[:16]}."
    beside = {write.path.name: write for write in others(result.result.writes, result.entry)}
    if case.inline:
        assert "scalekit_auth.py" not in beside
        tree = ast.parse(result.after)
        inlined = find_inlined(tree)
        assert inlined is not None
        assert is_untouched(inlined, result.after.decode())
        back = {local: own for own, local in inlined.renamed.items()}
        body = tree.body[inlined.first + 1 : inlined.last]
        assert guard_of(body, back) == guard_of(ast.parse(source).body, {})
        return
    assert beside["scalekit_auth.py"].path.parent == result.entry.parent
    assert beside["scalekit_auth.py"].after == source + f"{seal}\n".encode()
    # An entrypoint on the disk never imports a file that is not there.
    assert result.result.writes[-1].path == result.entry


def guard_of(body: list[ast.stmt], back: dict[str, str]) -> list[str]:
    """The guard's statements as source, imports aside, under the names that they have at home."""
    kept = [s for s in body if not isinstance(s, ast.Import | ast.ImportFrom)]
    texts = [ast.unparse(s) for s in kept if not isinstance(s, ast.Expr)]
    texts = [text.replace("\t", "    ") for text in texts]
    for local, own in back.items():
        texts = [re.sub(rf"(?<![\w.]){local}\b", own, text) for text in texts]
    return texts


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


def without_imports(source: bytes) -> str:
    """The tree of a module less its imports."""
    body = ast.parse(source).body
    kept = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.dump(ast.Module(kept, []))


@every_rewrite
def test_protection_can_be_switched_and_back(
    case: Case, rewritten: Rewritten, tmp_path: Path
) -> None:
    """Imports may stay behind: a name is left where other code of the user's may have taken it."""
    entry = rewritten(case).written(tmp_path / "project")
    options = case.parsed_options()
    now: Protect = rewritten(case).result.protect or "mcp"
    other: Protect = "mcp" if now == "all" else "all"
    for protect in (other, now):
        again = prepare(entry, replace(options, protect=protect))
        assert (again.status, again.protect) == ("changed", protect)
        for write in again.writes:
            write.path.write_bytes(write.after)
    assert without_imports(entry.read_bytes()) == without_imports(rewritten(case).after)
