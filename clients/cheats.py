"""Whether the stand-in refuses who cheats: a sign-in at one that doesn't would prove nothing."""

import httpx
from authorization_server import AuthorizationServer
from promise import Promise

CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "the-verifier-of-whoever-began-and-of-nobody-else"
CHALLENGE = "AI_1PwJ5hCmkX9UFmsfB3f9qn0ir_JpXGCr2Gg9WQNQ"  # S256 of it (RFC 7636, 4.2)


def promises(server: AuthorizationServer) -> list[Promise]:
    """Each cheat, and the error that answers it; the honest way beside them."""
    resource = server.grants.resource
    with httpx.Client(base_url=server.issuer, trust_env=False) as http:
        client = http.post("/register", json={"redirect_uris": [CALLBACK]}).json()["client_id"]

        def code(**other: str) -> str:
            asked = {
                "response_type": "code",
                "client_id": client,
                "redirect_uri": CALLBACK,
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
                "resource": resource,
                **other,
            }
            answer = http.get("/authorize", params=asked)
            back = httpx.URL(answer.headers.get("location", "")).params
            return back.get("code") or back.get("error") or str(answer.status_code)

        def redeem(code: str, **other: str) -> str:
            form = {
                "grant_type": "authorization_code",
                "client_id": client,
                "code": code,
                "code_verifier": VERIFIER,
                "redirect_uri": CALLBACK,
                "resource": resource,
                **other,
            }
            return str(http.post("/token", data=form).json().get("error", "tokens"))

        spent = code()
        outcomes = {
            "honest": redeem(spent),
            "the code again": redeem(spent),
            "another's verifier": redeem(code(), code_verifier="x" * 43),
            "another resource": code(resource="https://elsewhere.example/mcp"),
            "PKCE in the clear": code(code_challenge_method="plain"),
            "another's redirect URI": code(redirect_uri="http://127.0.0.1:2/"),
        }
    wanted = ["tokens", *["invalid_grant"] * 2, "invalid_target", "invalid_request", "400"]
    said = ", ".join(f"{cheat}: {outcome}" for cheat, outcome in outcomes.items())
    held = list(outcomes.values()) == wanted
    return [Promise("the authorization server refuses cheats", held, said)]
