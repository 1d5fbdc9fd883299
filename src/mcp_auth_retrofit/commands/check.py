"""`mcp-auth-retrofit check`: what is wrong with the MCP mounts of FastAPI apps."""

from pathlib import Path
from typing import Annotated

import typer

from mcp_auth_retrofit.check import check as run_check
from mcp_auth_retrofit.commands.apply import OutputFormat
from mcp_auth_retrofit.hook import selected, show


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files and folders. Without any: this folder."),
    ] = None,
    select: Annotated[
        str, typer.Option(metavar="CODES", help="Only these rules, e.g. MAR001,MAR002.")
    ] = "",
    output_format: Annotated[
        OutputFormat, typer.Option(help="With json, stdout carries one JSON document alone.")
    ] = OutputFormat.text,
) -> None:
    """Find what an MCP mount buries, what buries it, and MCP servers that are open.

    Exit status: 0 clean, 1 findings, 2 something could not be checked.
    """
    try:
        codes = selected(select)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    result = run_check(paths or [Path()], codes)
    show(result, output_format.value)
    raise typer.Exit(result.status)
