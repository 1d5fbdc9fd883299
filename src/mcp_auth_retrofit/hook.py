"""The lean face of `check`, for pre-commit: standard library only."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mcp_auth_retrofit import __version__
from mcp_auth_retrofit.check import Checked, check
from mcp_auth_retrofit.report.findings import as_json, as_text, troubles
from mcp_auth_retrofit.report.out import complain, say
from mcp_auth_retrofit.rules import all_rules


def main(arguments: Sequence[str] | None = None) -> None:
    """`mcp-auth-check [--select CODES] [--output-format text|json] [PATH]...`."""
    parser = argparse.ArgumentParser(
        prog="mcp-auth-check", description="What is wrong with the MCP mounts of FastAPI apps."
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    parser.add_argument("--select", default="", metavar="CODES", help="e.g. MAR001,MAR002")
    parser.add_argument("--output-format", choices=("text", "json"), default="text")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    given = parser.parse_args(arguments)
    try:
        select = selected(given.select)
    except ValueError as error:
        parser.error(str(error))
    result = check(given.paths or [Path()], select)
    show(result, given.output_format)
    sys.exit(result.status)


def selected(codes: str) -> set[str]:
    """The codes of `--select`. Raises ValueError for one that no rule has."""
    wanted = {code.strip() for code in codes.split(",") if code.strip()}
    known = {rule.code for rule in all_rules()}
    if wanted - known:
        unknown = ", ".join(sorted(wanted - known))
        raise ValueError(f"no such rule: {unknown} (there are {', '.join(sorted(known))})")
    return wanted


def show(result: Checked, output_format: str) -> None:
    """Findings on stdout, what could not be checked on stderr."""
    for line in troubles(result):
        complain(line)
    if output_format == "json":
        say(as_json(result))
        return
    for line in as_text(result):
        say(line)


if __name__ == "__main__":
    main()
