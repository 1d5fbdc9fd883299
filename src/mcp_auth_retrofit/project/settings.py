"""The settings of the code that users receive, and what they are for one MCP path."""

import json

PORT = 3002
ENV_URL = "https://your-env.scalekit.com"
UNKNOWN = "/WHERE-MCP-ANSWERS"
"""Stands for a path that only a run can tell."""
REQUIRED = (
    "SK_ENV_URL",
    "SK_CLIENT_ID",
    "SK_CLIENT_SECRET",
    "EXPECTED_AUDIENCE",
    "PROTECTED_RESOURCE_METADATA",
)


def mcp_url(mcp_path: str, port: int = PORT) -> str:
    """Where MCP answers on this machine, as clients and Scalekit name it: no slash at the end
    unless it is the whole path (RFC 8707, 2)."""
    return f"http://localhost:{port}{mcp_path.rstrip('/') or '/'}"


def metadata(mcp_path: str, port: int = PORT) -> dict[str, object]:
    """The protected resource metadata (RFC 9728, 2); members without a value are left out."""
    return {
        "authorization_servers": [f"{ENV_URL}/resources/res_..."],
        "bearer_methods_supported": ["header"],
        "resource": mcp_url(mcp_path, port),
    }


def settings(mcp_path: str, port: int = PORT) -> dict[str, str]:
    """Every required setting in its order, with a placeholder where only the dashboard knows."""
    document = json.dumps(metadata(mcp_path, port), separators=(",", ":"))
    values = (ENV_URL, "...", "...", mcp_url(mcp_path, port), document)
    return dict(zip(REQUIRED, values, strict=True))


def env_line(name: str, value: str) -> str:
    """One line of an .env file; JSON in single quotes, which dotenv and shells take as they are."""
    return f"{name}='{value}'" if '"' in value else f"{name}={value}"
