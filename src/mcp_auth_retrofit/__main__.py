"""`mcp-auth-retrofit` and `python -m mcp_auth_retrofit`."""

import gc

from mcp_auth_retrofit.cli import app


def main() -> None:
    """Run the command line."""
    # Syntax trees hold no cycles, and looking for some took a third of the time on large projects.
    gc.disable()
    app()


if __name__ == "__main__":
    main()
