"""`mcp-auth-retrofit` and `python -m mcp_auth_retrofit`."""

from mcp_auth_retrofit.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
