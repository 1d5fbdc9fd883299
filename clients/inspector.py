"""MCP Inspector's command line: with a token, without one, and signing in by itself."""

import json
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps import SCOPE
from authorization_server import AuthorizationServer
from child import Ended, run
from promise import Promise
from python_client import SIGN_IN
from toolbox import Toolbox

BROWSER = """#!{python}
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(sys.argv[-1])
"""
"""Follows the URL that it is given, as a user would who has consented before."""
LIST = ("--method", "tools/list")
CALL = ("--method", "tools/call", "--tool-name", "whoami")


def promises(url: str, server: AuthorizationServer, tools: Toolbox) -> list[Promise]:
    """Each in both eras of the protocol."""
    name = f"inspector {tools.version_of('inspector')}"
    bearer = ("--header", f"Authorization: Bearer {server.token(scopes=[SCOPE])}")
    wanted = f"subject {server.subject}"
    kept = []
    for era in ("legacy", "auto"):
        # A home of its own each time: the Inspector keeps what it learns there.
        with tempfile.TemporaryDirectory(prefix="inspector-") as home:

            def ask(
                *arguments: str, era: str = era, home: str = home, **env: str
            ) -> tuple[Ended, str]:
                done = inspect(url, tools, Path(home), "--protocol-era", era, *arguments, **env)
                return done, answer(done)

            done, said = ask(*bearer, *LIST)
            listed = not done.status and "whoami" in said
            kept.append(Promise(f"{name} lists the tools with a token ({era})", listed, said))
            done, said = ask(*bearer, *CALL)
            kept.append(Promise(f"{name} calls one with a token ({era})", said == wanted, said))
            done, said = ask(*LIST)
            told = f"exit {done.status}, {said}"
            held = told == "exit 3, auth_required"
            kept.append(Promise(f"{name} is told to sign in without one ({era})", held, told))
            server.steps.clear()
            script = Path(home) / "browser"
            script.write_text(BROWSER.format(python=sys.executable), encoding="utf-8")
            script.chmod(0o700)
            done, said = ask(*CALL, MCP_AUTO_OPEN_ENABLED="true", BROWSER=str(script))
            held = said == wanted and server.steps == SIGN_IN
            told = f"{said}; {' > '.join(server.steps)}"
            kept.append(Promise(f"{name} signs in by itself ({era})", held, told))
    return kept


def inspect(url: str, tools: Toolbox, home: Path, *arguments: str, **env: str) -> Ended:
    """One run of the Inspector's command line."""
    program = tools.package("inspector") / "clients" / "launcher" / "build" / "index.js"
    callback = f"http://127.0.0.1:{free_port()}/oauth/callback"
    fixed = ["--cli", "--server-url", url, "--transport", "http", "--format", "json"]
    settled: Mapping[str, str] = {
        **tools.env,
        **env,
        "HOME": str(home),
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    given = ("--callback-url", callback, *arguments)
    return run([tools.node, program, *fixed, *given], env=settled, timeout=60)


def answer(done: Ended) -> str:
    """The names of the first tools, the tool's text, or the error's code."""
    words = (done.out or done.err).strip().splitlines()
    try:
        got: dict[str, Any] = json.loads(words[-1])
    except (IndexError, ValueError):
        return done.last_words
    if "error" in got:
        return str(got["error"]["code"])
    result = got["result"]
    if "tools" in result:
        names = [tool["name"] for tool in result["tools"]]
        return f"{', '.join(names[:3])} and {len(names[3:])} more"
    return str(result["content"][0]["text"])


def free_port() -> int:
    """For the callback; the Inspector can't be given a socket that is bound already."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
