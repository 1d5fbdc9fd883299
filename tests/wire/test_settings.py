"""Settings: where they come from, and the start that is refused without them."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mcp_auth_retrofit.verify.standin import Standin
from wire.conftest import SETTINGS
from wire.world import WELL_KNOWN, load_guard, site, stateless_app

URL = "https://mcp.example/mcp"
GOOD = {
    "SK_ENV_URL": "https://acme.scalekit.example",
    "SK_CLIENT_ID": "skc_1",
    "SK_CLIENT_SECRET": "s3cr3t-v4lue",
    "EXPECTED_AUDIENCE": URL,
    "PROTECTED_RESOURCE_METADATA": json.dumps(
        {
            "resource": URL,
            "authorization_servers": ["https://acme.scalekit.example/resources/res_1"],
        }
    ),
}
REQUIRED = tuple(GOOD)


def refusal(folder: Path, settings: dict[str, str]) -> str:
    """What the start says."""
    app = stateless_app(load_guard(folder, settings))
    with pytest.raises(RuntimeError) as caught, TestClient(app):
        pass
    return str(caught.value)


def test_import_needs_no_settings(tmp_path: Path) -> None:
    stateless_app(load_guard(tmp_path, {}))


def test_start_is_refused_naming_every_missing_setting(tmp_path: Path) -> None:
    message = refusal(tmp_path, {})
    told = "; ".join(f"{name} is missing" for name in REQUIRED)
    assert message == (
        f"scalekit_auth: {told}. "
        "Settings belong in the environment or in a .env file beside scalekit_auth.py."
    )


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("empty", ["", "   "])
def test_empty_counts_as_missing(tmp_path: Path, name: str, empty: str) -> None:
    message = refusal(tmp_path, {**GOOD, name: empty})
    assert f"{name} is missing" in message
    assert [other for other in SETTINGS if other in message] == [name]


def metadata(**members: Any) -> str:
    whole = {**json.loads(GOOD["PROTECTED_RESOURCE_METADATA"]), **members}
    return json.dumps({name: value for name, value in whole.items() if value != "gone"})


ILL_FORMED = [
    ("SK_ENV_URL", "acme.scalekit.example"),
    ("SK_ENV_URL", "http://acme.scalekit.example"),
    ("SK_ENV_URL", "http://localhost.evil.example"),
    ("SK_ENV_URL", "https://"),
    ("SK_ENV_URL", "ftp://localhost"),
    ("SK_ENV_URL", "https://acme.example/?x"),
    ("SK_ENV_URL", "https://acme .example"),
    ("EXPECTED_AUDIENCE", "mcp.example/mcp"),
    ("EXPECTED_AUDIENCE", "http://mcp.example/mcp"),
    ("EXPECTED_AUDIENCE", "https://mcp.example/mcp#x"),
    ("PROTECTED_RESOURCE_METADATA", "{not json"),
    ("PROTECTED_RESOURCE_METADATA", "null"),
    ("PROTECTED_RESOURCE_METADATA", "[]"),
    ("PROTECTED_RESOURCE_METADATA", '"text"'),
    ("PROTECTED_RESOURCE_METADATA", "7"),
    ("PROTECTED_RESOURCE_METADATA", "[" * 100_000),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource="gone")),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource=None)),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource="mcp.example/mcp")),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource="http://mcp.example/mcp")),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource='https://mcp.example/"')),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource="https://mcp.example/\r\nx")),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers="gone")),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers=[])),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers=None)),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers=[7])),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers={"https://acme.example": 1})),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers=["acme"])),
    ("PROTECTED_RESOURCE_METADATA", metadata(authorization_servers="https://acme.example")),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource="https://[.]/mcp")),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource_name=float("nan"))),
    ("PROTECTED_RESOURCE_METADATA", metadata(resource_name="\ud83d")),
    ("MCP_REQUIRED_SCOPES", 'todo:"read"'),
    ("MCP_ALLOWED_ORIGINS", "app.example"),
    ("MCP_ALLOWED_ORIGINS", "https://app.example/path"),
    ("MCP_ALLOWED_ORIGINS", "https://*.app.example"),
    ("MCP_ALLOWED_ORIGINS", "https://app.example, /"),
    ("MCP_ALLOWED_ORIGINS", ":*"),
    ("MCP_REQUIRED_SCOPES", "todo:l\u00e9se"),
]


@pytest.mark.parametrize(("name", "value"), ILL_FORMED, ids=[f"{n}={v:.50}" for n, v in ILL_FORMED])
def test_start_is_refused_naming_the_ill_formed_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal(tmp_path, GOOD)
    assert [other for other in SETTINGS if other in message] == [name]
    assert f"{name} is missing" not in message


def test_start_names_what_is_missing_and_what_is_ill_formed_together(tmp_path: Path) -> None:
    message = refusal(tmp_path, {**GOOD, "SK_ENV_URL": "x", "SK_CLIENT_ID": ""})
    assert [name for name in SETTINGS if name in message] == ["SK_ENV_URL", "SK_CLIENT_ID"]


def test_refusal_never_shows_a_value(tmp_path: Path) -> None:
    broken = {name: f"({value}" for name, value in GOOD.items()}
    app = stateless_app(load_guard(tmp_path, broken))
    with pytest.raises(RuntimeError) as caught, TestClient(app):
        pass
    chain: BaseException | None = caught.value
    while chain:
        for value in broken.values():
            assert value not in str(chain)
        chain = chain.__context__


@pytest.mark.parametrize(
    "url", ["http://localhost:3002/", "http://127.0.0.1:3002/mcp", "http://[::1]:1/mcp", URL]
)
def test_http_is_good_on_loopback(tmp_path: Path, url: str) -> None:
    good = {**GOOD, "EXPECTED_AUDIENCE": url, "PROTECTED_RESOURCE_METADATA": metadata(resource=url)}
    load_guard(tmp_path, good).Settings()


def test_audience_may_be_the_resource_id(tmp_path: Path) -> None:
    load_guard(tmp_path, {**GOOD, "EXPECTED_AUDIENCE": "res_123"}).Settings()


def test_trailing_slash_of_the_environment_url_is_tolerated(
    folder: Path, scalekit: Standin
) -> None:
    with site(folder / "slash", scalekit, stateless_app, SK_ENV_URL=scalekit.url + "/") as one:
        for issuer in (scalekit.url, scalekit.issuer):
            assert one.post("/mcp", one.bearer(iss=issuer)).status_code == 200


def test_server_of_another_environment_adds_no_issuer(folder: Path, scalekit: Standin) -> None:
    servers = [
        "https://else.example/resources/res_else",
        f"{scalekit.url}/resources/",
        f"https://else.example/{scalekit.url}/resources/res_inside",
    ]
    changed = json.dumps({**scalekit.metadata(URL), "authorization_servers": servers})
    with site(folder / "else", scalekit, stateless_app, PROTECTED_RESOURCE_METADATA=changed) as one:
        good = {"iss": scalekit.url, "aud": one.url + "/mcp"}
        assert one.post("/mcp", one.bearer(**good)).status_code == 200
        for wrong in (
            {"iss": servers[0]},
            {"iss": servers[1]},
            {"iss": f"{scalekit.url}/resources/res_inside"},
            {"aud": "res_else"},
            {"aud": "res_inside"},
            {"aud": ""},
            {"aud": ["", "res_standin"]},
        ):
            assert one.post("/mcp", one.bearer(**{**good, **wrong})).status_code == 401


@pytest.mark.parametrize(
    "origins", ["*", "null", "vscode-webview://1a2b", "http://[::1]:*", "HTTPS://A.example:1/"]
)
def test_origins_may_be(tmp_path: Path, origins: str) -> None:
    load_guard(tmp_path, {**GOOD, "MCP_ALLOWED_ORIGINS": origins}).Settings()


def test_environment_url_may_be_in_capitals(tmp_path: Path) -> None:
    keys = load_guard(tmp_path, {**GOOD, "SK_ENV_URL": GOOD["SK_ENV_URL"].upper()}).Settings().keys
    assert keys.issuers[0] == GOOD["SK_ENV_URL"]


def test_every_resource_of_the_environment_counts(tmp_path: Path) -> None:
    env = GOOD["SK_ENV_URL"]
    servers = [f"{env}/resources/res_1", "https://else.example", f"{env}/resources/res_2/"]
    changed = {"PROTECTED_RESOURCE_METADATA": metadata(authorization_servers=servers)}
    keys = load_guard(tmp_path, {**GOOD, **changed}).Settings().keys
    assert keys.issuers == [env, f"{env}/resources/res_1", f"{env}/resources/res_2"]
    assert keys.audiences == [GOOD["EXPECTED_AUDIENCE"], "res_1", "res_2"]


def test_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPECTED_AUDIENCE", "res_environment")
    monkeypatch.setenv("SK_ENV_URL", "")
    keys = load_guard(tmp_path, GOOD).Settings().keys
    assert keys.audiences == ["res_environment", "res_1"]
    assert keys.issuers[0] == GOOD["SK_ENV_URL"]


def test_file_of_a_parent_folder_is_found(tmp_path: Path) -> None:
    guard = load_guard(tmp_path / "app", GOOD)
    shutil.move(tmp_path / "app" / ".env", tmp_path / ".env")
    (tmp_path / "app" / ".env").mkdir()  # a virtual environment, of that name
    guard.Settings()


def test_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    guard = load_guard(tmp_path, GOOD)
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    guard.Settings()


def test_start_is_refused_without_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "scalekit" else found(name)
    )
    assert "scalekit-sdk-python is not installed" in refusal(tmp_path, GOOD)


@pytest.mark.parametrize("package", ["fastapi", "fastmcp", "mcp", "scalekit-sdk-python"])
def test_start_is_refused_with_a_version_that_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    found = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.9.99" if name == package else found(name)
    )
    assert f"{package} is at 0.9.99, and at least" in refusal(tmp_path, GOOD)
    assert refusal(tmp_path, GOOD).count(" is at ") == 1


def test_a_package_that_is_not_installed_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.metadata.version

    def version(name: str) -> str | None:
        if name == "fastmcp":  # the server is of the official SDK
            raise importlib.metadata.PackageNotFoundError(name)
        # What is left of an installation may have metadata without a version.
        return None if name == "fastapi" else found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    load_guard(tmp_path, GOOD).Settings()


@pytest.mark.parametrize(
    ("older", "newer"), [("2.9", "2.14"), ("0.115.14", "0.165"), ("1.28", "2.0a1")]
)
def test_versions_are_compared_as_numbers(tmp_path: Path, older: str, newer: str) -> None:
    guard = load_guard(tmp_path, GOOD)
    assert guard.numbers(older) < guard.numbers(newer)
    assert not guard.numbers(newer) < guard.numbers(older)


def test_environment_is_left_as_it_is(tmp_path: Path) -> None:
    before = dict(os.environ)
    load_guard(tmp_path, GOOD).Settings()
    assert dict(os.environ) == before


def test_asked_without_a_start_it_fails_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client: Any = TestClient(stateless_app(load_guard(tmp_path, {})))
    assert client.get("/health").json() == {"status": "healthy"}
    began = time.monotonic() // 1
    for form in ("", "/", "/mcp"):
        answer = client.get(WELL_KNOWN + form)
        assert (answer.status_code, answer.json()) == (500, {"error": "config missing"})
    for path in ("/mcp", "/mcp/"):
        answer = client.post(path, headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.json()) == (503, {"error": "config missing"})
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["cache-control"] == "no-store"
        assert "www-authenticate" not in answer.headers
    assert "SK_CLIENT_SECRET is missing" in caplog.text
    assert len(caplog.records) <= 1 + time.monotonic() - began  # once a second


def test_settings_that_come_later_are_found(tmp_path: Path) -> None:
    guard = load_guard(tmp_path, {})
    client: Any = TestClient(stateless_app(guard))
    assert client.get(WELL_KNOWN).status_code == 500
    load_guard(tmp_path, GOOD)  # writes the file
    assert client.get(WELL_KNOWN).status_code == 200


def test_start_reads_the_settings_anew(tmp_path: Path) -> None:
    guard = load_guard(tmp_path, GOOD)
    other = "https://other.example/mcp"
    with TestClient(stateless_app(guard)) as client:
        assert client.get(WELL_KNOWN).json()["resource"] == URL
    load_guard(tmp_path, {**GOOD, "PROTECTED_RESOURCE_METADATA": metadata(resource=other)})
    with TestClient(stateless_app(guard)) as client:
        assert client.get(WELL_KNOWN).json()["resource"] == other


def test_start_that_fails_leaves_what_runs_alone(tmp_path: Path) -> None:
    guard = load_guard(tmp_path, GOOD)
    client: Any = TestClient(stateless_app(guard))
    assert client.get(WELL_KNOWN).status_code == 200
    load_guard(tmp_path, {})
    with pytest.raises(RuntimeError, match="is missing"), TestClient(stateless_app(guard)):
        pass
    assert client.get(WELL_KNOWN).status_code == 200
