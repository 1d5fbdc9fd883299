"""Every case, served before and after: what was there answers as it did, and MCP is guarded."""

from pathlib import Path
from typing import Any

import pytest

from harness.cases import BOOTED, REWRITES, Case
from harness.observing import Observation, observe
from harness.rewriting import Rewrite
from harness.warm import Warm
from laws.conftest import Rewritten
from mcp_auth_retrofit.verify.boot import CouldNotBoot
from mcp_auth_retrofit.verify.proof import Check, prove, spellings, unchanged
from mcp_auth_retrofit.verify.standin import Standin


def test_only_what_needs_another_library_is_not_booted() -> None:
    left = [case for case in REWRITES if case not in BOOTED]
    assert [case.name for case in left if not case.needs] == []
    assert len(left) <= len(REWRITES) // 10


@pytest.mark.parametrize("case", BOOTED, ids=lambda case: case.name)
def test_before_and_after(
    case: Case, rewritten: Rewritten, warm: Warm, standin: Standin, tmp_path: Path
) -> None:
    before_and_after(rewritten(case), warm, standin, tmp_path)


def before_and_after(
    result: Rewrite, warm: Warm, standin: Standin, folder: Path
) -> Observation | None:
    """Serve a project as it is, and with all written, in `folder`; what it was like before, or
    None where it does not start. Raises AssertionError for anything that is not as it was.
    """
    case = result.case
    result.written(folder / "after")
    token = standin.token()
    foreign = standin.token(aud="https://elsewhere.example/mcp")

    before: Observation | None = None
    try:
        with observe(case, result.root, warm.launch) as before:
            before.ask([*case.probes, *case.opens, *case.locks])
    except CouldNotBoot as problem:
        assert not case.starts_before, problem
    else:
        assert case.starts_before, "case.toml says that it does not start"

    def settings(url: str) -> dict[str, str]:
        return standin.settings(url + case.mcp)

    with observe(case, folder / "after", warm.launch, settings) as after:
        after.ask(case.probes)
        after.ask([*case.opens, *case.locks], token)
        locked = [after.one(method, path, {}) for method, path in case.locks]
        checks = prove(
            after.running.url,
            case.mcp,
            token=token,
            foreign=foreign,
            health_path=case.health,
            origin=case.origin,
            paths=case.spellings,
            sse=case.sse,
        )
        for path in case.also:
            checks += prove(
                after.running.url,
                case.mcp,
                token=token,
                foreign=foreign,
                health_path=case.health,
                origin=case.origin,
                paths=spellings(path),
            )

    assert failed(checks) == []
    assert [answer.status for answer in locked] == [401] * len(locked)
    assert [after.answers[probe].status for probe in case.opens] == [200] * len(case.opens)
    if before is None:
        assert {answer.status for answer in after.answers.values()} <= {200}
        return None
    assert before.events == after.events
    assert failed(compared(case, before, after)) == []
    assert {before.answers[probe].status for probe in case.opens} <= {404, 405, 401, 400}
    assert without_health(after.openapi, before.openapi) == before.openapi
    assert set(result.result.opened) >= {path for _, path in case.opens}
    return before


def failed(checks: list[Check]) -> list[str]:
    """What was not kept, in a form that a test report can show whole."""
    return [f"{check.name}: {check.answered}" for check in checks if not check.held]


def compared(case: Case, before: Observation, after: Observation) -> list[Check]:
    """Old routes; those that need a token now are asked with one."""
    probes = [probe for probe in (*case.probes, *case.locks) if probe[1] != "/openapi.json"]
    return [
        unchanged(method, path, before.answers[method, path], after.answers[method, path])
        for method, path in probes
    ]


def without_health(document: Any, before: Any) -> Any:
    """The OpenAPI document less the one operation that the plan announces, unless it was there."""
    if document is None or "get" in before["paths"].get("/health", {}):
        return document
    health = {k: v for k, v in document["paths"].get("/health", {}).items() if k != "get"}
    paths = {path: item for path, item in document["paths"].items() if path != "/health"}
    return {**document, "paths": {**paths, "/health": health} if health else paths}
