"""The way that every client has to take from a bare 401 to the first request that is let in."""

from urllib.parse import urlsplit

SIGN_IN = ["metadata", "register", "authorize", "token"]
"""What the authorization server sees of it."""


def way(resource: str, issuer: str) -> list[str]:
    """The requests and their answers. A client that has to guess where the metadata is takes more.

    The user's visit to the authorization server is missing: that is a browser's, not the client's.
    """
    path, below = urlsplit(resource).path, urlsplit(issuer).path
    return [
        f"POST {path} 401",
        f"GET /.well-known/oauth-protected-resource{path} 200",
        f"GET /.well-known/oauth-authorization-server{below} 200",
        f"POST {below}/register 201",
        f"POST {below}/token 200",
        f"POST {path} 200",
    ]


def told(trace: list[str], expected: list[str]) -> str:
    """The way that a client took: its statuses alone where it is the expected one."""
    taken = trace[: len(expected)]
    return " > ".join(step.rsplit(" ")[-1] if taken == expected else step for step in taken)
