"""The official conformance suite: the guarded server against the same server without a guard.

The suite sends no token, so a proxy adds one. What the app itself lacks fails on both sides; what
counts is that no check of any scenario comes out worse behind the guard.
"""

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps import SCOPE
from authorization_server import AuthorizationServer
from child import run
from promise import Promise
from proxy import adding
from toolbox import Toolbox

REVISIONS = ("2025-11-25", "2026-07-28")
"""Of the protocol: the first with sessions and streams, the second without."""

Checks = Mapping[str, Counter[tuple[str, str]]]
"""By scenario: how often each check had each outcome."""


def promises(url: str, open_url: str, server: AuthorizationServer, tools: Toolbox) -> list[Promise]:
    """`url` is guarded, `open_url` the same server without a guard."""
    name = f"conformance {tools.version_of('conformance')}"
    without = checks(url, tools, "--scenario", "tools-call-simple-text")
    refused = bool(without) and not any(map(passed, without.values()))
    kept = [Promise(f"{name} gets no answer without a token", refused, summary(without))]
    token = server.token(scopes=[SCOPE])
    for revision in REVISIONS:
        unguarded = checks(open_url, tools, "--requirements", revision)
        with adding(token, url) as proxy:
            guarded = checks(proxy, tools, "--requirements", revision)
        worse = compare(unguarded, guarded)
        told = f"unguarded {summary(unguarded)}; guarded {summary(guarded)}"
        better = sorted(set(compare(guarded, unguarded)) - set(worse))
        told = ", ".join(worse) or f"{told}; better: {', '.join(better) or 'none'}"
        held = bool(unguarded) and not worse
        kept.append(Promise(f"{name}, {revision}: no scenario is worse guarded", held, told))
    return kept


def checks(url: str, tools: Toolbox, *which: str) -> Checks:
    """What one run of the suite found. Empty when it did not run at all."""
    program = tools.package("conformance") / "dist" / "index.js"
    found: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        where = ("server", "--url", url, "-o", folder)
        run([tools.node, program, *where, *which], timeout=600)
        for file in Path(folder).glob("**/checks.json"):
            # The folder is called server-SCENARIO-TIME.
            scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
            one: Any
            for one in json.loads(file.read_text(encoding="utf-8")):
                found[scenario][one["id"], one["status"]] += 1
    return found


def passed(outcomes: Counter[tuple[str, str]]) -> bool:
    """As the suite counts it: nothing failed."""
    return not any(status == "FAILURE" for _, status in outcomes)


def summary(found: Checks) -> str:
    """How many scenarios passed, and how many checks."""
    scenarios = sum(map(passed, found.values()))
    statuses: Counter[str] = Counter()
    for outcomes in found.values():
        for (_, status), count in outcomes.items():
            statuses[status] += count
    good, bad = statuses["SUCCESS"], statuses["FAILURE"]
    return f"{scenarios} of {len(found)} scenarios, {good} of {good + bad} checks"


def compare(before: Checks, after: Checks) -> list[str]:
    """The scenarios that came out worse the second time."""
    nothing: Counter[tuple[str, str]] = Counter()
    return [one for one, was in before.items() if worse(was, after.get(one, nothing))]


def worse(was: Counter[tuple[str, str]], now: Counter[tuple[str, str]]) -> bool:
    """Whether a check succeeds less often than before, or fails or warns more often."""
    lost = any(now[key] < was[key] for key in was if key[1] == "SUCCESS")
    return lost or any(now[key] > was[key] for key in now if key[1] in ("FAILURE", "WARNING"))
