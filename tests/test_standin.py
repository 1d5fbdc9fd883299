"""The stand-in is held to what the real SDK makes of it; else it would prove nothing."""

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from mcp_auth_retrofit.verify.standin import Standin, public_pem, rsa_key

with warnings.catch_warnings():  # fifty of the SDK's own, on its first import
    warnings.simplefilter("ignore")
    from scalekit.client import ScalekitClient
    from scalekit.common.exceptions import ScalekitUnauthorizedException
    from scalekit.common.scalekit import TokenValidationOptions

RESOURCE = "http://localhost:3002/mcp"


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as one:
        yield one


def sdk(standin: Standin) -> Any:
    return ScalekitClient(standin.url, standin.client_id, standin.client_secret)


def options(standin: Standin) -> Any:
    return TokenValidationOptions([standin.url, standin.issuer], [RESOURCE, standin.resource_id])


def test_the_sdk_signs_in_and_accepts_a_good_token(standin: Standin) -> None:
    claims = sdk(standin).validate_token(standin.token(), options(standin))
    assert claims["sub"] == "usr_alice"
    assert (standin.sign_ins, standin.fetches) == (1, 1)


def test_the_sdk_refuses_a_wrong_secret(standin: Standin) -> None:
    with pytest.raises(ScalekitUnauthorizedException):
        ScalekitClient(standin.url, standin.client_id, "wrong")


def test_claims_and_header_are_put_over_the_usual_ones(standin: Standin) -> None:
    token = standin.token(sub="usr_bob", exp=None, extra=[1], header={"typ": None, "x": "y"})
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["extra"], "exp" in claims) == ("usr_bob", [1], False)
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": standin.kid, "x": "y"}


def test_foreign_key_unsigned_and_hmac_tokens_are_what_they_claim(standin: Standin) -> None:
    foreign = standin.token(key=rsa_key(99), aud=RESOURCE)
    assert jwt.decode(foreign, rsa_key(99).public_key(), ["RS256"], audience=RESOURCE)
    unsigned = standin.token(alg="none")
    assert jwt.get_unverified_header(unsigned)["alg"] == "none"
    assert unsigned.endswith(".")
    secret = b"thirty-two bytes that are no PEM"
    assert jwt.decode(
        standin.token(alg="HS256", key=secret, aud=RESOURCE), secret, ["HS256"], audience=RESOURCE
    )
    assert public_pem(standin.key).startswith(b"-----BEGIN PUBLIC KEY-----")


def test_rotate_adds_a_key_and_withdraw_takes_one_away(standin: Standin) -> None:
    old, first = standin.token(), standin.kid
    second = standin.rotate()
    assert second != first
    assert [key["kid"] for key in standin.jwks()["keys"]] == [first, second]
    client = sdk(standin)
    for token in (old, standin.token()):
        assert client.validate_token(token, options(standin))
    standin.withdraw(first)
    assert [key["kid"] for key in httpx.get(standin.url + "/keys").json()["keys"]] == [second]
    with pytest.raises(KeyError):
        sdk(standin).validate_token(old, options(standin))


def test_withdrawing_what_is_not_published_is_an_error(standin: Standin) -> None:
    with pytest.raises(KeyError):
        standin.withdraw("no-such-key")


def test_delay_and_failures(standin: Standin) -> None:
    standin.delay = 0.2
    began = time.monotonic()
    assert httpx.get(standin.url + "/keys").status_code == 200
    assert time.monotonic() - began >= 0.2
    standin.delay, standin.fail, standin.fail_sign_in = 0.0, 502, 429
    assert httpx.get(standin.url + "/keys").status_code == 502
    assert httpx.post(standin.url + "/oauth/token").status_code == 429
    assert (standin.fetches, standin.sign_ins) == (2, 1)


def test_slow_keys_hold_nobody_else_up(standin: Standin) -> None:
    standin.delay = 0.3
    began = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        answers = pool.map(lambda _: httpx.get(standin.url + "/keys").status_code, range(5))
    assert list(answers) == [200] * 5
    assert time.monotonic() - began < 1.2
    assert standin.fetches == 5


def test_unknown_paths_are_404(standin: Standin) -> None:
    assert httpx.get(standin.url + "/else").status_code == 404
    assert httpx.post(standin.url + "/keys").status_code == 404


def test_settings_and_metadata_fit_each_other(standin: Standin) -> None:
    settings = standin.settings(RESOURCE)
    assert settings["SK_ENV_URL"] == standin.url
    assert settings["EXPECTED_AUDIENCE"] == RESOURCE
    metadata = standin.metadata(RESOURCE)
    assert metadata["resource"] == RESOURCE
    assert metadata["authorization_servers"] == [standin.issuer]


def test_two_at_once_do_not_share_an_address() -> None:
    with Standin() as one, Standin() as other:
        assert one.url != other.url
        assert httpx.get(one.url + "/keys").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(one.url + "/keys")
