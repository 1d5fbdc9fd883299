"""Every question of the proof can be failed: a made-up server keeps all promises but one."""

import json
from collections.abc import Callable

import httpx
import pytest

from mcp_auth_retrofit.verify import proof
from mcp_auth_retrofit.verify.proof import Answer, Check

DOCUMENT = {"resource": "http://app/mcp"}
LIVE = "http://app/.well-known/oauth-protected-resource/mcp"
TOOLS = [
    {"name": "add", "inputSchema": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}
]


class Server:
    """Promises kept, apart from the one that `flaw` names."""

    def __init__(self, flaw: str = "") -> None:
        self.flaw = flaw

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/.well-known/"):
            return self.metadata()
        if path == "/health":
            return httpx.Response(401 if self.flaw == "health locked" else 200, json={})
        if path == "/mcp" and self.flaw == "redirect":
            return httpx.Response(307, headers={"location": "/mcp/"})
        if request.method == "OPTIONS":
            return self.preflight()
        token = request.headers.get("authorization")
        if self.flaw != "open" and token != "Bearer good":
            return self.refusal(token)
        return self.rpc(json.loads(request.content))

    def metadata(self) -> httpx.Response:
        if self.flaw == "no metadata":
            return httpx.Response(404)
        servers = [] if self.flaw == "no server" else ["http://as"]
        return httpx.Response(200, json={**DOCUMENT, "authorization_servers": servers})

    def preflight(self) -> httpx.Response:
        if self.flaw == "no preflight":
            return httpx.Response(401)
        headers = {"access-control-allow-origin": proof.INSPECTOR}
        if self.flaw != "authorization not allowed":
            headers["access-control-allow-headers"] = "Authorization, Content-Type"
        return httpx.Response(204, headers=headers)

    def refusal(self, token: str | None) -> httpx.Response:
        url = "http://elsewhere/x" if self.flaw == "dead challenge" else LIVE
        error = 'error="invalid_token", ' if token or self.flaw == "early error" else ""
        if self.flaw == "no error":
            error = ""
        challenge = f'Bearer {error}resource_metadata="{url}"'
        if self.flaw == "no challenge":
            return httpx.Response(401)
        status = 403 if self.flaw == "403" else 401
        return httpx.Response(status, headers={"www-authenticate": challenge})

    def rpc(self, message: dict[str, object]) -> httpx.Response:
        if "id" not in message:
            return httpx.Response(202)
        result: dict[str, object] = {}
        if message["method"] == "tools/list":
            result = {"tools": [] if self.flaw == "no tools" else TOOLS}
        if message["method"] == "tools/call":
            if self.flaw == "rpc error":
                return httpx.Response(200, json={"id": message["id"], "error": {"code": 1}})
            failed = self.flaw == "tool fails"
            result = {"content": [{"type": "text", "text": "2"}], "isError": failed}
        reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        stream = f"id: 1\ndata: \n\nevent: message\ndata: {reply}\n\n"
        return httpx.Response(200, text=stream, headers={"content-type": "text/event-stream"})


def handle(server: Server) -> Callable[[httpx.Request], httpx.Response]:
    """Only the host `app` is there."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != "app":
            raise httpx.ConnectError("no such host")
        if server.flaw == "silent":
            raise httpx.ReadTimeout("nothing")
        return server(request)

    return answer


Question = Callable[[httpx.Client], Check]
QUESTIONS: dict[str, tuple[Question, list[str]]] = {
    "metadata": (
        lambda http: proof.metadata(http, "/.well-known/oauth-protected-resource"),
        ["no metadata", "no server", "silent"],
    ),
    "health": (proof.health, ["health locked", "silent"]),
    "no token": (
        lambda http: proof.refuses_without_token(http, "/mcp"),
        ["open", "redirect", "dead challenge", "no challenge", "early error", "403", "no metadata"],
    ),
    "bad token": (
        lambda http: proof.refuses_token(http, "/mcp", "foreign", "another audience"),
        ["open", "redirect", "no challenge", "no error", "403", "silent"],
    ),
    "tools": (
        lambda http: proof.lists_tools(http, "/mcp", "good"),
        ["redirect", "no tools", "silent"],
    ),
    "a wrong token": (lambda http: _turned(proof.lists_tools(http, "/mcp", "bad")), ["open"]),
    "call": (
        lambda http: proof.calls_tool(http, "/mcp", "good"),
        ["redirect", "no tools", "tool fails", "rpc error", "silent"],
    ),
    "preflight": (
        lambda http: proof.answers_preflight(http, "/mcp"),
        ["redirect", "no preflight", "authorization not allowed", "silent"],
    ),
}


def _turned(check: Check) -> Check:
    return Check(check.name, not check.held, check.asked, check.answered)


def ask(question: str, flaw: str) -> Check:
    """One question, asked of a server with one flaw."""
    transport = httpx.MockTransport(handle(Server(flaw)))
    with httpx.Client(base_url="http://app", transport=transport) as http:
        return QUESTIONS[question][0](http)


@pytest.mark.parametrize("question", QUESTIONS)
def test_held(question: str) -> None:
    assert ask(question, "").held


@pytest.mark.parametrize(
    ("question", "flaw"),
    [(question, flaw) for question, (_, flaws) in QUESTIONS.items() for flaw in flaws],
)
def test_not_held(question: str, flaw: str) -> None:
    check = ask(question, flaw)
    assert not check.held
    assert "good" not in check.answered


@pytest.mark.parametrize(
    "after",
    [
        Answer(201, (), b"x"),
        Answer(200, (("location", "/"),), b"x"),
        Answer(200, (), b"y"),
    ],
    ids=["status", "headers", "body"],
)
def test_unchanged_sees_each_part(after: Answer) -> None:
    before = Answer(200, (), b"x")
    assert proof.unchanged("GET", "/", before, before).held
    assert not proof.unchanged("GET", "/", before, after).held


def test_an_answer_is_free_of_the_url_and_the_hour() -> None:
    def redirect(request: httpx.Request) -> httpx.Response:
        headers = {"location": f"{request.url}/", "date": "now", "server": "uvicorn"}
        return httpx.Response(307, headers=headers)

    answers = set()
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        with httpx.Client(base_url=url, transport=httpx.MockTransport(redirect)) as http:
            answers.add(proof.answer(http, "GET", "/dogs"))
    assert answers == {Answer(307, (("location", "/dogs/"),), b"")}


@pytest.mark.parametrize(
    ("path", "spelled", "metadata"),
    [
        ("/", ("/",), ("/.well-known/oauth-protected-resource",)),
        (
            "/mcp",
            ("/mcp", "/mcp/"),
            ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"),
        ),
    ],
)
def test_paths(path: str, spelled: tuple[str, ...], metadata: tuple[str, ...]) -> None:
    assert proof.spellings(path) == spelled
    assert proof.metadata_paths(path) == metadata
