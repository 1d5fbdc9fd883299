"""`mcp-auth-retrofit helper`: the guard's module alone, for what has to be guarded by hand."""

from pathlib import Path
from typing import Annotated

import typer

from mcp_auth_retrofit.helper import helper_write
from mcp_auth_retrofit.report.out import complain, say
from mcp_auth_retrofit.results import Refused
from mcp_auth_retrofit.write import write_all

_USE = """
By hand, where apply is refused:
  add_protected_resource_metadata(app)                  # right behind app = FastAPI(...)
  app.mount("/mcp", ScalekitAuthMiddleware(mcp_app))    # instead of app.mount("/mcp", mcp_app)"""


def helper(
    directory: Annotated[Path, typer.Argument(help="Beside the file that mounts MCP.")] = Path(),
) -> None:
    """Write scalekit_auth.py alone, for an app that apply refuses.

    Exit status: 0 it is there, 1 refused, 2 it can't be written.
    """
    if not directory.is_dir():
        complain(f"{directory} is no folder.")
        raise typer.Exit(2)
    try:
        write = helper_write(directory)
        write_all([write])
    except Refused as refused:
        complain(f"Refused: {refused.reason.message} [{refused.reason.code}]")
        complain(f"  {refused.reason.hint}")
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"{directory} can't be written to: {error.strerror}.")
        raise typer.Exit(2) from None
    done = "is there already" if write.before == write.after else "is written"
    say(f"{write.path} {done}.\n{_USE}")
