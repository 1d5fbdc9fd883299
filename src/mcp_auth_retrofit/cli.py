"""The face: what `mcp-auth-retrofit` takes. Each command lives in a module of its own."""

from typing import Annotated

import typer

from mcp_auth_retrofit import __version__
from mcp_auth_retrofit.commands.apply import apply
from mcp_auth_retrofit.commands.check import check
from mcp_auth_retrofit.commands.helper import helper
from mcp_auth_retrofit.commands.new import new

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mcp-auth-retrofit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Scalekit sign-in for the MCP server of an existing FastAPI app."""


app.command()(apply)
app.command()(check)
app.command()(new)
app.command()(helper)
