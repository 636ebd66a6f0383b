"""A lab's own folders of frames: recognised by ``init``, taken as they are, with flow beside them where it is asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, tar
from clipquarry.datasets.load import load_spec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, SpecError
from clipquarry.media.probe import probe
from families.clips.file_world import World, serve
from families.clips.frames_world import FRAMES, frames
from families.clips.test_own_files import snapshot
from PIL import Image

pytestmark = pytest.mark.timeout(300)

CLIPS = {"drum fingers/1": "a", "drum fingers/2": "b", "swipe left/take 1": "c", "swipe left/take_1": "d"}
FLOW = ("--set", "flow=true", "--set", "flow_type=dis")
FORMS = [("%05d.jpg", 1), ("img_%05d.jpg", 0), ("frame%d.jpg", 0)]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with Origin(serve(tmp_path / "served", {})) as origin:
        yield World(tmp_path, "gestures", origin)


def place(
    lab: World, clips: dict[str, str], pattern: str = "%05d.jpg", first: int = 1, below: str = "Gestures"
) -> Path:
    for path, shows in clips.items():
        frames(lab.folder, lab.folder / below / path, shows, pattern, first)
    return lab.folder / below


def there(lab: World) -> set[str]:
    return {str(path.relative_to(lab.root / "rawframes").parent) for path in (lab.root / "rawframes").rglob("*.jpg")}


@pytest.mark.parametrize(("pattern", "first"), FORMS)
def test_folders_of_frames_become_a_list_and_flow(lab: World, pattern: str, first: int) -> None:
    folder = place(lab, CLIPS, pattern, first)
    (folder / "drum fingers/1/notes.txt").write_text("not a frame")
    before = snapshot(folder)
    told = lab("init", str(folder)).output
    assert f"4 folders of frames (32 frames, the first one {pattern % first})" in told, told
    assert "of 2 classes: train 4" in told and "Left out: 1 files that are no frames (.txt 1)" in told, told
    last = lab.run("one", *FLOW).stdout.splitlines()[-1]
    assert last.startswith("gestures: 4 of 4 clips are there"), last
    lines = (lab.root / "gestures_train_list_rawframes.txt").read_text().splitlines()
    flow = (lab.root / "gestures_train_list_rawframes_flow.txt").read_text().splitlines()
    assert [line.split()[1:] for line in lines] == [[str(FRAMES), "0"]] * 2 + [[str(FRAMES), "1"]] * 2
    assert flow == [line.replace(f" {FRAMES} ", f" {FRAMES - 1} ") for line in lines]
    names = [line.split()[0] for line in lines]
    assert names[:2] == ["drum_fingers/1", "drum_fingers/2"] and len(set(names)) == 4
    for name, path in zip(names, CLIPS, strict=True):
        made = {file.name: file.read_bytes() for file in (lab.root / "rawframes" / name).iterdir()}
        theirs = {file.name: file.read_bytes() for file in (folder / path).iterdir() if file.suffix == ".jpg"}
        wanted = {f"flow_{way}_{number:05d}.jpg" for way in "xy" for number in range(first, first + FRAMES - 1)}
        assert made.keys() - theirs.keys() == wanted
        assert {file: made[file] for file in theirs} == theirs, "frames are the item, and stay as they are"
    assert snapshot(folder) == before
    for gate in ("annotations", "clips", "frames", "lists"):
        assert lab.gate(gate)["verdict"] == "pass", [one for one in lab.gate(gate)["checks"] if not one["success"]]
    assert {(row["frames"], row["duration"], row["has_audio"]) for row in lab.rows("recorded")} == {
        (FRAMES, None, False)
    }


def test_frames_that_a_person_took_away_are_noticed(lab: World) -> None:
    folder = place(lab, CLIPS)
    lab("init", str(folder))
    lab.run("one")
    for number in (7, 8):
        (folder / f"drum fingers/1/{number:05d}.jpg").unlink()
    lab.run("two")
    lines = (lab.root / "gestures_train_list_rawframes.txt").read_text().splitlines()
    assert lines[0] == "drum_fingers/1 6 0" and lines[1] == f"drum_fingers/2 {FRAMES} 0"


def test_a_plan_of_videos_of_frames_knows_what_they_need(lab: World) -> None:
    lab("init", str(place(lab, CLIPS)))
    lab.run("one")
    lab.run("two", "--set", "encode=true", "--set", "dry_run=true")
    estimate = json.loads((lab.run_folder("two") / "plan.json").read_text())["estimate"]
    assert [(one["place"], one["items"]) for one in estimate["items"]] == [("here", 4)]
    assert [(one["kind"], one["files"]) for one in estimate["disk"]] == [("videos", 4)]


@pytest.mark.parametrize(("pattern", "first"), FORMS[:2])
def test_videos_are_made_of_the_frames_where_they_are_asked_for(lab: World, pattern: str, first: int) -> None:
    lab("init", str(place(lab, CLIPS, pattern, first)))
    lab.run("one", "--set", "encode=true", "--set", "encode_fps=10")
    lines = (lab.root / "gestures_train_list_videos.txt").read_text().splitlines()
    frames_of = (lab.root / "gestures_train_list_rawframes.txt").read_text().splitlines()
    assert lines == [re.sub(r" [0-9]+ ([0-9]+)$", r".mp4 \1", line) for line in frames_of] and len(lines) == 4
    for line in lines:
        found = probe(lab.root / "videos" / line.split()[0])
        assert (found.frames, round(found.fps), found.video_codec) == (FRAMES, 10, "mpeg4")
    assert lab.gate("frames")["verdict"] == lab.gate("lists")["verdict"] == "pass"
    before = snapshot(lab.root / "videos")
    lab.run("two", "--set", "encode=true", "--set", "encode_fps=10")
    assert snapshot(lab.root / "videos") == before
    assert "encode_fps" in lab.run("three", "--set", "encode_fps=10", code=2).output


def test_a_second_run_keeps_frames_and_flow(lab: World) -> None:
    lab("init", str(place(lab, CLIPS)))
    lab.run("one", *FLOW)
    paths = sorted((lab.root / "rawframes").rglob("*.jpg"))
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
    lab.run("two", *FLOW)
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before
    assert {row["status"] for row in lab.rows("results", "two")} == {"kept"}
    assert [path.name for path in (lab.data / ".clipquarry/releases/gestures").iterdir() if path.is_dir()] == ["one"]
    place(lab, {"swipe left/new": "e"})
    lab.run("three")
    assert sorted(row["status"] for row in lab.rows("results", "three")) == ["done", *["kept"] * 4]
    header, *rows = map(
        json.loads, (lab.data / ".clipquarry/releases/gestures/three/gestures.lock").read_text().splitlines()
    )
    assert header["clips"] == len(rows) == 5
    assert {(row["frames"], row["duration"]) for row in rows} == {(FRAMES, 0.0)}


def test_without_flow_there_is_one_list_and_the_gate_is_skipped(lab: World) -> None:
    lab("init", str(place(lab, CLIPS)))
    lab.run("one")
    assert not (lab.root / "gestures_train_list_rawframes_flow.txt").exists()
    assert not (lab.run_folder() / "gates/frames.json").exists()
    told = lab.run("two", "--set", "flow_type=dis", code=2).output
    assert "Parameter 'flow_type' does nothing in this run" in told
    told = lab.run("two", "--set", "frames=true", code=2).output
    assert "gestures has no parameter 'frames'" in told


def damage(folder: Path, how: str) -> None:
    first, third = folder / "00001.jpg", folder / "00003.jpg"
    if how == "gap":
        third.unlink()
    elif how == "empty":
        third.write_bytes(b"")
    elif how == "cut":
        third.write_bytes(third.read_bytes()[:-300])
    elif how == "no picture":
        third.write_bytes(b"<html>404</html>")
    elif how == "pixels":  # begins and ends as a JPEG does
        data = third.read_bytes()
        third.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    elif how == "stray":
        shutil.copy(first, folder / "cover.png")
    elif how == "begins with 5":
        for number in (1, 2, 3, 4):
            (folder / f"{number:05d}.jpg").unlink()
    elif how == "size":
        Image.new("RGB", (16, 16)).save(third)
    elif how == "link":
        third.unlink()
        third.symlink_to(folder / "nowhere.jpg")


DAMAGES = {
    "gap": ("truncated", "00003.jpg is not there, but later frames are"),
    "empty": ("corrupt", "00003.jpg is empty"),
    "cut": ("truncated", "00003.jpg has no end: the file was cut off"),
    "no picture": ("corrupt", "00003.jpg is no JPEG"),
    "pixels": ("corrupt", "00003.jpg does not decode to its end"),
    "stray": ("corrupt", "'cover.png' is in the folder and is no frame of it"),
    "begins with 5": ("truncated", "00001.jpg is not there, but later frames are"),
    "link": ("corrupt", "00003.jpg: No such file or directory"),
    "size": ("corrupt", "00003.jpg is 16x16, the first frame is "),
}


def test_damaged_folders_are_missing_with_their_reasons_and_never_half_there(lab: World) -> None:
    folder = place(lab, {f"x/{how.replace(' ', '_')}": how for how in DAMAGES} | {"x/whole": "a"})
    lab("init", str(folder))
    for how in DAMAGES:
        damage(folder / "x" / how.replace(" ", "_"), how)
    spec = lab.folder / "specs/gestures.yaml"
    spec.write_text(spec.read_text().replace("missing: {warn: 0, error: 0.05}", "missing: {warn: 0, error: 1}"))
    lab.run("one")
    lost = {row["clip_id"]: row for row in lab.rows("recorded") if row["status"] == "missing"}
    assert set(lost) == {how.replace(" ", "_") for how in DAMAGES}
    for how, (reason, says) in DAMAGES.items():
        row = lost[how.replace(" ", "_")]
        assert row["reason"] == reason and says in row["evidence"], row
        assert f"(x/{row['clip_id']} in the folder of source 'own')" in row["evidence"], row
    assert there(lab) == {"x/whole"} and not list((lab.root / "rawframes/x").glob(".*"))
    assert (lab.root / "gestures_train_list_rawframes.txt").read_text() == f"x/whole {FRAMES} 0\n"
    shutil.rmtree(folder / "x/gap")
    place(lab, {"x/gap": "b"})
    lab.run("two")
    assert there(lab) == {"x/whole", "x/gap"}


@pytest.mark.parametrize("is_copied", [False, True])
def test_frames_that_a_person_replaces_are_taken_anew(
    lab: World, monkeypatch: pytest.MonkeyPatch, is_copied: bool
) -> None:
    if is_copied:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(18, "another file system")

        monkeypatch.setattr(os, "link", refuse)
    folder = place(lab, CLIPS)
    lab("init", str(folder))
    lab.run("one", *FLOW)
    old = (lab.root / "rawframes/drum_fingers/2/00003.jpg").read_bytes()
    shutil.rmtree(folder / "drum fingers/2")
    place(lab, {"drum fingers/2": "other"})
    os.utime(folder / "drum fingers/1/00002.jpg", (1, 1))  # the same bytes
    lab.run("two", *FLOW)
    assert {row["item_id"]: row["status"] for row in lab.rows("results", "two")}["train/drum_fingers/2"] == "done"
    assert (lab.root / "rawframes/drum_fingers/2/00003.jpg").read_bytes() != old
    assert (lab.root / "rawframes/drum_fingers/2/00003.jpg").read_bytes() == (
        folder / "drum fingers/2/00003.jpg"
    ).read_bytes()
    (aside,) = (lab.data / ".clipquarry/set-aside/gestures/rawframes/drum_fingers").iterdir()
    assert (aside / "00003.jpg").read_bytes() == old
    assert lab.gate("frames", "two")["verdict"] == "pass"
    lab.run("three", *FLOW)
    assert {row["status"] for row in lab.rows("results", "three")} == {"kept"}


def test_a_frame_that_changes_after_it_was_taken_blocks_the_release(lab: World) -> None:
    folder = place(lab, CLIPS)
    lab("init", str(folder))
    lab.run("one")
    frame = lab.root / "rawframes/drum_fingers/2/00003.jpg"
    data = frame.read_bytes()
    frame.unlink()
    middle = len(data) // 2
    frame.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    lab("stage", "gate_clips", "gestures", "--run", "one", code=Exit.BLOCKED)
    (broken,) = [one for one in lab.gate("clips")["checks"] if not one["success"]]
    assert (broken["id"], broken["worst"][0]["disk"]) == ("clips.on_disk", "other frames than were recorded")
    shutil.rmtree(lab.data / ".clipquarry/releases/gestures")
    told = lab("stage", "release", "gestures", "--run", "one", code=Exit.BLOCKED).output
    assert "is not released: 1 of 4 files are not what was recorded" in told, told


def test_a_table_of_folders_with_splits(lab: World) -> None:
    folder = place(lab, {"p01/a": "a", "p01/b": "b", "p02/c": "c"})
    (folder / "labels.csv").write_text(
        "file,label,split\np01/a,wave,train\np01/b,nod,train\np02/c,wave,val\np02/d,wave,val\n"
    )
    told = lab("init", str(folder)).output
    assert "3 folders of frames (24 frames" in told and "1 rows of the table name a folder that is not there" in told
    lab.run("one", code=Exit.BLOCKED)
    (lost,) = [row for row in lab.rows("recorded") if row["status"] == "missing"]
    assert (lost["clip_id"], lost["reason"]) == ("d", "no_source")
    (folder / "labels.csv").write_text("file,label,split\np01/a,wave,train\np01/b,nod,train\np02/c,wave,val\n")
    lab.run("two")
    assert (lab.root / "gestures_val_list_rawframes.txt").read_text() == f"wave/c {FRAMES} 1\n"


def test_split_folders_and_a_share_of_val(lab: World) -> None:
    folder = place(lab, {"train/x/1": "a", "val/x/2": "b"})
    assert "train 1, val 1" in lab("init", str(folder)).output
    lab.run("one")
    assert (lab.root / "gestures_val_list_rawframes.txt").read_text() == f"x/2 {FRAMES} 0\n"
    many = place(lab, {f"{name}/{number}": "a" for name in "xy" for number in range(10)}, below="others")
    told = lab("init", str(many), "--val-share", "0.3").output
    lab("run", "others", "--set", "dry_run=true", "--run", "dry")
    lines = (lab.data / "others/annotations/files.csv").read_text().splitlines()[1:]
    assert len(lines) == 20 and f"val {sum(line.endswith(',val') for line in lines)}" in told, told


def test_what_init_says_of_odd_folders(lab: World) -> None:
    folder = place(lab, CLIPS)
    (folder / "drum fingers/2/00004.jpg").unlink()
    frames(lab.folder, folder / "swipe left/other names", "e", "image-%03d.jpg", 7)
    told = lab("init", str(folder)).output
    assert "1 folders lack frames between others, or begin with another number: runs reject them." in told, told
    assert "Left out: 8 files that are no frames (.jpg 8)" in told, told
    empty = lab.folder / "pictures"
    frames(lab.folder, empty / "x/1", "a", "image-%03d.jpg", 7)
    told = lab("init", str(empty), code=2).output
    assert "No video lies in" in told and "no folder of frames with numbers from 0 or 1" in told, told


YAML = """\
schema: dataset-spec/v1
name: gestures
title: Frames from an archive
family: clips
root: gestures
access: {kind: own}
options: {reader: kinetics_csv}
layout: {annotations: annotations, rawframes: rawframes}
item: {level: 2, medium: frames, ids: own, rgb_pattern: "{:05d}.jpg", rgb_prefix: ""}
labels: {source: annotation}
splits: {train: annotations/train.csv}
sources:
  - {id: own, kind: http, provides: items, content: file, url: "${SMALL_URL}/frames.tar", archive: {into: rawframes, strip_top: gestures-v1}}
lists: {rawframes: "gestures_{split}_list_rawframes.txt"}
missing: {warn: 0, error: 0.6}
"""


FROM_ARCHIVE = 'content: file, url: "${SMALL_URL}/frames.tar", archive: {into: rawframes, strip_top: gestures-v1}'


@needs_libarchive
def test_an_archive_of_frame_folders(tmp_path: Path) -> None:
    made = frames(tmp_path, tmp_path / "made", "a")
    members = {
        f"gestures-v1/wave/{clip}_000000_000001/{path.name}": path.read_bytes()
        for clip in ("1", "2")
        for path in made.iterdir()
    }
    del members["gestures-v1/wave/2_000000_000001/00005.jpg"]
    with Origin(serve(tmp_path / "served", {"frames.tar": tar(members)})) as origin:
        world = World(tmp_path, "gestures", origin)
        world.spec(YAML)
        (world.root / "annotations").mkdir(parents=True)
        rows = [f"wave,{clip},0,1,train\n" for clip in ("1", "2", "3")]
        (world.root / "annotations/train.csv").write_text(
            "label,youtube_id,time_start,time_end,split\n" + "".join(rows)
        )
        world.run("one", *FLOW, code=Exit.BLOCKED)
        told = {
            row["video_id"]: (row["status"], row["reason"], row["source"], row["evidence"])
            for row in world.rows("recorded")
        }
    assert told["1"][:3] == ("kept", "ok", "existing")
    assert told["2"][:2] == ("missing", "truncated") and "00005.jpg is not there" in told["2"][3], told
    assert told["3"][:2] == ("missing", "not_found"), told


@pytest.mark.parametrize(
    ("before", "after", "key", "says"),
    [
        ("medium: frames,", "medium: frames, ext: [jpg],", "item.ext", "leave it out"),
        ("rawframes: rawframes}", "rawframes: rawframes, resized: small}", "layout.resized", "a folder of frames"),
        ('{:05d}.jpg"', '{:05d}.png"', "item.rgb_pattern", "made of JPEGs: name frames .jpg"),
        ('rgb_prefix: ""', "rgb_prefix: img_", "item.rgb_prefix", "which may be nothing"),
        ("reader: kinetics_csv", "reader: kinetics_csv, frames: {quality: 3}", "options.frames", "stay as published"),
        (FROM_ARCHIVE, 'content: clip, url: "http://host/{id}"', "sources.0.content", "content is file"),
        (FROM_ARCHIVE, 'content: file, url: "http://host/{clip}"', "sources.0.archive", "has no address"),
        ("family: clips", "family: segments", "item.medium", "'frames' cannot be prepared yet"),
    ],
)  # fmt: skip
def test_keys_that_folders_of_frames_cannot_have(lab: World, before: str, after: str, key: str, says: str) -> None:
    path = lab.folder / "specs/gestures.yaml"
    text = YAML.replace(before, after)
    assert text != YAML
    if "segments" in after:
        text = text.replace("options: {reader: kinetics_csv}", "options: {reader: thumos14, classes: {A: 1}}")
    path.write_text(text)
    with pytest.raises(SpecError, match=rf"key '{key}.*{says}"):
        load_spec(path)
