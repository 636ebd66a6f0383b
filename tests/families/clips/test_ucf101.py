"""UCF101, from its two archives to mmaction2's twelve lists, through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from acquire.made_archives import needs_libarchive, rar4, zipped
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.obtain import ArchiveWanted, has_come, obtain
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit
from clipquarry.settings import DataRoot
from families.clips.file_world import World, film, serve, small

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

CLASSES = {"ApplyEyeMakeup": "ApplyEyeMakeup", "HandstandPushups": "HandStandPushups", "YoYo": "YoYo"}
"""Folder to what its files are called: one class of UCF101 spells them otherwise."""
CLIPS = [f"{folder}/v_{name}_g{group:02d}_c01" for folder, name in CLASSES.items() for group in (1, 8, 9)]


def lists() -> dict[str, bytes]:
    """Three divisions: group n of 1, 8, 9 is the test of division n."""
    index = "".join(f"{number} {name}\r\n" for number, name in enumerate(CLASSES, 1))
    files = {"ucfTrainTestlist/classInd.txt": index.encode()}
    for number, group in enumerate(("g01", "g08", "g09"), 1):
        numbers = {name: at for at, name in enumerate(CLASSES, 1)}
        train = [clip for clip in CLIPS if group not in clip]
        test = [clip for clip in CLIPS if group in clip]
        # Published lists are in no order that anybody could compute.
        train.sort(key=lambda clip: clip[::-1])
        files[f"ucfTrainTestlist/trainlist0{number}.txt"] = "".join(
            f"{clip}.avi {numbers[clip.split('/')[0]]}\n" for clip in train
        ).encode()
        files[f"ucfTrainTestlist/testlist0{number}.txt"] = "".join(f"{clip}.avi\r\n" for clip in test).encode()
    return files


@pytest.fixture(scope="module")
def ucf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ucf")
    videos = {f"UCF-101/{clip}.avi": film(folder, clip) for clip in CLIPS}
    served = serve(
        folder / "served",
        {"UCF101TrainTestSplits-RecognitionTask.zip": zipped(lists()), "UCF101.rar": rar4(videos)},
    )
    with Origin(served) as origin:
        world = World(folder, "small_ucf101", origin)
        world.spec(small("ucf101"))
        told = world.run("one", "--set", "frames=true", "--set", "resize=true").stdout.splitlines()[-1]
        assert told.startswith("small_ucf101: 27 of 27 clips are there"), told
        yield world


def test_the_archives_become_a_release(ucf: World) -> None:
    assert ucf.files() == {f"videos/{clip}.avi" for clip in CLIPS}
    assert sum(ucf.origin.asked.values()) == 2, "each archive is downloaded once"
    for number in (1, 2, 3):
        for part, source in (("train", "trainlist"), ("val", "testlist")):
            annotated = (ucf.root / f"annotations/{source}0{number}.txt").read_text().split("\n")
            wanted = [line.split()[0] for line in annotated if line.strip()]
            index = {name: at for at, name in enumerate(CLASSES)}
            name = ucf.root / f"small_ucf101_{part}_split_{number}_videos.txt"
            assert name.read_text() == "".join(f"{path} {index[path.split('/')[0]]}\n" for path in wanted)
            frames = (ucf.root / f"small_ucf101_{part}_split_{number}_rawframes.txt").read_text()
            assert frames == "".join(f"{path[:-4]} 8 {index[path.split('/')[0]]}\n" for path in wanted)
    for gate in ("annotations", "clips", "frames", "lists"):
        assert ucf.gate(gate)["verdict"] != "block", ucf.gate(gate)


def test_a_second_run_keeps_every_file_and_asks_nobody(ucf: World) -> None:
    before = {name: (ucf.root / name).stat().st_ino for name in ucf.files()}
    asked = sum(ucf.origin.asked.values())
    ucf.run("two")
    assert sum(ucf.origin.asked.values()) == asked
    assert {name: (ucf.root / name).stat().st_ino for name in ucf.files()} == before
    assert {row["status"] for row in ucf.rows("results", "two")} == {"kept"}


def test_the_lock_names_each_file_once_with_all_its_splits(ucf: World) -> None:
    release = ucf.data / ".clipquarry/releases/small_ucf101/one"
    header, *rows = map(json.loads, (release / "small_ucf101.lock").read_text().splitlines())
    assert header["clips"] == len(rows) == len(CLIPS)
    assert rows[0]["path"] == f"small_ucf101/videos/{CLIPS[0]}.avi"
    assert rows[0]["split"] == "train_split_2,train_split_3,val_split_1"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    """A world whose server has nothing."""
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_ucf101", origin)
        world.spec(small("ucf101"))
        for name, data in lists().items():
            path = world.root / "annotations" / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield world


def test_an_archive_that_a_person_placed_is_used_and_stays(alone: World) -> None:
    rar = alone.root / "UCF101.rar"
    rar.write_bytes(rar4({f"UCF-101/{clip}.avi": film(alone.folder, clip) for clip in CLIPS}))
    before = rar.stat().st_ino
    alone.run()
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS}
    told = {one["id"]: one["success"] for one in alone.gate("clips")["checks"] if one["id"].startswith("archives.")}
    assert told == {"archives.read": True, "archives.refused": True}
    assert rar.stat().st_ino == before
    assert not alone.origin.asked


def test_a_torn_archive_is_not_news_to_every_refresh(alone: World) -> None:
    source = next(one for one in find_spec("ucf101").item_sources if one.archive)
    wanted = ArchiveWanted(source.id, alone.root.name, source.archive, (f"{alone.origin.url}/UCF101.rar",))
    alone.root.mkdir(parents=True, exist_ok=True)
    whole = rar4({f"UCF-101/{CLIPS[0]}.avi": b"x" * 5000})
    (alone.root / "UCF101.rar").write_bytes(whole[:-400])
    data = DataRoot(alone.data)
    assert has_come(wanted, data)
    with pytest.raises(FetchFailed):
        obtain(wanted, data, Event())
    assert not has_come(wanted, data)
    (alone.root / "UCF101.rar").write_bytes(whole)
    assert has_come(wanted, data)


def test_an_archive_that_a_fuller_one_replaced_is_read_without_being_asked_for(alone: World) -> None:
    rar = alone.root / "UCF101.rar"

    def place(clips: list[str]) -> None:
        rar.write_bytes(rar4({f"UCF-101/{clip}.avi": film(alone.folder, clip) for clip in clips}))

    place(CLIPS[2:])
    alone.run(code=Exit.BLOCKED)
    alone.run("two", code=Exit.BLOCKED)
    assert not list((alone.run_folder("two") / "extract").glob("*.parquet")), "what it lacks it lacks for good"
    place(CLIPS[1:])
    alone.run("three", code=Exit.BLOCKED)
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS[1:]}
    place(CLIPS)
    alone.run("four")
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS}
    alone.run("five")
    assert not list((alone.run_folder("five") / "extract").glob("*.parquet"))


def test_a_damaged_file_and_an_absent_one_are_told_and_not_listed(alone: World) -> None:
    files = {f"UCF-101/{clip}.avi": film(alone.folder, clip) for clip in CLIPS[1:]}
    damaged = CLIPS[1]
    files[f"UCF-101/{damaged}.avi"] = files[f"UCF-101/{damaged}.avi"][:3000]
    (alone.root / "UCF101.rar").write_bytes(rar4(files))
    assert "clips.coverage" in alone.run(code=Exit.BLOCKED).output
    lost = {row["clip_id"]: row for row in alone.rows("results") if row["status"] == "missing"}
    assert set(lost) == {Path(CLIPS[0]).name, Path(damaged).name}
    absent, broken = lost[Path(CLIPS[0]).name], lost[Path(damaged).name]
    assert (absent["reason"], absent["evidence"]) == ("not_found", "crcv: not in the archive")
    assert broken["reason"] in ("truncated", "corrupt")
    assert "was moved to" in broken["evidence"]
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS[2:]}
    alone.run("two", code=Exit.BLOCKED)
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS[2:]}
    assert len(list((alone.data / ".clipquarry/set-aside").rglob("*.avi"))) == 1, "it is not unpacked for each run anew"
    again = {row["clip_id"]: row["reason"] for row in alone.rows("results", "two") if row["status"] == "missing"}
    assert again == {name: row["reason"] for name, row in lost.items()}


def test_files_of_a_folder_are_taken_with_their_suffixes_and_stay_there(alone: World) -> None:
    mine = alone.folder / "mine"
    for clip in CLIPS:
        path = mine / f"{clip}{'.mkv' if 'YoYo' in clip else '.avi'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film(alone.folder, clip, path.suffix))
    alone.run("one", "--set", f"local_folder={mine}", "--set", "frames=true")
    assert alone.files() == {f"videos/{path.relative_to(mine)}" for path in mine.rglob("*.*")}
    listed = (alone.root / "small_ucf101_val_split_1_videos.txt").read_text()
    assert "YoYo/v_YoYo_g01_c01.mkv 2\n" in listed
    assert (alone.root / "rawframes/YoYo/v_YoYo_g01_c01/img_00008.jpg").is_file()


@pytest.mark.parametrize("where", ["placed", "served"])
def test_a_folder_and_an_archive_together(alone: World, where: str) -> None:
    """What the folder has comes from there, and the rest from the archive, which stands behind it."""
    mine, own = alone.folder / "mine", CLIPS[:2]
    for clip in own:
        (mine / clip).parent.mkdir(parents=True, exist_ok=True)
        (mine / f"{clip}.avi").write_bytes(film(alone.folder, f"mine {clip}"))
    rar = (alone.root if where == "placed" else alone.folder / "served") / "UCF101.rar"
    rar.write_bytes(rar4({f"UCF-101/{clip}.avi": film(alone.folder, clip) for clip in CLIPS}))
    alone.run("one", "--set", f"local_folder={mine}")
    rows = {row["clip_id"]: row for row in alone.rows("results")}
    for clip in CLIPS:
        there = (alone.root / f"videos/{clip}.avi").read_bytes()
        name = Path(clip).name
        assert there == film(alone.folder, f"mine {clip}" if clip in own else clip), (clip, rows[name])
        assert rows[name]["source"] == ("local" if clip in own else "existing")
    assert alone.files() == {f"videos/{clip}.avi" for clip in CLIPS}


def test_two_files_of_one_clip_are_an_error_that_names_both(alone: World) -> None:
    for clip in CLIPS:
        path = alone.root / "videos" / f"{clip}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film(alone.folder, clip))
    (alone.root / "videos" / f"{CLIPS[0]}.mkv").write_bytes(film(alone.folder, CLIPS[0], ".mkv"))
    alone.run(code=Exit.BLOCKED)
    (lost,) = {row["evidence"] for row in alone.rows("results") if row["status"] == "failed"}
    assert lost == (
        "v_ApplyEyeMakeup_g01_c01.avi and v_ApplyEyeMakeup_g01_c01.mkv lie there for one item: remove the one that is wrong"
    )


def test_the_report_says_that_another_run_asks_again_for_what_an_archive_lacks(tmp_path: Path) -> None:
    """The packaged data set, whose archive a person has placed: nothing is downloaded."""
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "ucf101", origin)
        for name, data in lists().items():
            path = world.root / "annotations" / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (world.root / "UCF101.rar").write_bytes(
            rar4({f"UCF-101/{clip}.avi": film(tmp_path, clip) for clip in CLIPS[1:]})
        )
        world.run(code=Exit.BLOCKED)
    page = (world.run_folder() / "report/index.html").read_text()
    assert "put what is missing into a folder or archive of its sources, and start another run" in page
    assert "refresh DAG by hand" not in page


def test_items_of_an_archive_that_is_nowhere_say_what_to_do(alone: World) -> None:
    alone.run("one", code=Exit.BLOCKED)
    (told,) = {(row["reason"], row["evidence"]) for row in alone.rows("recorded")}
    assert told[0] == "no_source"
    assert told[1].startswith("crcv: ") and f"whoever has UCF101.rar puts it into {alone.root}" in told[1], told
    alone.spec(
        small(
            "ucf101", ("  - id: crcv\n    kind: http", "  - id: crcv\n    kind: manual"),
            ('url: "${SMALL_URL}/UCF101.rar"', 'files: ["UCF*.rar"]\n    howto: ask the authors'),
        )
    )  # fmt: skip
    alone.run("two", code=Exit.BLOCKED)
    assert {row["evidence"] for row in alone.rows("recorded", "two")} == {
        f"crcv: no UCF*.rar lies in {alone.root}; ask the authors"
    }


def test_one_split_of_a_data_set_in_this_form_whose_classes_train_numbers(alone: World) -> None:
    folder = alone.folder / "mine"
    clips = [clip for clip in CLIPS if "_g01_" in clip]
    for clip in clips:
        (folder / clip).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{clip}.avi").write_bytes(film(alone.folder, clip))
    alone.spec(
        f"""\
schema: dataset-spec/v1
name: small_ucf101
title: In this form
family: clips
root: small_ucf101
access: {{kind: own}}
options: {{reader: ucf101}}
layout: {{annotations: annotations, videos: videos}}
item: {{level: 2, ext: [avi], ids: own}}
labels: {{source: annotation}}
splits: {{train: annotations/trainlist01.txt, val: annotations/testlist01.txt}}
sources:
  - {{id: own, kind: local, provides: items, content: file, path: "{folder}"}}
lists: {{videos: "{{split}}.txt"}}
"""
    )
    alone.run("one", "--split", "val")
    assert alone.files() == {f"videos/{clip}.avi" for clip in clips}
