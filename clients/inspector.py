"""MCP Inspector's command line: with a token, without one, and signing in by itself."""

import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from apps import SCOPE
from authorization_server import AuthorizationServer
from child import Ended, run
from promise import Promise
from toolbox import Toolbox
from way import SIGN_IN

BROWSER = """#!{python}
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(sys.argv[-1])
"""
"""Follows the URL that it is given, as a user would who has consented before."""
LIST = ("--method", "tools/list")
CALL = ("--method", "tools/call", "--tool-name", "whoami")


def promises(url: str, server: AuthorizationServer, tools: Toolbox) -> list[Promise]:
    """Each in both eras of the protocol."""
    kept: list[Promise] = []
    for era in ("legacy", "auto"):
        # A home of its own: the Inspector keeps what it learns there.
        with tempfile.TemporaryDirectory(prefix="inspector-") as home:
            ask = partial(inspect, url, tools, Path(home), "--protocol-era", era)
            kept += in_era(era, ask, server, Path(home) / "browser", tools)
    return kept


def in_era(
    era: str, ask: Callable[..., Ended], server: AuthorizationServer, browser: Path, tools: Toolbox
) -> Iterator[Promise]:
    """`ask` runs the Inspector; `browser` is where its browser may be put."""
    name = f"inspector {tools.version_of('inspector')}"
    wanted = f"subject {server.subject}"
    bearer = ("--header", f"Authorization: Bearer {server.token(scopes=[SCOPE])}")
    said = answer(ask(*bearer, *LIST))
    yield Promise(f"{name} lists the tools with a token ({era})", "whoami" in said, said)
    said = answer(ask(*bearer, *CALL))
    yield Promise(f"{name} calls one with a token ({era})", said == wanted, said)
    done = ask(*LIST)
    said = f"exit {done.status}, {answer(done)}"
    held = said == "exit 3, auth_required"
    yield Promise(f"{name} is told to sign in without one ({era})", held, said)
    server.steps.clear()
    browser.write_text(BROWSER.format(python=sys.executable), encoding="utf-8")
    browser.chmod(0o700)
    said = answer(ask(*CALL, MCP_AUTO_OPEN_ENABLED="true", BROWSER=str(browser)))
    held = said == wanted and server.steps == SIGN_IN
    said = f"{said}; {' > '.join(server.steps)}"
    yield Promise(f"{name} signs in by itself ({era})", held, said)


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
    """The names of the first tools, the tool's text, or the error: its code, or else its text."""
    words = (done.out or done.err).strip().splitlines()
    try:
        got: dict[str, Any] = json.loads(words[-1])
    except (IndexError, ValueError):
        return done.last_words
    if "error" in got:
        code, text = got["error"]["code"], got["error"].get("message", "")
        return str(text if code == "error" else code)
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
