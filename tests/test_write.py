"""Writing: atomic, all or nothing, in order, and never over what someone else wrote."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_auth_retrofit.results import Refused, Write
from mcp_auth_retrofit.write import check_writable, write_all

OLD, NEW, GUARD = b"old = 1\n" * 40, b"new = 1\n" * 50, b"guard = 1\n"


def project(folder: Path) -> list[Write]:
    """A guard that is new and an entrypoint that imports it."""
    (folder / "main.py").write_bytes(OLD)
    return [
        Write(folder / "scalekit_auth.py", None, GUARD),
        Write(folder / "main.py", OLD, NEW),
    ]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(writes: list[Write]) -> str:
    with pytest.raises(Refused) as caught:
        write_all(writes)
    assert caught.value.reason.hint
    return caught.value.reason.code


def test_all_is_written_and_nothing_else(tmp_path: Path) -> None:
    write_all(project(tmp_path))
    assert content(tmp_path) == {"scalekit_auth.py": GUARD, "main.py": NEW}


def test_order_on_disk_is_the_order_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        names.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    write_all(project(tmp_path))
    assert names == ["scalekit_auth.py", "main.py"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o664])
def test_mode_is_kept(tmp_path: Path, mode: int) -> None:
    writes = project(tmp_path)
    (tmp_path / "main.py").chmod(mode)
    write_all(writes)
    assert stat.S_IMODE((tmp_path / "main.py").stat().st_mode) == mode


def test_a_new_file_gets_what_the_umask_leaves(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.touch()
    write_all(project(tmp_path))
    assert (tmp_path / "scalekit_auth.py").stat().st_mode == reference.stat().st_mode


def test_owner_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = project(tmp_path)
    asked: list[tuple[int, int]] = []
    real = Path.stat

    def stat_as_other(self: Path, **how: bool) -> os.stat_result:
        status = real(self, **how)
        if self.name == "main.py":
            fields = list(status)
            fields[4], fields[5] = 12345, 23456
            return os.stat_result(fields)
        return status

    def chown(path: Path, owner: int, group: int) -> None:
        asked.append((owner, group))
        if owner != -1:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "stat", stat_as_other)
    monkeypatch.setattr(os, "chown", chown)
    write_all(writes)
    assert asked == [(12345, 23456), (-1, 23456)]
    assert (tmp_path / "main.py").read_bytes() == NEW


def test_links_stay_and_lead_to_the_new_bytes(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "server.py").write_bytes(OLD)
    (tmp_path / "main.py").symlink_to("real/server.py")
    write_all([Write(tmp_path / "main.py", OLD, NEW)])
    assert (tmp_path / "main.py").readlink() == Path("real/server.py")
    assert content(real) == {"server.py": NEW}


def test_a_link_to_nothing_is_filled(tmp_path: Path) -> None:
    (tmp_path / ".env.example").symlink_to("env.sample")
    write_all([Write(tmp_path / ".env.example", None, b"PORT=3002\n")])
    assert (tmp_path / ".env.example").is_symlink()
    assert (tmp_path / "env.sample").read_bytes() == b"PORT=3002\n"


@pytest.mark.parametrize("happens", ["changed", "removed", "appeared"])
def test_what_changed_meanwhile_is_left_alone(tmp_path: Path, happens: str) -> None:
    writes = project(tmp_path)
    if happens == "changed":
        (tmp_path / "main.py").write_bytes(b"mine = 1\n")
    elif happens == "removed":
        (tmp_path / "main.py").unlink()
    else:
        (tmp_path / "scalekit_auth.py").write_bytes(b"mine = 1\n")
    before = content(tmp_path)
    assert refusal(writes) == "file-changed"
    assert content(tmp_path) == before


def test_a_change_between_two_renames_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = project(tmp_path)
    replace = os.replace

    def edit_then_replace(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).name == "scalekit_auth.py":
            (tmp_path / "main.py").write_bytes(b"mine = 1\n")

    monkeypatch.setattr(os, "replace", edit_then_replace)
    assert refusal(writes) == "file-changed"
    assert content(tmp_path) == {"main.py": b"mine = 1\n"}


def test_a_hard_link_is_not_parted(tmp_path: Path) -> None:
    writes = project(tmp_path)
    os.link(tmp_path / "main.py", tmp_path / "other.py")
    assert refusal(writes) == "hard-link"
    assert content(tmp_path) == {"main.py": OLD, "other.py": OLD}


def test_a_read_only_file(tmp_path: Path) -> None:
    writes = project(tmp_path)
    (tmp_path / "main.py").chmod(0o444)
    assert refusal(writes) == "read-only"
    assert content(tmp_path) == {"main.py": OLD}


def test_a_read_only_folder(tmp_path: Path) -> None:
    writes = project(tmp_path)
    tmp_path.chmod(0o555)
    try:
        assert refusal(writes) == "read-only"
        assert content(tmp_path) == {"main.py": OLD}
    finally:
        tmp_path.chmod(0o755)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert refusal([Write(tmp_path / "nowhere" / "main.py", None, NEW)]) == "cannot-write"


def test_a_directory_in_the_way(tmp_path: Path) -> None:
    writes = project(tmp_path)
    (tmp_path / "scalekit_auth.py").mkdir()
    assert refusal(writes) == "cannot-write"
    assert (tmp_path / "main.py").read_bytes() == OLD


def test_checking_alone_writes_nothing(tmp_path: Path) -> None:
    targets = check_writable(project(tmp_path))
    assert targets == [tmp_path / "scalekit_auth.py", tmp_path / "main.py"]
    assert content(tmp_path) == {"main.py": OLD}


@pytest.mark.parametrize("name", ["open", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int, error: BaseException
) -> None:
    writes = project(tmp_path)
    real = getattr(os, name)
    calls = 0

    def fail(*args: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == count:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(os, name, fail)
    try:
        write_all(writes)
    except (Refused, KeyboardInterrupt) as raised:
        assert isinstance(raised, Refused) == isinstance(error, OSError)
        assert content(tmp_path) == {"main.py": OLD}
    else:
        # Not reached that often, or only the folder's fsync failed, which not every system has.
        assert content(tmp_path) == {"scalekit_auth.py": GUARD, "main.py": NEW}
        assert calls < count or (name in ("open", "fsync") and isinstance(error, OSError))


def test_an_interrupt_right_after_a_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = project(tmp_path)
    replace = os.replace
    calls = 0

    def replace_then_stop(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        replace(source, target)
        if calls == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_then_stop)
    with pytest.raises(KeyboardInterrupt):
        write_all(writes)
    assert content(tmp_path) == {"main.py": OLD}


def test_the_last_written_is_the_first_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill during the way back must not leave an entrypoint without its import either."""
    writes = [*project(tmp_path), Write(tmp_path / "more.py", None, b"")]
    replace, seen = os.replace, []

    def fail_at_the_third(source: Path, target: Path) -> None:
        seen.append((Path(target).name, (tmp_path / "scalekit_auth.py").exists()))
        if len(seen) == 3:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_third)
    assert refusal(writes) == "cannot-write"
    assert seen[3:] == [("main.py", True)]
    assert content(tmp_path) == {"main.py": OLD}


def test_putting_back_spares_what_someone_else_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = project(tmp_path)
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == "main.py":
            (tmp_path / "scalekit_auth.py").write_bytes(b"mine = 1\n")
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    assert refusal(writes) == "cannot-write"
    assert content(tmp_path) == {"main.py": OLD, "scalekit_auth.py": b"mine = 1\n"}


def test_bytes_are_on_the_disk_before_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, calls = project(tmp_path), []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_replace(source: Path, target: Path) -> None:
        calls.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_all(writes)
    assert calls == ["file", "file", "scalekit_auth.py", "folder", "main.py", "folder"]


def test_what_cannot_be_put_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = project(tmp_path)
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == "main.py":
            monkeypatch.setattr(Path, "unlink", deny)
            raise OSError(5, "Input/output error")
        replace(source, target)

    def deny(self: Path, missing_ok: bool = False) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Refused) as caught:
        write_all(writes)
    assert caught.value.reason.code == "cannot-write"
    assert "scalekit_auth.py could not be put back" in caught.value.reason.message


KILLED = """
import os, signal, sys
from pathlib import Path
from mcp_auth_retrofit.results import Write
from mcp_auth_retrofit.write import write_all

folder, deadly = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def deadly_call(real):
    def call(*args, **options):
        global calls
        calls += 1
        if calls == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    return call

for name in ("open", "fsync", "chmod", "replace", "close"):
    setattr(os, name, deadly_call(getattr(os, name)))
main = folder / "main.py"
before = main.read_bytes()
write_all([
    Write(folder / "scalekit_auth.py", None, b"guard = 1\\n"),
    Write(folder / "requirements.txt", b"fastapi\\n", b"fastapi\\nfastmcp\\n"),
    Write(main, before, before.replace(b"old", b"new")),
])
print(calls)
"""


def test_a_kill_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    """SIGKILL before each system call of the writer in turn, until it gets through."""
    finished = False
    states = set()
    for deadly in range(1, 40):
        folder = tmp_path / str(deadly)
        folder.mkdir()
        (folder / "main.py").write_bytes(b"old = 1\n" * 1000)
        (folder / "requirements.txt").write_bytes(b"fastapi\n")
        done = subprocess.run(
            [sys.executable, "-c", KILLED, folder, str(deadly)], capture_output=True, check=False
        )
        main = (folder / "main.py").read_bytes()
        needs = (folder / "requirements.txt").read_bytes()
        guard = folder / "scalekit_auth.py"
        assert main in (b"old = 1\n" * 1000, b"new = 1\n" * 1000)
        assert needs in (b"fastapi\n", b"fastapi\nfastmcp\n")
        assert not guard.exists() or guard.read_bytes() == b"guard = 1\n"
        if main.startswith(b"new"):
            assert guard.exists()
        states.add((guard.exists(), needs != b"fastapi\n", main.startswith(b"new")))
        if done.returncode == 0:
            finished = True
            break
        assert done.returncode == -9, done.stderr
    assert finished
    # Every step was cut in two somewhere.
    assert states == {
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    }
