"""Runs that wait for what no source gives: annotation files, archives, archives of another source; a person places them meanwhile."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from acquire.made_archives import needs_libarchive, rar4, tar, zipped
from clipquarry import waiting
from clipquarry.demo.origin import Origin
from clipquarry.pipeline import run as runs
from clipquarry.report.index import read_summary
from families.clips.file_world import World, film, serve, small
from families.clips.test_diving48 import CLIPS as DIVES
from families.clips.test_diving48 import annotations
from families.clips.test_twentybn import place_jester
from families.clips.test_ucf101 import CLIPS, lists

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

SPLITS = "UCF101TrainTestSplits-RecognitionTask.zip"


def place(path: Path, data: bytes) -> None:
    """As ``cp -p`` does: the file's time is that of the original."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (1e9, 1e9))


class Person:
    """Places files while a run sleeps, a step for each sleep. ``saw``: what the run said that it waits for."""

    def __init__(self, world: World, *steps: Callable[[], None]) -> None:
        self.world, self.steps, self.saw = world, list(steps), list[str]()

    def __call__(self, moment: datetime) -> None:
        assert moment > datetime.now(UTC)
        folder = self.world.run_folder()
        self.saw += [str(one) for one in waiting.waits_of(folder)]
        assert read_summary(folder, self.world.name).headline.startswith("It waits. ")
        self.steps.pop(0)()


@pytest.fixture
def ucf101(tmp_path: Path) -> dict[str, bytes]:
    return {
        SPLITS: zipped(lists()),
        "UCF101.rar": rar4({f"UCF-101/{clip}.avi": film(tmp_path, clip) for clip in CLIPS}),
    }


def test_annotations_and_videos_that_a_person_places_one_after_the_other(
    tmp_path: Path, ucf101: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_ucf101", origin)
        world.spec(small("ucf101"))
        person = Person(
            world,
            lambda: None,
            lambda: place(world.root / SPLITS, ucf101[SPLITS]),
            lambda: place(world.root / "UCF101.rar", ucf101["UCF101.rar"][:-30]),  # torn
            lambda: None,
            lambda: place(world.root / "UCF101.rar", ucf101["UCF101.rar"]),
        )
        monkeypatch.setattr(runs, "sleep_until", person)
        told = world.run("one", "--set", "wait_days=1").stdout.splitlines()[-1]
        assert told.startswith("small_ucf101: 27 of 27 clips are there"), told
        assert sum(origin.asked.values()) <= 4, "the servers are not asked at each look"
    assert person.steps == []
    assert str(world.root) in person.saw[0] and SPLITS in person.saw[0]
    assert "Their page is https://" in person.saw[0] and "Nothing new lies there yet." in person.saw[0]
    assert "UCF101.rar" in person.saw[2] and "Their page is https://" in person.saw[2]
    assert list((world.run_folder() / "waiting").iterdir()) == []
    assert world.files() == {f"videos/{clip}.avi" for clip in CLIPS}


def test_the_archive_of_another_source_is_taken_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gzip.compress(
        tar({"raw/diving48.tar": tar({f"{clip}.mp4": film(tmp_path, clip, ".mp4") for clip in DIVES})})
    )
    with Origin(serve(tmp_path / "served", annotations())) as origin:
        world = World(tmp_path, "small_diving48", origin)
        world.spec(small("diving48"))

        def parts() -> None:
            for number in range(2):
                half = len(whole) // 2
                place(world.root / f"diving48.tar.gz.0{number}", (whole[:half], whole[half:])[number])

        person = Person(world, parts)
        monkeypatch.setattr(runs, "sleep_until", person)
        told = world.run("one", "--set", "wait_days=1").stdout.splitlines()[-1]
        assert told.startswith("small_diving48: 3 of 3 clips are there"), told
        assert "Diving48_rgb.tar.gz" in person.saw[0] and "opendatalab.com" in person.saw[0]
        assert [row["source"] for row in world.rows("extract/part-00000")] == ["opendatalab"]


def test_lists_that_somebody_still_copies_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_jester", origin)
        world.spec(small("jester", ("volumes: 23", "volumes: 3")))
        for number, part in enumerate(place_jester(world, tmp_path)):
            place(world.root / f"20bn-jester-v1-{number:02d}", part)

        def finished() -> None:
            for path in (world.root / "annotations").iterdir():
                os.utime(path, (1e9, 1e9))

        person = Person(world, finished)
        monkeypatch.setattr(runs, "sleep_until", person)
        told = world.run("one", "--set", "wait_days=1").stdout.splitlines()[-1]
        assert told.startswith("small_jester: 4 of 4 "), told
    assert "Somebody still writes jester-v1-" in person.saw[0] and "still growing: " in person.saw[0]
    assert person.steps == []


def test_lists_that_grow_are_not_read_by_a_run_that_does_not_wait(tmp_path: Path) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_jester", origin)
        world.spec(small("jester", ("volumes: 23", "volumes: 3")))
        place_jester(world, tmp_path)
        growing, done = world.root / "annotations/jester-v1-train.csv", Event()

        def copy() -> None:
            with growing.open("ab") as file:
                while not done.wait(0.05):
                    file.write(b"\n")
                    file.flush()

        writer = Thread(target=copy)
        writer.start()
        try:
            told = world.run("one", code=11).output
        finally:
            done.set()
            writer.join()
    assert (
        "Somebody still writes jester-v1-train.csv, so nothing is read yet. Run this again when it is copied." in told
    )


def test_after_its_days_the_run_ends_and_says_what_to_place(
    tmp_path: Path, ucf101: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Origin(serve(tmp_path / "served", {SPLITS: ucf101[SPLITS]})) as origin:
        world = World(tmp_path, "small_ucf101", origin)
        world.spec(small("ucf101"))
        monkeypatch.setattr(waiting, "SHORTEST", waiting.timedelta(seconds=0.2))
        begun = time.monotonic()
        done = world.run("one", "--set", "wait_days=0.00002", code=3)
        assert "whoever has UCF101.rar puts it into" in done.output + str(world.rows("extract/part-00000"))
        assert 1.7 < time.monotonic() - begun < 60
        assert list((world.run_folder() / "waiting").iterdir()) == []


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "400", "soon"])
def test_days_that_are_none(tmp_path: Path, days: str) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_ucf101", origin)
        world.spec(small("ucf101"))
        assert "wait_days" in world.run("one", "--set", f"wait_days={days}", code=2).output
