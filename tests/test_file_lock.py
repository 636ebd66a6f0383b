"""Locks between real processes and threads."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from clipquarry import file_lock
from clipquarry.errors import Exit, MachineError, RetryLater, UserError
from clipquarry.file_lock import FileLock, holder_of

PROJECT = Path(__file__).parents[1]
HOLD = """
import sys
from pathlib import Path
from clipquarry.file_lock import FileLock
lock = FileLock.{how}
print("held", flush=True)
sys.stdin.read()
lock.release(remove={remove})
print("released", flush=True)
"""


@contextmanager
def held(path: Path, how: str = "take(Path(sys.argv[1]))", *, remove: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    program = HOLD.format(how=how, remove=remove)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    assert process.stdout.readline() == "released\n"


def test_one_process_holds_it_and_the_file_says_which(tmp_path: Path) -> None:
    path = tmp_path / "made/for it/x.lock"
    with held(path) as process:
        assert FileLock.attempt(path) is None
        assert holder_of(path) == f"process {process.pid} on {os.uname().nodename}"
        let_go(process)
        with FileLock.attempt(path) or pytest.fail("it is free") as lock:
            assert holder_of(path).startswith(f"process {os.getpid()} on ")
            assert FileLock.attempt(path) is None, "not a second time in one process either"
        lock.release()
    assert path.exists()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with held(tmp_path / "x.lock") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with FileLock.take(tmp_path / "x.lock"):
            pass


def test_take_waits_until_it_is_free(tmp_path: Path) -> None:
    path, got = tmp_path / "x.lock", Event()

    def wait() -> None:
        with FileLock.take(path):
            got.set()

    with held(path) as process:
        thread = Thread(target=wait)
        thread.start()
        assert not got.wait(0.05)
        let_go(process)
        assert got.wait(60)
        thread.join()


def test_threads_count_one_by_one(tmp_path: Path) -> None:
    count, path = tmp_path / "count", tmp_path / "x.lock"
    count.write_text("0")

    def add(_: int) -> None:
        for _ in range(20):
            with FileLock.take(path):
                count.write_text(str(int(count.read_text()) + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert count.read_text() == "80"


@pytest.mark.parametrize("remove", [False, True])
def test_a_lock_file_that_is_removed_meanwhile_does_not_count(tmp_path: Path, remove: bool) -> None:
    """One waits on the old file; the holder removes it, or a person did and a third one holds the new file."""
    path, order = tmp_path / "x.lock", list[str]()

    def wait() -> None:
        with FileLock.take(path):
            order.append("waiter")
            assert path.exists() and FileLock.attempt(path) is None

    with held(path, remove=remove) as process:
        thread = Thread(target=wait)
        thread.start()
        if remove:
            let_go(process)
        else:
            path.unlink()
            third = FileLock.take(path)
            let_go(process)
            order.append("third")
            third.release()
        thread.join(60)
    assert order == ["waiter"] if remove else ["third", "waiter"]


def test_many_that_remove_the_file_never_hold_it_at_once(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "x.lock", list[int](), list[int]()

    def work(number: int) -> None:
        for _ in range(25):
            lock = FileLock.wait(path, Event(), "it")
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            lock.release(remove=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(most) == 100
    assert set(most) == {1}
    assert not path.exists()


def test_a_file_of_another_holder_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    lock = FileLock.take(path)
    path.unlink()
    with FileLock.take(path):
        lock.release(remove=True)
        assert path.exists()


def test_who_waits_can_be_stopped_and_the_log_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, stopped = tmp_path / "x.lock", Event()
    monkeypatch.setattr(file_lock, "_FIRST_NEWS", 0.0)
    with held(path) as process, caplog.at_level(logging.INFO), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(FileLock.wait, path, stopped, "the video abc")
        while not caplog.records:
            assert not waiting.done()
        stopped.set()
        with pytest.raises(
            RetryLater, match=rf"told to stop while process {process.pid} on .* worked on the video abc"
        ):
            waiting.result(60)
    assert f"Waiting for the video abc since 0 s: process {process.pid}" in caplog.messages[0]
    assert len(caplog.records) == 1, "the next one comes after a minute"


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("a person's own")
    (tmp_path / "x.lock").symlink_to(own)
    (tmp_path / "y.lock").symlink_to(tmp_path / "new.txt")
    for name in ("x.lock", "y.lock"):
        with pytest.raises(UserError, match=f"The lock file {tmp_path / name} is a link: delete it"):
            FileLock.take(tmp_path / name)
        assert holder_of(tmp_path / name) == ""
    assert own.read_text() == "a person's own"
    assert not (tmp_path / "new.txt").exists()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.lock"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(UserError, match="is not a file: move it away"):
        FileLock.attempt(path)
    assert holder_of(path) == ""


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    for path in (tmp_path / "runs/x.lock", tmp_path / "runs/a/x.lock"):
        with pytest.raises(UserError, match=f"The lock file {path} cannot be made, because a file is in the place"):
            FileLock.attempt(path)


def test_a_damaged_lock_file_is_taken_and_what_does_not_print_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(b"\xff\x1b[31m" * 100)
    assert holder_of(path) == ""
    with FileLock.attempt(path) or pytest.fail("it is free"):
        assert holder_of(path) == f"process {os.getpid()} on {os.uname().nodename}"


def test_an_error_of_the_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(descriptor: int, how: int) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(fcntl, "flock", stale)
    with pytest.raises(OSError, match="Stale") as told:
        FileLock.attempt(tmp_path / "x.lock")
    assert told.value.filename == str(tmp_path / "x.lock")


def test_the_mode_and_the_programs_that_a_holder_starts(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    before = os.umask(0o002)
    try:
        lock = FileLock.take(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    with subprocess.Popen(
        [sys.executable, "-c", "input(1)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"1", "it runs"
        lock.release()
        with FileLock.attempt(path) or pytest.fail("the child holds it"):
            child.communicate(b"\n")


def test_a_file_with_content_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("rows\n")
    with FileLock.attempt(path, holder="") or pytest.fail("it is free"):
        assert path.read_text() == "rows\n"
    with FileLock.attempt(path, holder="12 http://here") or pytest.fail("it is free"):
        assert path.read_text() == "12 http://here\n"


def test_a_folder_is_locked_without_a_file_in_it(tmp_path: Path) -> None:
    folder, link = tmp_path / "data", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    with held(folder, "attempt_folder(Path(sys.argv[1]))") as process:
        assert FileLock.attempt_folder(link) is None
        let_go(process)
        with FileLock.attempt_folder(link) or pytest.fail("it is free"):
            assert not list(folder.iterdir())
    for wrong in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match=f"The folder {wrong} cannot be opened"):
            FileLock.attempt_folder(wrong)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every file")
def test_a_file_of_another_user_is_locked_or_named(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text("process 1 on host\n")
    path.chmod(0o444)
    with FileLock.attempt(path) or pytest.fail("it is free"):
        assert holder_of(path) == "process 1 on host"
        assert FileLock.attempt(path) is None
    path.chmod(0)
    with pytest.raises(UserError, match=r"cannot be opened .*: let this user write to it and to"):
        FileLock.take(path)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As NFS without lockd, Lustre without ``flock`` and some file systems of containers do."""

    def none(descriptor: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", none)
    for ask in (
        FileLock.take,
        FileLock.attempt,
        FileLock.attempt_folder,
        lambda path: FileLock.wait(path, Event(), "x"),
    ):
        with pytest.raises(
            MachineError, match=r"has no file locks \(.*\): mount it with locks \(NFS: version 4"
        ) as told:
            ask(tmp_path if ask == FileLock.attempt_folder else tmp_path / "x.lock")
        assert told.value.exit_code is Exit.FAIL
    monkeypatch.undo()
    with FileLock.attempt(tmp_path / "x.lock") or pytest.fail("the failed ones left no lock"):
        pass


def test_nobody_locks_files_by_a_rule_of_its_own() -> None:
    rule = re.compile(
        r"^\s*(?:import|from)\s.*\bfilelock\b|\bfcntl\.(?:LOCK_|flock|lockf|F_SETLK|F_OFD)|^\s*from fcntl import",
        re.MULTILINE,
    )
    modules = [path for room in ("include", "plugins", "dags") for path in (PROJECT / room).rglob("*.py")]
    users = [path for path in modules if rule.search(path.read_text(encoding="utf-8"))]
    assert users == [PROJECT / "include/clipquarry/file_lock.py"]
