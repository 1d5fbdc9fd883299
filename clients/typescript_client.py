"""The official TypeScript client: the same sign-in, with its strict issuer and resource checks."""

import json
from pathlib import Path
from typing import Any

from authorization_server import AuthorizationServer
from child import run
from promise import Promise
from python_client import SIGN_IN, told, way
from toolbox import Toolbox

SCRIPT = Path(__file__).parent / "typescript" / "sign_in.ts"


def promises(url: str, server: AuthorizationServer, tools: Toolbox) -> list[Promise]:
    """In both eras of the protocol."""
    name = f"@modelcontextprotocol/client {tools.version_of('client')}"
    expected = way(url, server.issuer)
    kept = []
    for mode in ("auto", "legacy"):
        server.steps.clear()
        done = run([tools.node, SCRIPT, url, mode])
        got: dict[str, Any] = json.loads(done.out) if not done.status else {}
        answer = got.get("answer", [{}])[0].get("text", done.last_words)
        trace = got.get("trace", [])
        held = (
            answer == f"subject {server.subject}"
            and "whoami" in got["tools"]
            and trace[: len(expected)] == expected
            and server.steps == SIGN_IN
        )
        came = f"{answer}; {told(trace, expected)}"
        kept.append(Promise(f"{name} signs in from a bare 401 ({mode})", held, came))
    return kept
