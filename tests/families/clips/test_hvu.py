"""Holistic Video Understanding, from its zips and a server of source videos to clips in tenths and mmaction2's lists."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clipquarry.datasets.load import SpecError, load_spec
from clipquarry.demo.videos import read_frame_numbers
from clipquarry.run_folder import RunFolder
from families.clips.file_world import PACKAGED, World
from families.clips.hvu_world import SHARED, TRAIN, world
from kills import Killed

pytestmark = pytest.mark.timeout(300)

BAD = {
    "train/#row-7": ("duplicate", "a clip of this name"), "train/#row-8": ("unknown_label", "the tag 'dog' is in no category"),
    "train/#row-9": ("bad_label", "it has no tag"), "train/#row-10": ("bad_label", "one of its tags is empty"),
    "train/#row-11": ("bad_time", "where it starts or before"), "train/#row-12": ("bad_time", "no seconds from 0"),
    "train/#row-13": ("bad_id", "no id of a video"), "train/#row-14": ("bad_row", "3 columns"), "train/#row-15": ("bad_time", "no seconds"),
}  # fmt: skip
CLIPS = {
    "videos_train/zzzzzzzzzzz_000011_000031.mp4": range(11, 31), "videos_train/-yyyyyyyyy__000005_000040.mp4": range(5, 40),
    "videos_train/zzzzzzzzzzz_000003_000006.mp4": range(3, 6), "videos_train/0LtLS9wROrk_000020_000040.mp4": range(20),
    "videos_val/-yyyyyyyyy__000041_000051.mp4": range(41, 51),
}  # fmt: skip
"""Clips, with the frames of their sources, which have ten a second."""
LISTS = {
    "hvu_train_video.json": '[{"filename": "zzzzzzzzzzz_000011_000031.mp4", "label": {"scene": [0], "object": [2, 0], "action": [0]}}, '
    '{"filename": "-yyyyyyyyy__000005_000040.mp4", "label": {"object": [2, 1, 2], "action": [1]}}, '
    '{"filename": "zzzzzzzzzzz_000003_000006.mp4", "label": {"attribute": [0]}}, '
    '{"filename": "0LtLS9wROrk_000020_000040.mp4", "label": {"action": [0], "attribute": [0]}}]',
    "hvu_val_video.json": '[{"filename": "-yyyyyyyyy__000041_000051.mp4", "label": {"scene": [0], "action": [0]}}]',
    "hvu_action_train_video.json": '[{"filename": "zzzzzzzzzzz_000011_000031.mp4", "label": [0]}, '
    '{"filename": "-yyyyyyyyy__000005_000040.mp4", "label": [1]}, {"filename": "0LtLS9wROrk_000020_000040.mp4", "label": [0]}]',
    "hvu_object_train_video.json": '[{"filename": "zzzzzzzzzzz_000011_000031.mp4", "label": [2, 0]}, '
    '{"filename": "-yyyyyyyyy__000005_000040.mp4", "label": [2, 1, 2]}]',
    "hvu_attribute_val_video.json": "[]",
    "hvu_scene_val_video.json": '[{"filename": "-yyyyyyyyy__000041_000051.mp4", "label": [0]}]',
    "annotations/hvu_tags.json": '{"action": ["run", "zumba"], "object": ["Bike", "airplane", "car"], "scene": ["forest"], '
    '"attribute": ["red"]}',
}  # fmt: skip


@pytest.fixture(scope="module")
def hvu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run."""
    for one in world(tmp_path_factory.mktemp("hvu")):
        told = one.run("one").output
        assert "small_hvu: 5 of 6 clips are there" in told, told
        yield one


@pytest.mark.slow
def test_clips_have_the_frames_of_their_tenths(hvu: World) -> None:
    assert hvu.files("videos_train") | hvu.files("videos_val") == set(CLIPS)
    assert {name: range(*_ends(hvu.root / name)) for name in CLIPS} == CLIPS


def _ends(clip: Path) -> tuple[int, int]:
    frames = read_frame_numbers(clip)
    assert frames == list(range(frames[0], frames[-1] + 1))
    return frames[0], frames[-1] + 1


@pytest.mark.slow
def test_lists_are_the_reference_s_byte_for_byte_and_those_of_categories_are_filtered(hvu: World) -> None:
    assert {name: (hvu.root / name).read_text() for name in LISTS} == LISTS
    groups = ("action", "attribute", "object", "scene")
    made = {
        f"hvu_{group}{split}_video.json" for group in ("", *(f"{one}_" for one in groups)) for split in ("train", "val")
    }
    found = {path.name for path in hvu.root.glob("*.json")}
    assert found >= {f"hvu_{group}_{split}_video.json" for group in groups for split in ("train", "val")}, made
    link = hvu.root / "hvu_object_train.json"
    assert (link.is_symlink(), str(link.readlink())) == (True, "hvu_object_train_video.json")


@pytest.mark.slow
def test_rows_that_no_run_can_use_are_told_with_their_reasons(hvu: World) -> None:
    rejected = {
        row["item_id"]: (row["reason"], row["evidence"]) for row in hvu.rows("catalog") if row["status"] == "rejected"
    }
    assert {name: reason for name, (reason, _) in rejected.items()} == {
        name: reason for name, (reason, _) in BAD.items()
    }
    for name, (_, part) in BAD.items():
        assert part in rejected[name][1], name


@pytest.mark.slow
def test_a_window_of_kinetics_is_a_link_to_its_clip(hvu: World) -> None:
    theirs = hvu.data / f"kinetics600/videos_val/zumba/{SHARED}_000002_000004.mp4"
    assert (hvu.root / f"videos_train/{SHARED}_000020_000040.mp4").samefile(theirs)
    assert not any(SHARED in path for path in hvu.origin.asked)


def broken(world: World, gate: str, run: str = "one") -> dict[str, list[str]]:
    """Checks that do not hold, with the items that break them."""
    found: dict[str, list[str]] = {}
    for check in world.gate(gate, run)["checks"]:
        if check["success"] is False:
            found.setdefault(check["id"], []).extend(
                row["item_id"] for row in check.get("rows", check.get("worst", []))
            )
    return found


@pytest.mark.slow
def test_gates_tell_sizes_tags_and_clips(hvu: World) -> None:
    found = broken(hvu, "annotations")
    assert set(found) == {
        "annotations.rejected", "annotations.rows", "annotations.label_count", "annotations.label_again", "annotations.video_shared",
    }  # fmt: skip
    told = {check["id"]: check for check in hvu.gate("annotations")["checks"] if check["success"] is False}
    assert "action has 2 classes, 739 are published" in json.dumps(told["annotations.label_count"])
    assert "train/-yyyyyyyyy__000005_000040" in json.dumps(told["annotations.label_again"]), "its car is there twice"
    assert set(broken(hvu, "clips")) == {"clips.coverage"} and broken(hvu, "lists") == {}
    ids = {check["id"] for check in hvu.gate("lists")["checks"]}
    assert {"lists.group", "lists.index", "lists.balance", "lists.present", "lists.syntax"} <= ids


@pytest.mark.slow
def test_the_report_has_the_tags_of_each_category(hvu: World) -> None:
    section = json.loads((hvu.run_folder() / "report/report.json").read_text())["label_groups"]
    rows = {row["name"]: (row["classes"], row["published"], row["clips"], row["labels"]) for row in section["rows"]}
    assert rows["object"] == (3, 1678, {"train": 2, "val": 0}, {"train": 5, "val": 0})
    assert rows["action"] == (2, 739, {"train": 3, "val": 1}, {"train": 3, "val": 1})
    assert rows["event"] == (0, 69, {"train": 0, "val": 0}, {"train": 0, "val": 0})
    assert {Path(row["path"]).name: row["lines"] for row in section["lists"]}["hvu_object_train_video.json"] == 2
    assert "Groups of labels" in (hvu.run_folder() / "report/index.html").read_text()


@pytest.mark.slow
def test_a_release_has_all_lists_the_tags_and_their_numbers(hvu: World) -> None:
    folder = hvu.data / ".clipquarry/releases/small_hvu/one"
    for name in (*LISTS, "hvu_tags.json"):
        assert (folder / Path(name).name).read_bytes() == (
            hvu.root / name if "/" in name or "tags" not in name else hvu.root / "annotations" / name
        ).read_bytes()
    assert (folder / "label_map.txt").read_text().split() == [
        "run",
        "zumba",
        "red",
        "Bike",
        "airplane",
        "car",
        "forest",
    ]


@pytest.mark.slow
def test_a_second_run_with_frames_changes_no_list_and_adds_those_of_frames(tmp_path: Path) -> None:
    for one in world(tmp_path, "".join(TRAIN.splitlines(keepends=True)[:5])):
        one.run("one")
        before = {path: path.read_bytes() for path in one.root.rglob("*.json")}
        one.run("two", "--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis")
        assert {
            path: path.read_bytes() for path in before if "train.json" not in path.name and "val.json" not in path.name
        } == {
            path: data for path, data in before.items() if "train.json" not in path.name and "val.json" not in path.name
        }
        listed = json.loads((one.root / "hvu_train.json").read_text())
        assert [(row["frame_dir"], row["total_frames"]) for row in listed][:2] == [
            ("zzzzzzzzzzz_000011_000031", 20), ("-yyyyyyyyy__000005_000040", 35),
        ]  # fmt: skip
        assert (
            (one.root / "hvu_train.json")
            .read_text()
            .startswith(
                '[{"frame_dir": "zzzzzzzzzzz_000011_000031", "total_frames": 20, "label": {"scene": [0], "object": [2, 0], "action": [0]}}, '
            )
        )
        mine = one.root / "hvu_object_train.json"
        assert not mine.is_symlink(), "the list of frames has the name that was a link to that of videos"
        assert json.loads(mine.read_text()) == [
            {"frame_dir": "zzzzzzzzzzz_000011_000031", "total_frames": 20, "label": [2, 0]},
            {"frame_dir": "-yyyyyyyyy__000005_000040", "total_frames": 35, "label": [2, 1, 2]},
        ]
        flow = json.loads((one.root / "hvu_train_flow.json").read_text())
        assert [(row["total_frames"], row["label"]) for row in flow][:1] == [
            (19, {"scene": [0], "object": [2, 0], "action": [0]})
        ]
        assert broken(one, "lists", "two") == {}
        assert not any((one.data / ".clipquarry/set-aside").rglob("*")), "nothing of a person's lay there"
        one.run("three")
        assert not mine.is_symlink() or json.loads(mine.read_text())
        tampered(one)


def tampered(one: World) -> None:
    """Lists that somebody changed are told by the gate after them, in their own words."""
    from clipquarry.datasets.load import load_spec as load
    from clipquarry.families.clips.gates.lists import suites
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot

    spec = load(one.folder / "specs/small_hvu.yaml")

    def problems() -> dict[str, str]:
        run = RunTables(one.run_folder("three"))
        found = {suite.name: suite.table for suite in suites(spec, run, DataRoot(one.data), GateParams())}
        table = found["groups_train_videos"]
        return dict(zip(table["item_id"].str.removeprefix("train/"), table["problem"], strict=True))

    assert set(problems().values()) == {""}
    whole = one.root / "hvu_object_train_video.json"
    text = whole.read_text()
    for changed, told in (
        (text.replace("[2, 0]", "[2]"), 'entry 1 is {"filename": "zzzzzzzzzzz_000011_000031.mp4", "label": [2]}, not {"filename"'),
        ("[]", "0 entries, where the list of all groups has 2 clips"), (text[:-1], "entry 2 is"), (f"x{text}", "entry 1 is"),
        (text + "\n", "entry 2 is"),
    ):  # fmt: skip
        whole.write_text(changed)
        assert told in problems()[whole.name], changed
    whole.unlink()
    assert problems()[whole.name] == "it is not there"


@pytest.mark.slow
def test_a_kill_in_the_middle_changes_nothing(hvu: World, tmp_path: Path) -> None:
    found_by = {"SMALL_URL": hvu.origin.url, "NO_PROXY": "127.0.0.1", "CLIPQUARRY_DATASETS": str(hvu.folder / "specs")}
    arguments = ("--jobs", "2", "--set", "annotation_counts=warn")
    calm = Killed(hvu.data, hvu.name, arguments, environment=found_by)
    disturbed = replace(calm, data=tmp_path / "data")
    shutil.copytree(hvu.data / "kinetics600/videos_val", disturbed.data / "kinetics600/videos_val")
    place, rng = RunFolder(disturbed.folder), random.Random(5)

    def begun(_: Killed) -> bool:
        return any(path.stat().st_size for path in place.step("fetch").glob("part-*.journal.jsonl"))

    def fetched(_: Killed) -> bool:
        return bool(place.results_of("fetch"))

    def judged(_: Killed) -> bool:
        return place.gate("clips").exists()

    for moment in (begun, fetched, judged):
        disturbed.kill_at(moment, rng, within=0.2)
    disturbed.finish()
    assert disturbed.files() == calm.files()
    assert disturbed.lock() == calm.lock()
    assert disturbed.leftovers() == []
    assert disturbed.attempts().keys() == calm.attempts().keys()


@pytest.mark.slow
def test_parameters_without_a_meaning_for_tags_are_refused(tmp_path: Path) -> None:
    for one in world(tmp_path):
        for value, told in (
            ('classes=["run"]', "take a group's list"),
            ("list_json=true", "are JSON already"),
            ("label_map=x.txt", "leave it out"),
        ):
            assert told in one.run("one", "--set", value, code=2).output


def test_published_numbers() -> None:
    spec = load_spec(PACKAGED / "hvu.yaml")
    assert spec.labels.groups == {
        "action": 739,
        "attribute": 117,
        "concept": 291,
        "event": 69,
        "object": 1678,
        "scene": 248,
    }
    assert (spec.labels.count, sum(spec.labels.groups.values())) == (3142, 3142)
    assert {split: one.count for split, one in spec.expected.rows.items()} == {"train": 481_417, "val": 31_140}
    assert spec.group_list_name("videos", "train", "action") == "hvu_train_video.json".replace("hvu", "hvu_action")
    assert spec.group_list_name("rawframes", "val", "scene") == "hvu_val.json".replace("hvu", "hvu_scene")


def test_lists_of_tags_in_categories_are_json(tmp_path: Path) -> None:
    text = (PACKAGED / "hvu.yaml").read_text()
    for before, after, told in (
        ('videos: "hvu_{split}_video.json"', 'videos: "hvu_{split}_video.txt"', "key 'lists.videos'"),
        ('videos: "hvu_{group}_{split}_video.json"', 'videos: "hvu_{split}_x.json"', "lacks {group}"),
        ("{level: 1,", "{level: 2,", "key 'item.level'"),
        ("in_splits: [train, val, test]}", "in_splits: [train], split_names: {train: val}}", "in_splits looks into every class"),
    ):  # fmt: skip
        assert before in text
        (tmp_path / "wrong.yaml").write_text(text.replace(before, after, 1))
        with pytest.raises(SpecError, match=r"wrong.yaml, line \d+") as caught:
            load_spec(tmp_path / "wrong.yaml")
        assert told in str(caught.value), caught.value
