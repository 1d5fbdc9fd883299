"""The whole way on a copy of demo/app: see the change, make it, start the app, ask it.

Exit status 1 when a promise is not kept. Needs the extra `verify`; no network, no Scalekit account:
tokens come from a stand-in on loopback.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mcp_auth_retrofit.verify.boot import boot
from mcp_auth_retrofit.verify.proof import Answer, Check, answer, client, prove, unchanged
from mcp_auth_retrofit.verify.standin import Standin

APP = Path(__file__).parent / "app"
OLD_ROUTES = (
    ("GET", "/rooms"),
    ("POST", "/rooms/Aalto/bookings?person=Ada"),
    ("POST", "/rooms/Bauhaus/bookings?person=Ada"),
    ("GET", "/nowhere"),
)
DEAD_ROUTE = "/mcp/about"
BROWSER = "https://rooms.example"
LONG, HEAD = 40, 10
"""Added lines in a row from which a run is shortened, and how many are shown then."""


def main() -> int:
    """Run the demo; the exit status."""
    with tempfile.TemporaryDirectory(prefix="meeting-rooms-") as folder:
        project = Path(folder) / "app"
        shutil.copytree(APP, project)

        before, dead = old_answers(project)
        heading("mcp-auth-retrofit apply --dry-run")
        apply(project, "--dry-run")
        heading("mcp-auth-retrofit apply --yes")
        apply(project, "--yes")

        heading("The app, started with a stand-in Scalekit, and asked")
        checks = ask_guarded(project, before, dead)
    for check in checks:
        print(f"  {mark(check.held)} {check.asked}\n      {check.answered}")
    failed = sum(not check.held for check in checks)
    print(f"\n{len(checks) - failed} of {len(checks)} promises kept.")
    return 1 if failed else 0


def apply(project: Path, *options: str) -> None:
    """Run the command as a user would, in the project's folder; of a new file, show the head."""
    command = [sys.executable, "-m", "mcp_auth_retrofit", "apply", *options]
    done = subprocess.run(  # noqa: S603  our own command, no shell
        command, cwd=project, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    print("\n".join(folded(done.stdout.splitlines())), flush=True)


def folded(lines: list[str]) -> Iterator[str]:
    """The lines of a patch, with the inside of each long run of added lines left out."""
    for added, group in groupby(lines, key=lambda line: line.startswith("+")):
        run = list(group)
        if added and len(run) > LONG:
            yield from run[:HEAD]
            yield f"    [{len(run) - HEAD} more lines]"
        else:
            yield from run


def old_answers(project: Path) -> tuple[dict[tuple[str, str], Answer], Answer]:
    """What the app's own routes say before anything is changed, and the one that is dead."""
    with boot(cwd=project) as running, client(running.url) as http:
        answers = {(method, path): answer(http, method, path) for method, path in OLD_ROUTES}
        return answers, answer(http, "GET", DEAD_ROUTE)


def ask_guarded(project: Path, before: dict[tuple[str, str], Answer], dead: Answer) -> list[Check]:
    """Every promise, asked of the rewritten app."""
    with (
        Standin() as scalekit,
        boot(cwd=project, env=lambda url: scalekit.settings(f"{url}/mcp")) as running,
        client(running.url) as http,
    ):
        checks = prove(
            running.url,
            "/mcp",
            token=scalekit.token(),
            foreign=scalekit.token(aud="https://elsewhere.example/mcp"),
            origin=BROWSER,
        )
        checks += [
            unchanged(method, path, was, answer(http, method, path))
            for (method, path), was in before.items()
        ]
        alive = answer(http, "GET", DEAD_ROUTE)
        checks.append(
            Check(
                "a dead route",
                (dead.status, alive.status) == (404, 200),
                f"GET {DEAD_ROUTE}, which the mount used to bury",
                f"{dead.status} before, {alive.status} now",
            )
        )
    return checks


def heading(text: str) -> None:
    """A line between the parts; flushed, for the parts are printed by other processes too."""
    print(f"\n=== {text}", flush=True)


def mark(held: bool) -> str:
    """A tick or a cross, where the terminal has them."""
    if (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
        return "\N{CHECK MARK}" if held else "\N{BALLOT X}"
    return "ok  " if held else "FAIL"


if __name__ == "__main__":
    sys.exit(main())
