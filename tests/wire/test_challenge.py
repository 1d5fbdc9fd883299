"""What a request without a usable token is told (RFC 6750, 3; RFC 9728, 5.1)."""

import pytest

from wire.world import INITIALIZE, WELL_KNOWN, Site, challenge, raw_status

BOTH = pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/deeper"])


def assert_no_credentials(answer_site: Site, headers: dict[str, str], url: str = "/mcp") -> None:
    answer = answer_site.post(url, headers)
    assert answer.status_code == 401
    assert answer.json() == {"error": "Missing Bearer token"}
    assert answer.headers["cache-control"] == "no-store"
    assert challenge(answer) == {
        "realm": "OAuth",
        "resource_metadata": f"{answer_site.url}{WELL_KNOWN}/mcp",
    }


@BOTH
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "FOO"])
def test_no_token_is_challenged_whatever_the_method(mounted: Site, method: str, path: str) -> None:
    answer = mounted.http.request(method, path)
    assert answer.status_code == 401
    assert answer.json() == {"error": "Missing Bearer token"}
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="OAuth", resource_metadata="{mounted.url}{WELL_KNOWN}/mcp"'
    )
    assert answer.headers["cache-control"] == "no-store"


@BOTH
def test_head_without_token_is_401(mounted: Site, path: str) -> None:
    answer = mounted.http.head(path)
    assert (answer.status_code, answer.content) == (401, b"")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    "field",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Token x",
        "",
        "x",
        "Bearer\tx",
        "Bearer:x",
        "BearerX x",
        "==",
    ],
)
def test_other_scheme_or_no_token_is_as_no_credentials(mounted: Site, field: str) -> None:
    assert_no_credentials(mounted, {"authorization": field})


def test_bearer_and_a_space_is_as_no_credentials(mounted: Site) -> None:
    assert raw_status(mounted, "/mcp", "Bearer ") == 401


def test_token_in_query_alone_is_as_no_credentials(mounted: Site) -> None:
    assert_no_credentials(mounted, {}, f"/mcp?access_token={mounted.scalekit.token()}")


def test_token_in_form_body_is_as_no_credentials(mounted: Site) -> None:
    answer = mounted.http.post("/mcp", data={"access_token": mounted.scalekit.token()})
    assert answer.status_code == 401
    assert answer.json() == {"error": "Missing Bearer token"}


def test_token_in_cookie_is_as_no_credentials(mounted: Site) -> None:
    assert_no_credentials(mounted, {"cookie": f"access_token={mounted.scalekit.token()}"})


@pytest.mark.parametrize("first", ["good", "bad", "basic"])
def test_two_authorization_fields_are_400(mounted: Site, first: str) -> None:
    good = f"Bearer {mounted.scalekit.token()}"
    fields = {"good": good, "bad": "Bearer x", "basic": "Basic x"}
    answer = mounted.http.post(
        "/mcp", headers=[("authorization", fields[first]), ("authorization", good)]
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert challenge(answer)["error"] == "invalid_request"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["access_token", "%61ccess_token", "a=b&access_token"])
@pytest.mark.parametrize("value", ["x", ""])
def test_header_and_query_token_are_400(mounted: Site, name: str, value: str) -> None:
    answer = mounted.post(f"/mcp?{name}={value}", mounted.bearer())
    assert answer.status_code == 400
    assert challenge(answer)["error"] == "invalid_request"


def test_other_query_members_are_no_concern(mounted: Site) -> None:
    assert mounted.post("/mcp?token=x&my_access_token=y", mounted.bearer()).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "BeArEr"])
def test_lowercase_bearer_is_accepted(mounted: Site, scheme: str) -> None:
    field = f"{scheme} {mounted.scalekit.token()}"
    assert mounted.post("/mcp", {"authorization": field}).status_code == 200


def test_two_tokens_that_a_proxy_has_joined_are_401(mounted: Site) -> None:
    good = f"Bearer {mounted.scalekit.token()}"
    answer = mounted.post("/mcp", {"authorization": f"{good}, {good}"})
    assert answer.status_code == 401
    assert challenge(answer)["error"] == "invalid_token"


@pytest.mark.parametrize("odd", ["\xa0", "\x85", "\x1c"])
def test_only_spaces_stand_around_a_token(mounted: Site, odd: str) -> None:
    for text in (mounted.scalekit.token() + odd, odd + mounted.scalekit.token()):
        field = f"Bearer {text}".encode("latin-1")
        answer = mounted.http.post("/mcp", headers=[(b"authorization", field)])
        assert answer.status_code in (400, 401)  # 400: uvicorn itself takes no such header


def test_extra_spaces_are_accepted(mounted: Site) -> None:
    field = f"Bearer    {mounted.scalekit.token()}"
    assert mounted.post("/mcp", {"authorization": field}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-forwarded-prefix": "/evil"},
    ],
    ids=str,
)
def test_challenge_never_repeats_what_the_request_says(
    mounted: Site, headers: dict[str, str]
) -> None:
    assert_no_credentials(mounted, headers)


def test_challenge_names_a_url_that_answers(mounted: Site, at_root: Site) -> None:
    for site, path in ((mounted, "/mcp"), (at_root, "/")):
        url = challenge(site.post(path, {}))["resource_metadata"]
        assert site.http.get(url).json()["resource"] == site.url + path


def test_large_body_without_token_is_refused_unread(mounted: Site) -> None:
    answer = mounted.http.post("/mcp", content=b"x" * 2_000_000)
    assert answer.status_code == 401


def test_root_mount_is_challenged(at_root: Site) -> None:
    assert at_root.post("/", {}).status_code == 401
    assert at_root.post("/anything", {}).status_code == 401
    assert at_root.post("/", at_root.bearer()).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["oauth-authorization-server", "openid-configuration", "oauth-protected-resource/else", "x"],
)
def test_unknown_well_known_under_a_root_mount_is_404(at_root: Site, path: str) -> None:
    answer = at_root.http.get(f"/.well-known/{path}")
    assert answer.status_code == 404
    assert "www-authenticate" not in answer.headers


def test_own_routes_need_no_token(mounted: Site, at_root: Site) -> None:
    for site in (mounted, at_root):
        assert site.http.get("/health").json() == {"status": "healthy"}
        assert site.http.post("/orders").json() == {"orders": 3}
        assert site.http.get("/openapi.json").status_code == 200
    assert mounted.http.get("/unknown").json() == {"detail": "Not Found"}
    assert mounted.http.get("/mcpx").status_code == 404
    assert mounted.http.get("/orders").status_code == 405


def test_metadata_and_bare_path_are_not_in_the_schema(mounted: Site) -> None:
    assert set(mounted.http.get("/openapi.json").json()["paths"]) == {"/health", "/orders"}


def test_bare_path_answers_without_a_redirect(mounted: Site) -> None:
    answer = mounted.http.post("/mcp", json=INITIALIZE, headers=mounted.bearer())
    assert answer.history == []
    assert answer.status_code not in (307, 308)
