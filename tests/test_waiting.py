"""Waits for files that a person must place: when a task looks, when it tries again, and when it gives up."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from clipquarry import waiting
from clipquarry.errors import WaitUntil
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.waiting import (
    look,
    look_again,
    look_now,
    read_waiting,
    still_growing,
    still_written,
    stop_waiting,
    wait_for,
    waits_of,
)

OLD = (datetime.now(UTC) - timedelta(hours=1)).timestamp()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """The note of a task that waits for files in ``tmp_path/in`` for two days."""
    (tmp_path / "in").mkdir()
    file = tmp_path / "run/waiting/extract.json"
    with pytest.raises(WaitUntil, match=r"Place it\. This waits until 20"):
        wait_for(file, "Place it.", [tmp_path / "in"], 2)
    return file


def place(path: Path, *, at: float = OLD) -> None:
    path.write_bytes(b"archive")
    os.utime(path, (at, at))


def move_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + by

    monkeypatch.setattr(waiting, "datetime", Later)


def test_nothing_new_means_waiting_on_without_trying(note: Path) -> None:
    for _ in range(2):
        with pytest.raises(WaitUntil) as raised:
            look_again(note)
    pause = (raised.value.resume_at - datetime.now(UTC)).total_seconds()
    assert 15 < pause <= 20
    assert [str(one) for one in waits_of(note.parents[1])] == [str(raised.value)]


def test_pauses_grow_to_ten_minutes(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []
    for minutes in (10, 60, 200):
        move_clock(monkeypatch, timedelta(minutes=minutes))
        with pytest.raises(WaitUntil) as raised:
            look_again(note)
        pauses.append(round((raised.value.resume_at - waiting.datetime.now(UTC)).total_seconds()))
    assert pauses == [60, 360, 600]


def test_a_new_file_is_tried_once_it_stopped_growing(note: Path, tmp_path: Path) -> None:
    place(tmp_path / "in/part.rar", at=datetime.now(UTC).timestamp())
    with pytest.raises(WaitUntil):
        look_again(note)
    place(tmp_path / "in/part.rar")
    look_again(note)


def test_what_was_tried_is_not_tried_again_until_it_changes(note: Path, tmp_path: Path) -> None:
    place(tmp_path / "in/part.rar")
    with pytest.raises(WaitUntil):
        wait_for(note, "It is torn.", [tmp_path / "in"], 2)
    with pytest.raises(WaitUntil, match="It is torn"):
        look_again(note)
    (tmp_path / "in/part.rar").write_bytes(b"whole archive")
    os.utime(tmp_path / "in/part.rar", (OLD, OLD))
    look_again(note)


@pytest.mark.parametrize(
    "name",
    [f"{TEMPORARY_PREFIX}x", "a.zip.part", "a.zip.crdownload", "a.zip.aria2", "a.zip.!qB", "a.zip.filepart", "a.zip~", "a.zip.PART",
     ".a.zip.9ZaB1c", "a.zip.download", "a.zip.partial"],
)  # fmt: skip
def test_what_a_writer_has_not_finished_does_not_count(note: Path, tmp_path: Path, name: str) -> None:
    place(tmp_path / "in" / name)
    with pytest.raises(WaitUntil, match=r"New there: unfinished: \S+ \(0\.0 MB\)\.$"):
        look_again(note)


@pytest.mark.parametrize("end", [".aria2", ".part"])
def test_a_file_whose_program_left_a_note_beside_it_does_not_count(note: Path, tmp_path: Path, end: str) -> None:
    place(tmp_path / "in/a.zip")  # aria2c makes it in its whole size at once, Firefox makes an empty one
    place(tmp_path / f"in/a.zip{end}")
    with pytest.raises(WaitUntil, match=r"unfinished: a\.zip "):
        look_again(note)
    (tmp_path / f"in/a.zip{end}").unlink()
    look_again(note)


def test_it_says_what_is_there(note: Path, tmp_path: Path) -> None:
    with pytest.raises(WaitUntil, match=r"goes on by itself\. Nothing new lies there yet\.$"):
        look_again(note)
    now = datetime.now(UTC).timestamp()
    place(tmp_path / "in/part-00", at=now - 60)
    place(tmp_path / "in/part-01\x1b[31m", at=now)
    place(tmp_path / "in/part-02.part")
    with pytest.raises(WaitUntil) as raised:
        look_again(note)
    assert str(raised.value).endswith(
        "New there: whole: part-00 (0.0 MB); still growing: part-01?[31m (0.0 MB); unfinished: part-02.part (0.0 MB)."
    )
    place(tmp_path / "in/part-03.part", at=now)
    assert still_written([tmp_path / "in"]) == ["part-01?[31m"]


def test_what_was_just_written_is_looked_at_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TWO_LOOKS", timedelta(seconds=0.2))
    now, folder = datetime.now(UTC).timestamp(), tmp_path / "in"
    folder.mkdir()
    place(folder / "old.csv", at=now - 60)
    assert still_growing([folder]) == []
    place(folder / "whole.csv", at=now)
    assert still_growing([folder]) == []

    def copy() -> None:
        with (folder / "train.csv").open("ab") as file:
            while not done.wait(0.02):
                file.write(b"a,b\n")
                file.flush()

    done = Event()
    writer = Thread(target=copy)
    writer.start()
    try:
        assert still_growing([folder]) == ["train.csv"]
    finally:
        done.set()
        writer.join()
    assert still_growing([folder]) == []


def test_servers_are_asked_again_after_hours(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_clock(monkeypatch, timedelta(hours=5))
    with pytest.raises(WaitUntil):
        look_again(note)
    move_clock(monkeypatch, timedelta(hours=7))
    look_again(note)


def test_its_time_ends_and_a_later_wait_begins_anew(
    note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        move_clock(later, timedelta(days=3))
        look_again(note)
        wait_for(note, "Place it.", [tmp_path / "in"], 2)
    assert not note.exists()
    with pytest.raises(WaitUntil):
        wait_for(note, "Place it.", [tmp_path / "in"], 2)
    found = read_waiting(note)
    assert found is not None and found.since > datetime.now(UTC) - timedelta(minutes=1)


def test_no_days_are_no_wait(tmp_path: Path) -> None:
    wait_for(tmp_path / "note.json", "Place it.", [tmp_path], 0)
    assert list(tmp_path.iterdir()) == []


def test_what_came_during_a_try_is_new(note: Path, tmp_path: Path) -> None:
    before = look([tmp_path / "in"])
    place(tmp_path / "in/part.rar")  # moved there with an old time, while the task tried
    with pytest.raises(WaitUntil):
        wait_for(note, "It was not there.", [tmp_path / "in"], 2, seen=before)
    look_again(note)


def test_a_strangers_growing_file_does_not_hold_a_whole_one_up(note: Path, tmp_path: Path) -> None:
    place(tmp_path / "in/part.rar")
    place(tmp_path / "in/download.iso", at=datetime.now(UTC).timestamp())
    look_again(note)


def test_a_list_is_not_read_while_the_next_one_is_copied(note: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    place(tmp_path / "in/labels.csv", at=now - 60)
    place(tmp_path / "in/train.csv", at=now)
    with pytest.raises(WaitUntil):
        look_again(note)
    place(tmp_path / "in/train.csv", at=now - 30)
    look_again(note)


def test_sources_that_failed_for_now_are_asked_soon(
    note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WaitUntil):
        wait_for(note, "The server is away.", [tmp_path / "in"], 2, soon=True)
    with pytest.raises(WaitUntil):
        look_again(note)
    move_clock(monkeypatch, timedelta(minutes=11))
    look_again(note)


def test_names_and_times_of_any_kind(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/in\xff"))
    folder.mkdir()
    (folder / os.fsdecode(b"a\xfe.rar")).write_bytes(b"x")
    with suppress(OSError):
        os.utime(folder / os.fsdecode(b"a\xfe.rar"), (4e11, 4e11))
    with pytest.raises(WaitUntil):
        wait_for(tmp_path / "run/waiting/x.json", f"Place it into {folder}.", [folder], 1)
    with pytest.raises(WaitUntil):
        look_again(tmp_path / "run/waiting/x.json")
    (found,) = waits_of(tmp_path / "run")
    assert found.folders == (folder,)


def test_a_note_of_a_run_that_was_killed_ends_with_its_time(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(waits_of(note.parents[1])) == 1
    move_clock(monkeypatch, timedelta(days=3))
    assert waits_of(note.parents[1]) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sentence": "x"}', '{"since": 3}', "\x00"])
def test_a_damaged_note_is_none(note: Path, text: str) -> None:
    note.write_text(text)
    look_again(note)
    assert waits_of(note.parents[1]) == []
    stop_waiting(note)
    stop_waiting(note)


def test_a_quiet_folder_ends_the_wait_and_is_not_told(note: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    place(tmp_path / "clips/old.jsonl")
    stop_waiting(note)
    with pytest.raises(WaitUntil) as raised:
        wait_for(note, "Label it.", [tmp_path / "in"], 2, quietly=[tmp_path / "clips"], page="/there/")
    assert raised.value.page == "/there/"
    with pytest.raises(WaitUntil) as raised:
        look_again(note)
    assert raised.value.page == "/there/" and "Nothing new" in str(raised.value)
    place(tmp_path / "clips/new.jsonl")
    look_again(note)
    assert "new.jsonl" not in str(waits_of(note.parents[1])[0])


def test_a_person_lets_a_task_look_at_once(note: Path) -> None:
    before = read_waiting(note)
    look_now(note)
    look_again(note)
    after = read_waiting(note)
    assert before and after and (after.since, after.until, after.seen) == (before.since, before.until, before.seen)
    stop_waiting(note)
    look_now(note)
    assert not note.exists()
