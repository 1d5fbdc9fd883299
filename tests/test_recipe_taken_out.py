"""The published recipe in a file that `apply` meets: what is kept, said and refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cases import CASES
from mcp_auth_retrofit.apply import prepare
from mcp_auth_retrofit.check import check
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.results import FileResult

WHOLE = next(case for case in CASES if case.name == "recipe_whole_app").before.decode()


def applied(folder: Path, source: str, **options: object) -> FileResult:
    entry = folder / "main.py"
    entry.write_text(source)
    # The test data names real options only; replace() raises for any other.
    return prepare(entry, replace(Options(project_files=False), **options))  # type: ignore[arg-type]


def after(result: FileResult) -> str:
    assert result.reason is None, result.reason
    return result.writes[-1].after.decode()


def test_paths_that_it_lets_through_stay_open(tmp_path: Path) -> None:
    source = WHOLE.replace('{"/health",', '{"/health", "/prices",')
    assert 'public=("/health", "/prices")' in after(applied(tmp_path, source))


def test_a_path_that_is_compared_alone_stays_open(tmp_path: Path) -> None:
    source = WHOLE.replace(
        "if request.url.path in PUBLIC:",
        'if request.url.path == "/prices" or request.url.path in PUBLIC:',
    )
    assert 'public=("/health", "/prices")' in after(applied(tmp_path, source))


def test_routes_behind_it_open_only_when_asked(tmp_path: Path) -> None:
    assert applied(tmp_path, WHOLE).protect == "all"
    opened = applied(tmp_path, WHOLE, protect="mcp")
    assert opened.protect == "mcp"
    assert "recipe-opens" in {warning.code for warning in opened.warnings}


def test_fastapis_own_pages_open_and_that_is_said(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "recipe")
    result = applied(tmp_path, case.before.decode())
    (message,) = [w.message for w in result.warnings if w.code == "recipe-opens"]
    assert "/openapi.json" in message
    assert result.locked == []  # MCP stood behind the recipe before


def test_of_two_comments_alike_the_one_that_goes_is_named(tmp_path: Path) -> None:
    rule = "# ----------\n"
    source = WHOLE.replace("async def check", f"{rule}async def check", 1)
    source += f"\n\n{rule}THE_END = 1\n"
    assert source.count(rule) == 2
    result = applied(tmp_path, source)
    (message,) = [w.message for w in result.warnings if w.code == "recipe-comments"]
    line = source[: source.index(f"{rule}async def check")].count("\n") + 1
    assert f"line {line} `{rule.strip()}`" in message


MORE = {
    "a router": "from somewhere import router\napp.include_router(router)\n",
    "an unknown call": "from somewhere import setup\nsetup(app)\n",
    "files": "from fastapi.staticfiles import StaticFiles\n"
    'app.mount("/files", StaticFiles(directory="."))\n',
    "another name": 'api = app\napi.get("/a")(print)\n',
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
def test_nothing_behind_it_opens_unasked(tmp_path: Path, more: str) -> None:
    case = next(case for case in CASES if case.name == "recipe")
    assert applied(tmp_path, case.before.decode()).protect == "mcp"
    source = case.before.decode().replace('@app.get("/health")', more + '@app.get("/health")')
    result = applied(tmp_path, source)
    assert result.protect == "all"
    assert "CORSMiddleware," in after(result)  # may be for them


def test_scopes_are_told(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "recipe_class")
    codes = {w.code for w in applied(tmp_path, case.before.decode()).warnings}
    assert "recipe-scopes" in codes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "    return await call_next(request)\n\n\napp.m",
            "    audit(request)\n    return await call_next(request)\n\n\napp.m",
        ),
        ("status_code=401)", "status_code=403)"),
        ("in PUBLIC:", 'in PUBLIC or request.url.path.startswith("/open/"):'),
        ("in PUBLIC:", 'in PUBLIC or request.url.path.startswith(("/.well-known/", "/open/")):'),
        ('get("Authorization", "")', 'get("X-Api-Key", "")'),
        ("    try:\n", "    request.state.seen = True\n    try:\n"),
        (
            '"Missing Bearer token")',
            '"Missing Bearer token", headers={"WWW-Authenticate": \'Bearer realm="mine"\'})',
        ),
    ],
    ids=["a call", "a status", "a prefix", "prefixes", "a header", "a state", "a realm"],
)
def test_what_it_does_more_is_refused(tmp_path: Path, old: str, new: str) -> None:
    assert old in WHOLE
    reason = applied(tmp_path, WHOLE.replace(old, new, 1)).reason
    assert reason is not None
    assert (reason.code, reason.line is not None) == ("recipe-changed", True)


def test_constants_that_others_use_stay(tmp_path: Path) -> None:
    source = WHOLE + "\n\ndef where() -> str:\n    return SK_ENV_URL\n"
    text = after(applied(tmp_path, source))
    assert 'SK_ENV_URL = os.getenv("SK_ENV_URL", "")' in text
    assert "SK_CLIENT_SECRET" not in text
    assert "import os" in text


@pytest.mark.parametrize(
    "quoting", ['__all__ = ["EXPECTED_AUDIENCE"]', 'x: "EXPECTED_AUDIENCE | None" = None']
)
def test_a_name_in_quotes_is_a_use(tmp_path: Path, quoting: str) -> None:
    assert "EXPECTED_AUDIENCE = os.getenv" in after(applied(tmp_path, f"{WHOLE}\n{quoting}\n"))


def test_a_secret_that_goes_is_in_the_patch_alone(tmp_path: Path) -> None:
    source = WHOLE.replace('os.getenv("SK_CLIENT_SECRET", "")', '"canary-4711"')
    result = applied(tmp_path, source)
    said = [c.summary for c in result.changes] + [w.message for w in result.warnings]
    assert "canary-4711" not in after(result) + "".join(said)


def test_check_finds_no_open_server_behind_it(tmp_path: Path) -> None:
    entry = tmp_path / "main.py"
    entry.write_text(WHOLE)
    assert [f.code for f in check([entry]).findings if f.code == "MAR005"] == []
