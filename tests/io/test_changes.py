"""Changing files that others read or write: whole or not at all, one at a time, after any death."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from clv.errors import InputError
from clv.io import changes
from clv.io.changes import append_line, locked, workspace, written_beside


def in_child(work: Callable[[], None]) -> int:
    """How a forked process ends that does ``work``: its exit code, or minus the signal."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except InputError:
            os._exit(3)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def everything(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - hidden files too


def test_what_a_killed_process_left_goes_with_the_next_write_of_any_file(tmp_path):
    (tmp_path / "scores.csv").write_text("old")

    def killed() -> None:
        with written_beside(tmp_path / "scores.csv") as beside:
            beside.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(killed) == -signal.SIGKILL
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert len(everything(tmp_path)) == 2
    with written_beside(tmp_path / "other.csv") as beside:
        beside.write_text("new")
    assert everything(tmp_path) == ["other.csv", "scores.csv"]


def test_what_the_living_write_is_left_alone(tmp_path):
    with written_beside(tmp_path / "a") as first:
        first.write_text("a")
        with written_beside(tmp_path / "b") as second:
            second.write_text("b")
    (tmp_path / ".mine-x.part").mkdir()
    with workspace(tmp_path):
        assert len(everything(tmp_path)) == 4
    assert everything(tmp_path) == [".mine-x.part", "a", "b"]


def test_a_new_workspace_is_never_taken_for_a_dead_ones(tmp_path):
    """Many at once, each tidying up before it begins: nobody's file is taken away."""
    failed = []

    def write(number: int) -> None:
        for turn in range(10):
            try:
                with written_beside(tmp_path / f"{number}-{turn}") as beside:
                    beside.write_text("x")
            except InputError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(everything(tmp_path)) == 80


def test_a_link_stays_a_link_and_a_device_is_no_place(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "scores.csv")
    with written_beside(tmp_path / "link.csv") as beside:
        beside.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real" / "scores.csv").read_text() == "new"
    os.mkfifo(tmp_path / "pipe.csv")
    for place in (tmp_path / "pipe.csv", Path("/dev/full")):
        with pytest.raises(InputError, match="is no ordinary file"), written_beside(place):
            pass
    assert Path("/dev/full").is_char_device()


def test_one_changes_a_folder_at_a_time_and_a_death_opens_it(tmp_path):
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path, wait=0.05):
        pass

    def killed() -> None:
        with locked(tmp_path, wait=0):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(killed) == -signal.SIGKILL
    with locked(tmp_path, wait=0):
        assert everything(tmp_path) == []


def test_folders_that_cannot_be_locked_are_locked_by_a_file(tmp_path, monkeypatch):
    """NFS has no locks of folders."""
    import fcntl

    flock = fcntl.flock

    def of_files(descriptor: int, how: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - of a descriptor
            raise OSError(9, "Bad file descriptor")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", of_files)
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path, wait=0):
        pass
    with written_beside(tmp_path / "a") as beside:
        beside.write_text("a")
    assert everything(tmp_path) == [changes.LOCK, "a"]


def full_disk() -> None:
    """No file of this process grows beyond 64 bytes: what a full disk looks like to it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("old")

    def write() -> None:
        full_disk()
        with written_beside(file) as beside:
            beside.write_text("x" * 1000)

    assert in_child(write) == 3
    assert file.read_text() == "old"
    assert everything(tmp_path) == ["scores.csv"]


def test_a_folder_that_may_not_be_written_is_named():
    """Root may write anywhere, so the child is nobody; pytest's folders are closed to it."""

    def write() -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        with written_beside(Path(folder) / "scores.csv") as beside:
            beside.write_text("x")

    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        assert in_child(write) == 3
        assert everything(Path(folder)) == []


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    file = tmp_path / "logs" / "audit.jsonl"
    append_line(file, "")
    append_line(file, '{"first": 1}')
    before = file.read_bytes()

    def write() -> None:
        full_disk()
        append_line(file, "x" * 100)

    assert in_child(write) == 1
    assert file.read_bytes() == before == b'{"first": 1}\n'
    file.write_bytes(before + b'{"torn')  # by a power cut
    append_line(file, '{"second": "\ud800"}')
    assert file.read_bytes() == before + b'{"torn\n{"second": "\\ud800"}\n'
    assert file.stat().st_mode & 0o777 == 0o600
