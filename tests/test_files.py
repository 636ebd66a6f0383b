"""Files appear whole or not at all; names from outside never leave their folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clipquarry.errors import MachineError, RetryLater, UserError
from clipquarry.files import (
    TEMPORARY_PREFIX,
    disk_errors,
    found_at,
    inside,
    link_or_copy,
    publish,
    read_json,
    sha256_of,
    sweep_unfinished,
    temporary_beside,
    write_json,
    write_new,
    writing,
)
from clipquarry.manifest import read_table
from hypothesis import given
from hypothesis import strategies as st
from odd_places import put_odd


def test_a_file_appears_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "deep/er/a.txt"
    with writing(target) as handle:
        handle.write("é\n")
        handle.flush()
        assert not target.exists()
    assert target.read_bytes() == "é\n".encode()
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(target) as handle:
        handle.write("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom clipquarry.files import writing\n"
        "with writing(Path(sys.argv[1])) as handle:\n"
        "    handle.write('x' * 1_000_000); handle.flush(); print('half', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert target.read_text() == "old"
    rest = [path.name for path in tmp_path.iterdir() if path != target]
    assert all(name.startswith(TEMPORARY_PREFIX) for name in rest), "what is left can be told from what is finished"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_retry(number: int, tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match="is full") as caught, disk_errors(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 11
    with pytest.raises(PermissionError), disk_errors(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_really_full_disk_says_retry() -> None:
    with (
        pytest.raises(RetryLater, match="finished work is kept"),
        disk_errors(Path("/dev/full")),
        open("/dev/full", "w") as handle,
    ):
        handle.write("x")
        handle.flush()


def test_json_is_sorted_strict_and_a_broken_one_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": "é", "a": [1, None]})
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    assert read_json(path) == {"a": [1, None], "b": "é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert json.loads(path.read_text())["b"] == "é", "the old file stays"
    for bad in (b"{half", b"\xff\xfe", b""):
        path.write_bytes(bad)
        with pytest.raises(UserError, match=r"a\.json is not readable as JSON"):
            read_json(path)


def test_the_sum_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["..", ".", "", "a/../b", "/etc", "a//b", "a/", "a\x00b", "..\\x", "../../etc/passwd"])
def test_hostile_names_stay_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used below"):
        inside(tmp_path, "ok", name)


@given(st.lists(st.text(max_size=12), max_size=4))
def test_no_name_ever_leaves_the_root(parts: list[str]) -> None:
    root = Path("/data/root")
    try:
        path = inside(root, *parts)
    except UserError:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root)


def test_links_and_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "deep/target"
    source.write_bytes(b"abc")
    assert link_or_copy(source, target) == "link"
    assert target.samefile(source)
    assert link_or_copy(source, target) == "link", "again changes nothing"
    other = tmp_path / "other"
    other.write_bytes(b"def")
    assert link_or_copy(other, target) == "link", "another file is replaced"
    assert (target.read_bytes(), source.read_bytes()) == (b"def", b"abc")
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_across_file_systems_it_copies(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / f"clipquarry-test-{os.getpid()}"
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    elsewhere.write_bytes(b"abc")
    try:
        target = tmp_path / "target"
        assert link_or_copy(elsewhere, target) == "copy"
        assert target.read_bytes() == b"abc"
        assert link_or_copy(elsewhere, target) == "copy"
    finally:
        elsewhere.unlink()
    assert list(tmp_path.iterdir()) == [target]


def test_publish_and_temporary_names(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    temporary = temporary_beside(target)
    assert temporary.parent == tmp_path
    assert (temporary.name.startswith(TEMPORARY_PREFIX), temporary.suffix) == (True, ".mp4")
    assert temporary != temporary_beside(target)
    temporary.write_bytes(b"x")
    publish(temporary, target)
    assert (target.read_bytes(), temporary.exists()) == (b"x", False)


def test_readers_never_see_a_half_written_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, ["0"])
    program = (
        "import sys\nfrom pathlib import Path\nfrom clipquarry.files import write_json\n"
        "for n in range(100): write_json(Path(sys.argv[1]), [str(n)] * 5000)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(target)])
    deadline = time.monotonic() + 30
    while child.poll() is None and time.monotonic() < deadline:
        value = read_json(target)
        assert len(set(value)) == 1
    assert child.wait(5) == 0
    assert read_json(target) == ["99"] * 5000


def test_what_a_killed_process_left_goes_when_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "run" / f"{TEMPORARY_PREFIX}folder").mkdir(parents=True)
    (tmp_path / "run" / f"{TEMPORARY_PREFIX}folder" / "img_00001.jpg").write_text("x")
    (tmp_path / "run" / f"{TEMPORARY_PREFIX}old.json").write_text("{")
    for path in (tmp_path / "run").iterdir():
        os.utime(path, (1, 1))
    (tmp_path / "run" / f"{TEMPORARY_PREFIX}new.json").write_text("{")
    (tmp_path / "run" / "plan.json").write_text("{}")
    assert sweep_unfinished(tmp_path) == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [f"{TEMPORARY_PREFIX}new.json", "plan.json"]


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a pipe and no file"):
        read_json(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a pipe and no file"):
        read_table(tmp_path / "pipe")


def test_a_read_only_disk_is_one_sentence_that_says_what_to_mount(tmp_path: Path) -> None:
    says = "somewhere is on a read-only disk: mount it writable"
    with pytest.raises(MachineError, match=says), disk_errors(tmp_path):
        raise OSError(errno.EROFS, "Read-only file system", "somewhere")


@pytest.mark.parametrize("there", ["file", "nowhere"])
def test_a_link_replaces_what_lies_there_also_a_link_that_leads_nowhere(tmp_path: Path, there: str) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b") if there == "file" else (tmp_path / "b").symlink_to("not/here")
    assert link_or_copy(tmp_path / "a", tmp_path / "b") == "link"
    assert (tmp_path / "b").samefile(tmp_path / "a")


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "mine.py"
    write_new(target, "é\n")
    assert target.read_bytes() == "é\n".encode()
    with pytest.raises(FileExistsError):
        write_new(target, "other")
    target.unlink()
    target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_new(target, "other")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"], (
        "no temporary file is left, and no link is followed"
    )


@pytest.mark.parametrize("what", ["pipe", "folder", "loop"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, what: str) -> None:
    put_odd(tmp_path / "a.json", what)
    with pytest.raises(UserError, match=r"a\.json .*delete it or restore the file"):
        read_json(tmp_path / "a.json")


def test_what_lies_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    names = ("file", "folder", "pipe", "link", "lost", "loop", "nothing", "file/below")
    assert [found_at(tmp_path / name) for name in names] == [
        "file", "folder", "other", "file", "broken link", "broken link", "", "",
    ]  # fmt: skip


def test_a_file_that_comes_and_goes_is_never_taken_for_anything_else(tmp_path: Path) -> None:
    whole, place, stopped = tmp_path / "whole", tmp_path / "place", threading.Event()
    whole.touch()

    def come_and_go() -> None:
        while not stopped.is_set():
            os.link(whole, place)
            place.unlink()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        found = {found_at(place) for _ in range(20_000)}
    finally:
        stopped.set()
        other.join()
    assert found <= {"", "file"}


def test_a_folder_in_the_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    put_odd(tmp_path / "a.json", "folder")
    with pytest.raises(UserError, match=r"a\.json is a folder where a file belongs: move it away"):
        write_json(tmp_path / "a.json", {})
    (tmp_path / "b").write_text("")
    for target in ("b/c.json", "b/c/d.json"):
        with pytest.raises(UserError, match=r"b(/c)? is no folder, and files belong into it: move it away"):
            write_json(tmp_path / target, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b"]
