"""What reaches the disk: written by us or by `git apply` from the printed patch, the same bytes."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from harness.cases import REWRITES, Case
from harness.rewriting import rewrite
from mcp_auth_retrofit.report.diff import patch
from mcp_auth_retrofit.write import write_all


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root`."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("case", REWRITES, ids=lambda case: case.name)
def test_git_apply_does_what_we_do(case: Case, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    done = rewrite(case, ours)
    before = contents(ours)
    done.entry.chmod(0o751)
    shutil.copytree(ours, theirs)

    printed = patch(done.result.writes, ours)
    write_all(done.result.writes)
    git = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    subprocess.run(["git", "apply", "-"], input=printed, cwd=theirs, env=git, check=True)

    assert contents(ours) == contents(theirs)
    assert contents(ours) != before
    assert stat.S_IMODE(done.entry.stat().st_mode) == 0o751
    changed = {str(write.path.relative_to(ours)) for write in done.result.writes}
    assert {name: data for name, data in contents(ours).items() if name not in changed} == {
        name: data for name, data in before.items() if name not in changed
    }
