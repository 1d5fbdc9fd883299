"""Other people's MCP clients against an app that the tool has put sign-in in front of.

    python clients/run.py

Installs Node (where it is missing or too old) and the packages of package.json beside itself.
Exit status 0: all promises hold; 1: something falls short; 2: a program that is needed is missing.
"""

import logging
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version

import cheats
import conformance
import inspector
import python_client
import typescript_client
from apps import guarded, unguarded
from authorization_server import AuthorizationServer
from promise import CouldNotRun, Promise
from toolbox import Toolbox, open_toolbox

from mcp_auth_retrofit.verify.boot import CouldNotBoot


def promises(tools: Toolbox) -> Iterator[Promise]:
    """One client after the other, so that none gets in another's way."""
    with AuthorizationServer() as server, guarded(server) as url:
        yield from cheats.promises(server)
        yield from python_client.promises(url, server)
        yield from typescript_client.promises(url, server, tools)
        yield from inspector.promises(url, server, tools)
        with unguarded() as open_url:
            yield from conformance.promises(url, open_url, server, tools)


def main() -> int:
    # As on Ctrl-C: every `with` ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.disable()  # a client's error is in its promise
    short = 0
    try:
        tools = open_toolbox()
        print(f"fastmcp {version('fastmcp')}, Node {tools.version}", flush=True)
        for promise in promises(tools):
            print(promise, flush=True)
            short += not promise.held
    except CouldNotRun as error:
        print(f"could not run: {error}", file=sys.stderr)
        return 2
    except CouldNotBoot as error:
        print(f"SHORT the app did not start: {error}")
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"{short} fall short" if short else "All promises hold.")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
