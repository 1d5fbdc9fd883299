"""A conversation with an MCP server in plain JSON-RPC over HTTP, as the older clients hold it.

Plain httpx, so that each answer is seen as it is: no redirect is followed and nothing is retried.
The `initialize` handshake is what servers of every generation understand.
"""

import json
from typing import Any

import httpx

ACCEPT = {"Accept": "application/json, text/event-stream"}
REVISION = "2025-06-18"


class NoAnswer(Exception):
    """The server said something else than a JSON-RPC result; the text says what."""


class Conversation:
    """One session of one user at one URL."""

    def __init__(self, client: httpx.Client, path: str, token: str | None = None) -> None:
        self._client = client
        self._path = path
        self._headers = dict(ACCEPT)
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._last_id = 0

    def open(self) -> None:
        """Shake hands. Raises `NoAnswer`."""
        params = {
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": {"name": "mcp-auth-retrofit", "version": "1"},
        }
        self._request("initialize", params)
        self._headers["MCP-Protocol-Version"] = REVISION
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tools(self) -> list[dict[str, Any]]:
        """The tools as the server describes them. Raises `NoAnswer`."""
        listed = self._request("tools/list", {})["tools"]
        return list(listed)

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of one tool call, `isError` and all. Raises `NoAnswer`."""
        return self._request("tools/call", {"name": name, "arguments": arguments})

    def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        response = self._post(message)
        # A stateless server never sends one.
        if session := response.headers.get("mcp-session-id"):
            self._headers["Mcp-Session-Id"] = session
        for reply in _messages(response):
            if reply.get("id") == self._last_id:
                if "result" in reply:
                    return dict(reply["result"])
                raise NoAnswer(f"{method}: {reply.get('error')}")
        raise NoAnswer(f"{method}: {response.status_code} without a reply")

    def _post(self, message: dict[str, Any]) -> httpx.Response:
        response = self._client.post(self._path, json=message, headers=self._headers)
        if not response.is_success:
            raise NoAnswer(f"{message['method']}: {response.status_code} {response.text[:200]}")
        return response


def _messages(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON-RPC messages of a body: one JSON document, or one in each event of a stream."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = response.text.splitlines()
        # An event without data is how FastMCP primes a stream that can be resumed.
        texts = [line[5:] for line in lines if line.startswith("data:") and line[5:].strip()]
        return [json.loads(text) for text in texts]
    return [response.json()]


def sample_arguments(tool: dict[str, Any]) -> dict[str, Any]:
    """Arguments that fit the tool's input schema: the required ones, each of its plain type."""
    samples: dict[str, Any] = {
        "string": "x",
        "integer": 1,
        "number": 1.0,
        "boolean": True,
        "array": [],
        "object": {},
    }
    schema = tool.get("inputSchema", {})
    properties = schema.get("properties", {})
    return {
        name: samples.get(properties.get(name, {}).get("type"))
        for name in schema.get("required", [])
    }
