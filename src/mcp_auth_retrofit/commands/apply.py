"""`mcp-auth-retrofit apply`: see the change, say yes, have it written."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mcp_auth_retrofit.commands.work import internal, judge_writing, prepared, worst, write
from mcp_auth_retrofit.options import Options
from mcp_auth_retrofit.report import text
from mcp_auth_retrofit.report.diff import out_of_reach, patch
from mcp_auth_retrofit.report.json import render
from mcp_auth_retrofit.report.out import complain, say, show_patch
from mcp_auth_retrofit.report.paths import each_once, shown
from mcp_auth_retrofit.results import FileResult


class Protect(StrEnum):
    """What the guard stands in front of."""

    mcp = "mcp"
    all = "all"


class LayoutChoice(StrEnum):
    """Where the guard's code is."""

    module = "module"
    inline = "inline"


class OutputFormat(StrEnum):
    """What stdout carries."""

    text = "text"
    json = "json"


def apply(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Files that make a FastAPI app. Without any: the one that `fastapi run` serves.",
            show_default=False,
        ),
    ] = None,
    app: Annotated[
        str | None, typer.Option(metavar="NAME", help="The FastAPI app, when there are several.")
    ] = None,
    mcp: Annotated[
        str | None, typer.Option(metavar="NAME", help="The MCP server or MCP app to guard.")
    ] = None,
    mount_path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help='Where MCP is mounted: "/" or a prefix such as "/mcp".'),
    ] = None,
    protect: Annotated[
        Protect | None,
        typer.Option(help="Guard the MCP server alone, or the whole app. Default: mcp."),
    ] = None,
    public: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="With --protect all: a path that stays open. Repeatable."
        ),
    ] = None,
    no_project_files: Annotated[
        bool,
        typer.Option(
            "--no-project-files", help="Leave .env.example and the requirements as they are."
        ),
    ] = False,
    layout: Annotated[
        LayoutChoice | None,
        typer.Option(
            help="The guard in a module beside the file (the default), or inside the file, for "
            "who deploys one file."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show everything, neither ask nor write.")
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Print the patch alone, for `git apply`; writes nothing."),
    ] = False,
    output_format: Annotated[
        OutputFormat, typer.Option(help="With json, stdout carries one JSON document alone.")
    ] = OutputFormat.text,
) -> None:
    """Put Scalekit sign-in in front of the MCP server of a FastAPI app.

    Shows what changes and the diff of every file, then asks. Exit status: 0 written, nothing to do
    or a dry run; 1 declined, or a file refused; 2 a file that cannot be read, or wrong usage.
    """
    manner = Manner(yes, dry_run or diff, diff, output_format is OutputFormat.json)
    _check_usage(mount_path, protect, public or [], manner)
    options = Options(
        app=app,
        mcp=mcp,
        mount_path=mount_path,
        protect=None if protect is None else protect.value,
        public=tuple(public or ()),
        project_files=not no_project_files,
        layout=None if layout is None else layout.value,
    )
    try:
        status = _run(paths or [], options, manner, Path.cwd())
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:  # never a traceback: it would show the user's source
        failed = FileResult(Path(), "error", reason=internal(error))
        if manner.as_json:
            say(render([failed], Path()))
        else:
            complain("\n".join(text.failure(failed, Path())))
        status = 2
    raise typer.Exit(status)


@dataclass(frozen=True)
class Manner:
    """How to go about it: ask or not, write or not, and what to print."""

    yes: bool
    dry_run: bool
    diff: bool
    as_json: bool


def _run(paths: Sequence[Path], options: Options, manner: Manner, cwd: Path) -> int:
    results = prepared(paths, options, cwd)
    if options.public and any(result.protect == "mcp" for result in results):
        raise typer.BadParameter("--public goes with --protect all.")
    if not manner.diff:  # a patch is the way out where a file cannot be replaced
        judge_writing(results, manner.dry_run)
    if manner.as_json:
        if not manner.dry_run:
            write(results)
        say(render(results, cwd))
    elif manner.diff:
        _print_patch(results, cwd)
    else:
        _show(results, cwd)
        return _ask_and_write(results, manner, cwd)
    return worst(results)


def _check_usage(
    mount_path: str | None, protect: Protect | None, public: Sequence[str], manner: Manner
) -> None:
    """Raises BadParameter (exit 2) for what no file could make sense of."""
    for option, path in [("--mount-path", mount_path), *(("--public", path) for path in public)]:
        if path is None:
            continue
        if not path.startswith("/") or "//" in path or any(c in path for c in " \t\n?#{}*\\\"'"):
            raise typer.BadParameter(f'{option} takes a plain path such as "/mcp", not {path!r}.')
    if public and protect is Protect.mcp:
        raise typer.BadParameter("--public goes with --protect all.")
    if manner.as_json and not (manner.yes or manner.dry_run):
        raise typer.BadParameter("json needs --yes or --dry-run: it cannot ask.")


def _show(results: Sequence[FileResult], cwd: Path) -> None:
    for result, writes in zip(results, each_once(results), strict=True):
        if result.status == "changed":
            say("\n".join(text.plan(result, cwd)))
            say()
            show_patch(patch(writes, cwd))
            say()
        elif result.status == "unchanged":
            say("\n".join(text.unchanged(result, cwd)))
        else:
            complain("\n".join(text.failure(result, cwd)))


def _print_patch(results: Sequence[FileResult], cwd: Path) -> None:
    for result in results:
        if result.status in ("refused", "error"):
            complain("\n".join(text.failure(result, cwd)))
    writes = [write for own in each_once(results) for write in own]
    show_patch(patch(writes, cwd))
    outside = out_of_reach(writes, cwd)
    if outside:
        folder = os.path.commonpath([cwd.resolve(), *(path.parent for path in outside)])
        complain(
            f"`git apply` does not reach {', '.join(map(str, outside))} from here: "
            f"run both commands in {folder}."
        )


def _ask_and_write(results: Sequence[FileResult], manner: Manner, cwd: Path) -> int:
    if not any(result.status == "changed" for result in results):
        return worst(results)
    if manner.dry_run:
        say("Nothing was written (--dry-run).")
    else:
        answer = "y" if manner.yes else _answer()
        if not answer:
            complain("No answer came, so nothing was written. --yes writes without asking.")
            return 2
        if answer.lower() not in ("y", "yes"):
            say("Nothing was written.")
            return max(1, worst(results))
        for result in write(results):
            complain("\n".join(text.failure(result, cwd)))
        written = [shown(one.path, cwd) for own in each_once(results) for one in own]
        if written:
            say(f"Written: {', '.join(written)}.")
    changed = [result for result in results if result.status == "changed"]
    if changed:
        say("\n" + "\n".join(text.next_steps(changed, cwd)))
    return worst(results)


def _answer() -> str:
    """What the user, or a pipe, says to the question; empty at the end of input."""
    sys.stdout.write("Write these changes? [y/N] ")
    sys.stdout.flush()
    try:
        line = sys.stdin.readline() if sys.stdin else ""
    except (OSError, ValueError):  # closed, or not text
        line = ""
    except KeyboardInterrupt:
        line = "no"
    if not line.endswith("\n") or not sys.stdin.isatty():
        say()  # nobody pressed Enter here
    return line.strip() or (line and "no")
