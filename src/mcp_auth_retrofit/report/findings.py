"""Findings for people and for programs."""

import json

from mcp_auth_retrofit.check import Checked


def as_text(result: Checked) -> list[str]:
    """A line a finding, as linters print them, and one in the end."""
    lines = [
        f"{f.path}:{f.line}:{f.column}: {f.code} {f.message} [{f.name}]" for f in result.findings
    ]
    found, fixable = len(result.findings), sum(f.fixable for f in result.findings)
    files = f"{result.checked} file{'' if result.checked == 1 else 's'} checked"
    if not found:
        return [*lines, f"{files}, nothing found."]
    more = f"; {fixable} of them `mcp-auth-retrofit apply` mends" if fixable else ""
    return [*lines, f"{files}, {found} finding{'' if found == 1 else 's'}{more}."]


def as_json(result: Checked) -> str:
    """`{"findings": [...], "checked": n}`."""
    fields = ("code", "name", "severity", "path", "line", "column", "message", "fixable")
    findings = [{name: getattr(f, name) for name in fields} for f in result.findings]
    return json.dumps({"findings": findings, "checked": result.checked}, indent=2)


def troubles(result: Checked) -> list[str]:
    """What could not be checked: file, line, reason, way out."""
    said = []
    for path, reason in result.troubles:
        where = f"{path}:{reason.line}" if reason.line else str(path)
        said += [f"{where}: {reason.message} [{reason.code}]", f"  {reason.hint}"]
    return said
