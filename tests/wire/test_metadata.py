"""Protected resource metadata (RFC 9728, 3): where it answers, and how."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mcp_auth_retrofit.verify.standin import Standin
from wire.world import WELL_KNOWN, Site, challenge, load_guard, raw_status, site, stateless_app

FORMS = pytest.mark.parametrize("form", ["", "/", "/mcp", "/mcp/"])


@FORMS
def test_metadata_answers_in_every_form(mounted: Site, form: str) -> None:
    answer = mounted.http.get(WELL_KNOWN + form)
    assert answer.status_code == 200
    assert answer.history == []
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    configured = mounted.scalekit.metadata(mounted.url + "/mcp")
    assert configured.pop("scopes_supported") == []
    assert answer.json() == configured


@FORMS
def test_metadata_answers_head(mounted: Site, form: str) -> None:
    answer = mounted.http.head(WELL_KNOWN + form)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


@FORMS
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "FOO"])
def test_other_methods_on_metadata_are_405(mounted: Site, form: str, method: str) -> None:
    answer = mounted.http.request(method, WELL_KNOWN + form)
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@FORMS
def test_metadata_preflight_lets_a_browser_client_start(mounted: Site, form: str) -> None:
    answer = mounted.http.options(
        WELL_KNOWN + form,
        headers={
            "origin": "https://any.example",
            "access-control-request-method": "GET",
            "access-control-request-headers": "mcp-protocol-version",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "mcp-protocol-version" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "path", ["/else", "/mcp/deeper", "//", "/mcp//", "/MCP", "/mcp/../mcp", "x", "/health"]
)
def test_other_path_forms_are_404(mounted: Site, path: str) -> None:
    assert raw_status(mounted, WELL_KNOWN + path) == 404


def test_metadata_of_a_root_mount_has_the_root_form_alone(at_root: Site) -> None:
    assert at_root.http.get(WELL_KNOWN).json()["resource"] == at_root.url + "/"
    assert at_root.http.get(WELL_KNOWN + "/").status_code == 200
    assert at_root.http.get(WELL_KNOWN + "/mcp").status_code == 404


def test_members_without_a_value_are_left_out(folder: Path, scalekit: Standin) -> None:
    metadata = {
        **scalekit.metadata("https://mcp.example/mcp"),
        "jwks_uri": None,
        "resource_name": "",
        "tls_client_certificate_bound_access_tokens": False,
    }
    settings = {"PROTECTED_RESOURCE_METADATA": json.dumps(metadata)}
    with site(folder / "empty", scalekit, stateless_app, **settings) as one:
        served = one.http.get(WELL_KNOWN).json()
    assert set(metadata) - set(served) == {"jwks_uri", "scopes_supported"}
    assert served["tls_client_certificate_bound_access_tokens"] is False


@pytest.mark.parametrize(
    ("listed", "served"),
    [
        ([], ["todo:read", "todo:write"]),
        (None, ["todo:read", "todo:write"]),
        (["x", "todo:write"], ["x", "todo:write", "todo:read"]),
        ("as one text", "as one text"),
    ],
)
def test_required_scopes_are_listed(tmp_path: Path, listed: Any, served: Any) -> None:
    """MCP Inspector asks for what the metadata lists, and does not read the challenge."""
    with Standin() as scalekit:
        metadata = {**scalekit.metadata("https://x.example/mcp"), "scopes_supported": listed}
        settings = {
            **scalekit.settings("https://x.example/mcp"),
            "PROTECTED_RESOURCE_METADATA": json.dumps(metadata),
            "MCP_REQUIRED_SCOPES": "todo:read todo:write",
        }
        guard = load_guard(tmp_path, settings)
        answer = TestClient(stateless_app(guard)).get(WELL_KNOWN)
    assert answer.json()["scopes_supported"] == served


def test_challenge_names_the_configured_resource_not_this_host(
    folder: Path, scalekit: Standin
) -> None:
    metadata = {
        "PROTECTED_RESOURCE_METADATA": json.dumps(scalekit.metadata("HTTPS://MCP.Example/mcp/"))
    }
    with site(folder / "public", scalekit, stateless_app, **metadata) as one:
        named = challenge(one.post("/mcp", {}))["resource_metadata"]
        assert named == f"https://mcp.example{WELL_KNOWN}/mcp/"
        for form in ("/mcp", "/mcp/"):
            assert one.http.get(WELL_KNOWN + form).json()["resource"] == "HTTPS://MCP.Example/mcp/"


def test_challenge_of_a_root_mount_has_no_slash_at_its_end(at_root: Site) -> None:
    assert challenge(at_root.post("/", {}))["resource_metadata"] == at_root.url + WELL_KNOWN


def test_percent_encoded_resource_path(folder: Path, scalekit: Standin) -> None:
    def build(guard: ModuleType) -> FastAPI:
        return stateless_app(guard, "/my mcp")

    with site(folder / "encoded", scalekit, build, resource="/my%20mcp") as one:
        named = challenge(one.post("/my%20mcp", {}))["resource_metadata"]
        assert named == f"{one.url}{WELL_KNOWN}/my%20mcp"
        assert one.http.get(named).status_code == 200


@pytest.mark.parametrize("root", ["api", "/api", "api/", "/api/"])
def test_prefix_may_be_written_without_its_slash(
    folder: Path, scalekit: Standin, root: str
) -> None:
    def build(guard: ModuleType) -> FastAPI:
        app = stateless_app(guard)
        app.root_path = root
        return app

    with site(folder / root.replace("/", "_"), scalekit, build, resource="/api/mcp") as one:
        named = challenge(one.post("/mcp", {}))["resource_metadata"]
        assert named == f"{one.url}/api{WELL_KNOWN}/mcp"
        assert one.http.get(f"{WELL_KNOWN}/mcp").status_code == 200


def test_prefix_that_is_not_the_resources_own_is_only_put_before(
    folder: Path, scalekit: Standin
) -> None:
    with site(folder / "ap", scalekit, stateless_app, resource="/api/mcp", root_path="/ap") as one:
        named = challenge(one.post("/mcp", {}))["resource_metadata"]
        assert named == f"{one.url}/ap{WELL_KNOWN}/api/mcp"


def test_behind_a_stripping_proxy_whose_prefix_is_the_whole_resource(
    folder: Path, scalekit: Standin
) -> None:
    def build(guard: ModuleType) -> FastAPI:
        return stateless_app(guard, "/")

    with site(folder / "whole_prefix", scalekit, build, resource="/api", root_path="/api") as one:
        named = challenge(one.post("/", {}))["resource_metadata"]
        assert named == f"{one.url}/api{WELL_KNOWN}"
        assert one.http.get(WELL_KNOWN).json()["resource"] == one.url + "/api"


@pytest.mark.parametrize("outer", ["/api", "/api/v1"])
def test_behind_a_stripping_proxy_the_challenge_names_the_live_url(
    folder: Path, scalekit: Standin, outer: str
) -> None:
    resource = outer + "/mcp"
    with site(
        folder / f"proxy{len(outer)}", scalekit, stateless_app, resource=resource, root_path=outer
    ) as one:
        # uvicorn puts --root-path before the path itself: the proxy has stripped it.
        answer = one.post("/mcp", {})
        assert challenge(answer)["resource_metadata"] == f"{one.url}{outer}{WELL_KNOWN}/mcp"
        for form in ("", "/", "/mcp", "/mcp/", resource, resource + "/"):
            assert one.http.get(WELL_KNOWN + form).json()["resource"] == one.url + resource
        assert one.http.get(WELL_KNOWN + outer).status_code == 404
        assert one.post("/mcp", one.bearer()).status_code == 200
        assert one.post("/mcp/", one.bearer()).status_code == 200
