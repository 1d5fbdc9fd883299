"""The official TypeScript client: the same sign-in, with its strict issuer and resource checks."""

import json
from pathlib import Path
from typing import Any

from authorization_server import AuthorizationServer
from child import run
from promise import Promise
from toolbox import Toolbox
from way import SIGN_IN, told, way

SCRIPT = Path(__file__).parent / "typescript" / "sign_in.ts"


def promises(url: str, server: AuthorizationServer, tools: Toolbox) -> list[Promise]:
    """In both eras of the protocol."""
    name = f"@modelcontextprotocol/client {tools.version_of('client')}"
    expected = way(url, server.issuer)
    kept = []
    for mode in ("auto", "legacy"):
        server.steps.clear()
        done = run([tools.node, SCRIPT, url, mode])
        silent = {"answer": done.last_words, "trace": []}
        got: dict[str, Any] = silent if done.status else json.loads(done.out)
        answer, trace = got["answer"], got["trace"]
        signed_in = trace[: len(expected)] == expected and server.steps == SIGN_IN
        held = signed_in and answer == f"subject {server.subject}"
        came = f"{answer}; {told(trace, expected)}"
        kept.append(Promise(f"{name} signs in from a bare 401 ({mode})", held, came))
    return kept
