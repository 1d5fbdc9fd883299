"""`mcp-auth-retrofit` and `python -m mcp_auth_retrofit`."""


def main() -> None:
    """Run the command line."""
    from mcp_auth_retrofit.cli import app

    app()


if __name__ == "__main__":
    main()
