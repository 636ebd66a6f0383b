"""ActivityNet from its annotation to lists of frames and pooled features, through the command line."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from acquire.made_archives import needs_libarchive, zipped
from clipquarry.annotations.name_lists import known_names
from clipquarry.annotations.video_features import pooled_csv
from clipquarry.datasets.load import find_spec
from clipquarry.errors import Exit
from clipquarry.families.segments.report.section import collect
from clipquarry.files import read_json
from families.clips.file_world import World
from families.segments.anet_world import BSN, DATABASE, FRAMES, MINE, OFFICIAL, PRIVATE, THEIRS, VAL, anet, asked

pytestmark = pytest.mark.timeout(300)

CLASSES = known_names("activitynet")
BMX, SUMO, ARCHERY = (CLASSES.index(name) for name in ("BMX", "Sumo", "Archery"))
MADE = ("--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis")


@pytest.fixture(scope="module")
def monkey() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, monkey: pytest.MonkeyPatch) -> Iterator[World]:
    with anet(tmp_path_factory.mktemp("anet"), "activitynet", monkey) as made:
        done = made.run("one", *MADE)
        assert done.stdout.splitlines()[-1].startswith("small_activitynet: 3 of 4"), done.output
        yield made


def broken(world: World, gate: str, run: str = "one") -> dict[str, list[str]]:
    """Checks of a gate that do not hold, with the rows that a person is shown."""
    found: dict[str, list[str]] = {}
    for one in world.gate(gate, run)["checks"]:
        if not one["success"]:
            found.setdefault(one["id"], []).extend(row["item_id"] for row in one["worst"])
    return found


def test_whole_videos_come_from_the_folder_and_from_youtube(world: World) -> None:
    assert world.files() == {f"videos/v_{name}.mp4" for name in (MINE, VAL, THEIRS)}
    assert asked(world) == [THEIRS, PRIVATE], "what lies in the folder is not asked for"
    rows = {row["video_id"]: row for row in world.rows("results")}
    assert {name: (row["status"], row["source"], row["frames"]) for name, row in rows.items()} == {
        MINE: ("done", "local", FRAMES), VAL: ("done", "local", FRAMES), THEIRS: ("done", "youtube", FRAMES),
        PRIVATE: ("missing", None, None),
    }  # fmt: skip
    assert rows[PRIVATE]["reason"] == "private" and "Private video" in rows[PRIVATE]["evidence"]


def test_what_cannot_be_used_is_rejected_with_its_reason(world: World) -> None:
    rejected = [row for row in world.rows("catalog") if row["status"] == "rejected"]
    assert [(row["reason"], row["evidence"].split(":")[0]) for row in rejected] == [
        ("bad_id", "the id is no YouTube id"), ("unknown_label", f"segment 2 of {THEIRS}"),
    ]  # fmt: skip
    assert {row["item_id"] for row in world.rows("catalog") if row["status"] != "rejected"} == {
        f"train/v_{MINE}", f"train/v_{THEIRS}", f"train/v_{PRIVATE}", f"val/v_{VAL}", "test/v_eeeeeeeeeee",
    }  # fmt: skip


def test_frames_and_flow_are_numbered_from_0(world: World) -> None:
    names = {path.name for path in (world.root / f"rawframes/v_{MINE}").iterdir()}
    assert names == {
        *(f"img_{n:05d}.jpg" for n in range(FRAMES)),
        *(f"flow_{axis}_{n:05d}.jpg" for axis in "xy" for n in range(FRAMES - 1)),
    }


def test_the_lists_count_frames_without_flow(world: World) -> None:
    """The video of 30 s by its annotation has 24 frames: its first 15 s are 12 of them."""
    found = {path.name: path.read_text() for path in world.root.glob("anet_*.txt")}
    assert found == {
        "anet_train_video.txt": f"v_{MINE} 24 {BMX}\nv_{THEIRS} 24 {BMX}",
        "anet_train_clip.txt": (
            f"v_{MINE} 12 12 {BMX}\nv_{MINE} 0 11 {SUMO}\nv_{MINE} 16 2 {BMX}\nv_{THEIRS} 0 13 {BMX}"
        ),
        "anet_val_video.txt": f"v_{VAL} 24 {ARCHERY}",
        "anet_val_clip.txt": f"v_{VAL} 4 7 {ARCHERY}",
    }


def test_intervals_without_a_line_are_told(world: World) -> None:
    release = world.data / ".clipquarry/releases/small_activitynet/one"
    with (release / "missing_frames_train.csv").open() as handle:
        left = {row["interval"]: (row["reason"], row["evidence"]) for row in csv.DictReader(handle)}
    assert left == {
        f"train/v_{MINE}#2": ("behind_the_end", "3.2 to 4.0 s of a video of 3.0 s and 24 frames"),
        f"train/v_{PRIVATE}#0": ("private", "youtube: Private video (also local: not_found)"),
    }


def test_the_annotation_is_copied_with_the_videos_that_are_here(world: World) -> None:
    copy = json.loads((world.root / "activity_net.v1-3.here.json").read_text())
    here = {name: entry for name, entry in DATABASE.items() if name in (VAL, MINE, THEIRS)}
    assert copy == {**OFFICIAL, "database": here} and list(copy["database"]) == [VAL, MINE, THEIRS]
    assert json.loads((world.root / "activity_net.v1-3.min.json").read_text()) == OFFICIAL, "the original stays"


def test_the_gates_name_what_is_wrong(world: World) -> None:
    rows = broken(world, "annotations")
    assert rows["intervals.in_annotation"] == [f"train/v_{MINE}#2"]
    assert len(rows["intervals.class"]) > 0 and all(not name.startswith("test/") for name in rows["intervals.class"])
    assert broken(world, "clips")["intervals.video_length"] == [f"train/v_{THEIRS}"]
    assert broken(world, "clips")["intervals.in_video"] == [f"train/v_{THEIRS}#0"]
    assert broken(world, "frames") == {}
    assert broken(world, "lists") == {"frame_list.left_out": [f"train/v_{MINE}#2", f"train/v_{PRIVATE}#0"]}


def test_the_release_has_what_others_need(world: World) -> None:
    release = world.data / ".clipquarry/releases/small_activitynet/one"
    assert {path.name for path in release.iterdir()} == {
        "small_activitynet.lock", "intervals.csv", "label_map.txt", "missing.csv", "missing_frames_train.csv",
        "missing_frames_val.csv", "anet_train_video.txt", "anet_train_clip.txt", "anet_val_video.txt", "anet_val_clip.txt",
        "activity_net.v1-3.here.json", "download_report_train.json", "download_report_val.json",
    }  # fmt: skip
    assert (release / "label_map.txt").read_text().splitlines() == list(CLASSES)
    assert read_json(release / "download_report_train.json")[0] == [f"v_{MINE}", True, "Downloaded"]
    page = (world.run_folder() / "report/index.html").read_text()
    assert "7 labelled intervals of 200 classes in 4 videos" in page


def test_a_list_that_was_edited_is_told(world: World) -> None:
    path = world.root / "anet_train_clip.txt"
    good = path.read_text()
    path.write_text(good.replace("12 12", "12 13") + "\n")
    world("stage", "gate_lists", "small_activitynet", "--run", "one", code=int(Exit.BLOCKED))
    rows = broken(world, "lists")
    assert rows["frame_list.window"] == [f"train/v_{MINE}#1"]
    assert rows["frame_list.file"] == ["train/anet_train_clip.txt"]
    path.write_text(good)
    world("stage", "gate_lists", "small_activitynet", "--run", "one")


def scores(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 200), np.float32)


def test_a_second_run_keeps_everything_and_pools_what_a_model_has_left(world: World) -> None:
    """24 frames are one clip. The mean over a video's clips, and a video without flow, are told."""
    paths = [*(world.root / name for name in world.files()), *world.root.glob("anet_*.txt")]
    before, calls = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths], asked(world)
    arrays = {
        ("rgb", MINE): scores(1, 0), ("flow", MINE): scores(2, 1), ("rgb", VAL): scores(1, 2)[0], ("flow", VAL): scores(9, 3),
        ("rgb", THEIRS): scores(1, 4),
    }  # fmt: skip
    for (kind, name), array in arrays.items():
        path = world.root / f"{kind}_feat/v_{name}.pkl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(array))
    world.run("two", *MADE, "--set", "pool_features=true")
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before
    assert asked(world) == calls, "a private video is not due yet"
    assert world.files("mmaction_feat") == {f"mmaction_feat/v_{MINE}.csv"}
    text = (world.root / f"mmaction_feat/v_{MINE}.csv").read_text()
    assert text == pooled_csv(arrays["rgb", MINE], arrays["flow", MINE])
    rows = {row["item_id"]: row for row in _features(world, "two")}
    assert "--long-video-mode" in rows[f"val/v_{VAL}"]["evidence"] and rows[f"val/v_{VAL}"]["reason"] == "corrupt"
    assert "rgb_feat alone" in rows[f"train/v_{THEIRS}"]["evidence"]
    assert broken(world, "features", "two") == {"features.made": [f"train/v_{THEIRS}", f"val/v_{VAL}"]}
    made = (world.root / f"mmaction_feat/v_{MINE}.csv").stat()
    (world.root / f"rgb_feat/v_{VAL}.pkl").write_bytes(pickle.dumps(scores(1, 2)))
    world.run("three", *MADE, "--set", "pool_features=true")
    assert (world.root / f"mmaction_feat/v_{MINE}.csv").stat().st_mtime_ns == made.st_mtime_ns
    assert broken(world, "features", "three") == {
        "features.made": [f"train/v_{THEIRS}"], "features.clips": [f"val/v_{VAL}"],
    }  # fmt: skip


def test_all_files_are_counted_as_the_reference_does(world: World) -> None:
    """24 frames and 23 pairs of optical flow are 70 files, and all numbers follow from them."""
    before = {path: path.read_bytes() for path in world.root.glob("anet_*.txt")}
    world.run("all", *MADE, "--set", "frame_count_rule=all_files")
    lines = (world.root / "anet_train_clip.txt").read_text().splitlines()
    (entry,) = (DATABASE[VAL],)
    rate = 70 / entry["duration"]
    wanted = []
    for one in entry["annotations"]:
        start, end = (int(moment * rate) for moment in one["segment"])
        wanted.append(f"v_{VAL} {start} {min(end, 69) - start + 1} {CLASSES.index(one['label'])}")
    assert (world.root / "anet_val_clip.txt").read_text().splitlines() == wanted
    assert (world.root / "anet_train_video.txt").read_text() == f"v_{MINE} 70 {BMX}\nv_{THEIRS} 70 {BMX}"
    assert lines[0] == f"v_{MINE} 35 35 {BMX}"
    assert broken(world, "lists", "all") == broken(world, "lists"), "the gate counts as the list does"
    page = (world.run_folder("all") / "report/index.html").read_text()
    assert "These lists count all files of a folder" in page
    told = world("run", "small_activitynet", "--set", "frame_count_rule=files", code=int(Exit.USAGE)).output
    assert "frame_count_rule" in told and "'rgb' or 'all_files'" in told
    told = world("run", "thumos14", "--set", "frame_count_rule=all_files", code=int(Exit.USAGE)).output
    assert "frame_count_rule=all_files is about lists of frames with offsets, and thumos14 has none" in told
    world.run("again", *MADE)
    assert {path: path.read_bytes() for path in world.root.glob("anet_*.txt")} == before


def test_the_report_tells_the_lists_and_what_they_lack(world: World) -> None:
    found = collect(find_spec("small_activitynet", (world.folder / "specs",)), world.data, world.run_folder(), {})
    assert found is not None and found.counted == ""
    assert {row.path: (row.of, row.lines, row.behind, row.backwards, row.reasons) for row in found.lists} == {
        "anet_train_video.txt": (3, 2, 0, 0, (("private", 1),)),
        "anet_train_clip.txt": (6, 4, 1, 0, (("private", 1),)),
        "anet_val_video.txt": (1, 1, 0, 0, ()),
        "anet_val_clip.txt": (1, 1, 0, 0, ()),
    }
    page = (world.run_folder() / "report/index.html").read_text()
    assert "Lists of frames" in page and "why without frames" in page and "anet_train_clip.txt" in page


def _features(world: World, run: str) -> Iterator[dict[str, object]]:
    for path in (world.run_folder(run) / "pool_features").glob("part-*.parquet"):
        yield from world.rows(f"pool_features/{path.stem}", run)


def test_frames_that_are_gone_take_their_lines_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with anet(tmp_path, "activitynet", monkeypatch) as world:
        world.run("one", "--source", "local", "--set", "frames=true")
        assert (world.root / "anet_train_video.txt").read_text() == f"v_{MINE} 24 {BMX}"
        assert asked(world) == []
        left = {row["video_id"]: row["reason"] for row in world.rows("lists/train") if not row["written"]}
        assert left == {MINE: "behind_the_end", THEIRS: "no_source", PRIVATE: "no_source"}


def test_bsns_annotation_is_divided_as_the_reference_divides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anet(tmp_path, "activitynet_bsn", monkeypatch) as world:
        world.run("one", "--set", "frames=true", "--set", 'splits=["train", "val", "test"]')
        parts = {part: json.loads((world.root / f"anet_anno_{part}.json").read_text()) for part in
                 ("train", "val", "test", "full", "trainval")}  # fmt: skip
        assert {part: list(entries) for part, entries in parts.items()} == {
            "train": [f"v_{MINE}", f"v_{THEIRS}", f"v_{PRIVATE}"], "val": [f"v_{VAL}"], "test": ["v_eeeeeeeeeee"],
            "full": [f"v_{VAL}", f"v_{MINE}", f"v_{THEIRS}", f"v_{PRIVATE}", "v_eeeeeeeeeee"],
            "trainval": [f"v_{MINE}", f"v_{THEIRS}", f"v_{PRIVATE}", f"v_{VAL}"],
        }  # fmt: skip
        assert parts["full"][f"v_{MINE}"] == {**BSN[f"v_{MINE}"], "fps": 8.0, "rfps": 7.99}
        here = json.loads((world.root / "anet_anno_action.here.json").read_text())
        assert here == {f"v_{name}": BSN[f"v_{name}"] for name in (MINE, THEIRS, VAL)}
        assert list(here) == [f"v_{MINE}", f"v_{THEIRS}", f"v_{VAL}"]
        assert json.loads((world.root / "anet_anno_action.json").read_text()) == BSN
        assert (world.root / "anet_train_video.txt").read_text() == f"v_{MINE} 24 {BMX}\nv_{THEIRS} 24 {BMX}"
        release = world.data / ".clipquarry/releases/small_activitynet_bsn/one"
        assert {path.name for path in release.glob("anet_anno_*.json")} == {
            *(f"anet_anno_{part}.json" for part in parts), "anet_anno_action.here.json",
        }  # fmt: skip


@needs_libarchive
def test_published_features_are_unpacked_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with anet(tmp_path, "activitynet_features", monkeypatch) as world:
        good = pooled_csv(scores(3, 0), scores(3, 1)).encode()
        archive = {f"csv_mean_100/v_{name}.csv": good for name in (MINE, THEIRS)}
        archive[f"csv_mean_100/v_{VAL}.csv"] = good.rpartition(b"\n")[0]
        (tmp_path / "served/download").write_bytes(zipped(archive))
        done = world.run("one")
        assert done.stdout.splitlines()[-1].startswith("small_activitynet_features: 2 of 5"), done.output
        assert world.files("activitynet_feature_cuhk") == {
            f"activitynet_feature_cuhk/csv_mean_100/v_{name}.csv" for name in (MINE, THEIRS)
        }
        rows = {row["video_id"]: row for row in world.rows("results")}
        assert (rows[VAL]["reason"], rows[PRIVATE]["reason"]) == ("corrupt", "not_found")
        assert "has 99 rows, not 100" in rows[VAL]["evidence"] and "set-aside" in rows[VAL]["evidence"]
        assert {path.name for path in world.root.glob("anet_anno_*.json")} == {
            "anet_anno_action.json", *(f"anet_anno_{part}.json" for part in ("train", "val", "test", "full", "trainval"))
        }  # fmt: skip
        assert world.gate("clips")["verdict"] == "warn"
        before = {name: (world.root / name).stat().st_mtime_ns for name in world.files("activitynet_feature_cuhk")}
        calls = sum(world.origin.asked.values())
        world.run("two")
        assert {name: (world.root / name).stat().st_mtime_ns for name in before} == before
        assert sum(world.origin.asked.values()) == calls, "the archive is there"


@needs_libarchive
def test_a_page_in_place_of_the_features_tells_what_to_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with anet(tmp_path, "activitynet_features", monkeypatch) as world:
        (tmp_path / "served/download").write_bytes(b"<!DOCTYPE html><html>Google Drive can't scan this file</html>")
        world.run("one")
        assert {row["status"] for row in world.rows("results")} == {"missing"}
        assert not (world.root / "csv_mean_100.zip").exists()
        (world.root / "csv_mean_100.zip").write_bytes(  # a person places it
            zipped({f"csv_mean_100/v_{MINE}.csv": pooled_csv(scores(3, 0), scores(3, 1)).encode()})
        )
        world.run("two", "--set", "retry_all=true")
        assert {row["video_id"] for row in world.rows("results", "two") if row["status"] == "done"} == {MINE}
