"""Booting: an app that starts, one that does not, one that will not stop."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from mcp_auth_retrofit.verify.boot import CouldNotBoot, boot

# Plain ASGI, so that each interpreter imports uvicorn and nothing more.
APP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        print("up")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    answer = f"{os.environ.get('OWN')} {scope['root_path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})

def make():
    return app
"""

FAILING = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no settings"})
"""


def project(folder: Path, source: str) -> Path:
    """A project of one module."""
    (folder / "main.py").write_text(source)
    return folder


def test_serves_and_says_goodbye(tmp_path: Path) -> None:
    with boot(cwd=project(tmp_path, APP), env={"OWN": "word"}, root_path="/api") as running:
        assert httpx.get(running.url, trust_env=False).text == "word /api"
    assert [line for line in running.output if line in ("up", "down")] == ["up", "down"]
    assert running.exit_status == -signal.SIGTERM
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url, trust_env=False)


def test_a_factory_and_an_environment_that_names_the_url(tmp_path: Path) -> None:
    def env(url: str) -> dict[str, str]:
        return {"OWN": url}

    with boot("main:make", cwd=project(tmp_path, APP), env=env, factory=True) as running:
        assert httpx.get(running.url, trust_env=False).text == f"{running.url} "


@pytest.mark.parametrize(
    ("source", "last_words"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("other = None", 'Attribute "app" not found'),
        (FAILING, "no settings"),
    ],
    ids=["import", "attribute", "startup"],
)
def test_what_does_not_start_has_last_words(tmp_path: Path, source: str, last_words: str) -> None:
    with (
        pytest.raises(CouldNotBoot, match="did not start") as raised,
        boot(cwd=project(tmp_path, source)),
    ):
        pass
    assert last_words in str(raised.value)


def test_silence_is_not_waited_for_without_end(tmp_path: Path) -> None:
    source = "import time\nprint('asleep')\ntime.sleep(60)"
    started = time.monotonic()
    with (
        pytest.raises(CouldNotBoot, match="within 1 s"),
        boot(cwd=project(tmp_path, source), start_timeout=1.0, stop_timeout=1.0),
    ):
        pass
    assert time.monotonic() - started < 10


def test_much_output_blocks_nothing(tmp_path: Path) -> None:
    source = APP + "\nfor number in range(20_000):\n    print('word ' * 10, number)\n"
    with boot(cwd=project(tmp_path, source)) as running:
        pass
    assert len([line for line in running.output if line.startswith("word")]) == 20_000


def test_what_will_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = """
import signal, subprocess
child = subprocess.Popen(["sleep", "60"])
print("child", child.pid)
"""
    ignoring = APP.replace('print("up")', "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with boot(cwd=project(tmp_path, deaf + ignoring), stop_timeout=0.5) as running:
        pass
    assert running.exit_status == -signal.SIGKILL
    child = next(int(line.split()[1]) for line in running.output if line.startswith("child"))
    assert not alive(child)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and that nobody has waited for does not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True
