"""The gates of AVA-Kinetics in its flat layout, and of what is cut out of another data set's clips."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest
from ava_world import (
    BOX,
    VIDEOS,
    BoxWorld,
    box_row,
    key_row,
    kinetics_csv,
    said,
)
from clipquarry.annotations.ava_kinetics_cut import CutClips
from clipquarry.annotations.ava_kinetics_flat import write_updated_csv
from clipquarry.annotations.box_csv import BOXES, KEY_FRAMES
from clipquarry.families.boxes.options import BoxesOptions
from clipquarry.microseconds import of
from quality_world import broken

FLAT_CSV = "ava_kinetics/ava_kinetics_updated_csv/kinetics_train_v1.0.csv"
CUT_CSV = "ava_kinetics/ava_kinetics_700_updated_csv/kinetics_train_v1.0.csv"


def _flat(world: BoxWorld) -> None:
    """Six seconds around each key second, named by it; images by number alone."""
    update = {
        "options": BoxesOptions(items="key_frames", kept_apart=("kinetics400", "kinetics600", "kinetics700")),
        "recipe": world.spec.recipe.model_copy(update={"fps": None}),
        "item": world.spec.item.model_copy(update={"rgb_pattern": "{:06d}.jpg", "rgb_prefix": ""}),
    }
    world.spec = world.spec.model_copy(update=update)
    world.catalog = []
    world.boxes = {"train": [box_row(VIDEOS[0], "102.300000", BOX, 3, -1), box_row(VIDEOS[1], "2.500000", BOX, 1, -1)]}
    world.key_frames = {"train": [key_row(VIDEOS[2], "7.000000")]}
    world.prepared, world.dropped, world.made, world.recorded = {"train": []}, {}, [], []
    for row in world.boxes["train"]:
        second = row["second"]
        clip, start = f"{row['video_id']}_{second:06d}", max(0, second - 3)
        item = {
            "item_id": f"train/{clip}", "video_id": row["video_id"], "clip_id": clip, "split": "train",
            "label": None, "class_dir": None, "label_index": -1, "start": of(start), "end": of(start + 6), "row": None,
            "status": "done", "reason": "ok", "evidence": "",
        }  # fmt: skip
        world.catalog.append(item)
        world.prepared["train"].append({**row, "video_id": clip})
        folder = f"ava_kinetics/rawframes/{clip}"
        facts = {"path": folder, "frames": 180, "width": 320, "height": 240, "fps": 30.0, "source_duration": 6.0}
        world.made.append({**item, "key": "k", **facts})
        media = {"bytes": 9, "sha256": "0" * 60 + f"{second:04d}", "duration": 6.0, "frames": 150, "fps": 25.0,
                 "width": 320, "height": 240, "path": f"ava_kinetics/videos/{clip}.mp4", "source": "youtube"}  # fmt: skip
        world.recorded.append({**item, "key": "k", **media})
        world.touch(*(f"{folder}/{number:06d}.jpg" for number in range(1, 181)))
    world.plan = [{name: item[name] for name in list(item)[:10]} for item in world.catalog]
    empty = {"item_id": f"train/{VIDEOS[2]}_000007", "clip_id": f"{VIDEOS[2]}_000007"}
    world.prepared_key_frames["train"] = [key_row(empty["clip_id"], "7.000000")]
    # In train no clip is made for a key frame without anybody; this one is there all the same.
    world.catalog.append({**world.catalog[0], **empty, "video_id": VIDEOS[2], "start": of(4), "end": of(10)})
    world.dropped["train"] = 0
    boxes, frames = (
        pa.Table.from_pylist(rows["train"], schema=schema)
        for rows, schema in ((world.prepared, BOXES), (world.prepared_key_frames, KEY_FRAMES))
    )
    write_updated_csv(boxes, frames, {item["clip_id"]: 180 for item in world.catalog}, world.root / FLAT_CSV)


@pytest.fixture
def flat(ava_kinetics: BoxWorld) -> BoxWorld:
    shutil.rmtree(ava_kinetics.folder / "rawframes")
    _flat(ava_kinetics)
    return ava_kinetics


def test_the_flat_layout_has_its_own_names_images_and_csv(flat: BoxWorld) -> None:
    results = {gate: flat.gate(gate) for gate in ("annotations", "clips", "frames", "boxes")}
    told = {name for result in results.values() for name in broken(result)}
    assert told == {
        "ava.whole_second [train]", "ava.whole_second [train half]", "windows.key_second [train]",
        "clips.on_disk", "frames.on_disk",  # the flat world's files are empty
    }  # fmt: skip
    assert not any(check.skipped for check in results["boxes"].checks)
    # 3.3 s into the clip, and 20 images more.
    image = flat.folder / "rawframes" / f"{VIDEOS[0]}_000102" / "000119.jpg"
    image.unlink()
    assert said(flat, "boxes") == {"boxes.images [train]": [f"train/{VIDEOS[0]}_000102,102"]}
    flat.catalog[1]["start"] = of(1)
    assert "annotations.names [clip_id]" in said(flat, "annotations")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("_000102,3.300000", "_000102,3.400000", {"boxes.csv_row"}),
        ("_000102,", "_000103,", {"boxes.csv_row"}),
        ("0.077000", "0.077001", {"boxes.csv_row"}),
        (",3,180", ",1,180", {"boxes.csv_row"}),
        (",3,180", ",3", {"boxes.csv_columns"}),
        ("_000007,3.000000", "_000007,4.000000", {"boxes.csv_row"}),
        (",1,180\n", ",1,180", {"boxes.csv", "boxes.csv_columns"}),
        (",180\n", ",180\n\n", {"boxes.csv", "boxes.csv_columns"}),
    ],
)
def test_seeded_lines_of_the_flat_csv(flat: BoxWorld, old: str, new: str, expected: set[str]) -> None:
    path = flat.root / FLAT_CSV
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert {name.removesuffix(" [train]") for name in broken(flat.gate("boxes"))} == expected


def test_a_flat_csv_that_is_not_there(flat: BoxWorld) -> None:
    (flat.root / FLAT_CSV).unlink()
    found = broken(flat.gate("boxes"))
    assert found["boxes.csv [train]"].worst[0]["problem"] == "it is not there"
    assert set(found) == {"boxes.csv [train]"}


# --- what is cut out of another data set's clips


@pytest.fixture
def cut(flat: BoxWorld) -> BoxWorld:
    """The flat layout with 2.5 seconds around each key frame: one in the middle of its clip, one at its start."""
    options = BoxesOptions(items="key_frames", windows_of="kinetics700")
    flat.spec = flat.spec.model_copy(update={"options": options})
    clips = {VIDEOS[0]: (f"{VIDEOS[0]}_98_102_0125", "101.05"), VIDEOS[1]: (f"{VIDEOS[1]}_01_02_0125", "1.25"), VIDEOS[2]: (f"{VIDEOS[2]}_06_07_0100", "6")}  # fmt: skip
    for table in (flat.catalog, flat.made, flat.recorded, flat.plan):
        for row in table:
            clip, start = clips[row["video_id"]]
            begin = of(start)
            row |= {"clip_id": clip, "item_id": f"train/{clip}", "start": begin, "end": begin + of("2.5")}
    for rows in (flat.prepared["train"], flat.prepared_key_frames["train"]):
        for row in rows:
            row["video_id"] = clips[row["video_id"][:11]][0]
    starts = {row["clip_id"]: row["start"] for row in flat.catalog}
    (flat.root / FLAT_CSV).unlink()
    boxes, frames = (
        pa.Table.from_pylist(rows["train"], schema=schema)
        for rows, schema in ((flat.prepared, BOXES), (flat.prepared_key_frames, KEY_FRAMES))
    )
    write_updated_csv(boxes, frames, dict.fromkeys(starts, 75), flat.root / CUT_CSV, CutClips(starts))
    for row in flat.prepared["train"]:
        flat.touch(*(f"ava_kinetics/rawframes/{row['video_id']}/{number:06d}.jpg" for number in range(1, 76)))
    return flat


def test_names_and_times_of_what_is_cut_are_compared(cut: BoxWorld) -> None:
    assert "annotations.names [clip_id]" not in said(cut, "annotations")
    assert not {"boxes.csv_row [train]", "boxes.clip_name [train]", "boxes.second [train]"} & set(said(cut, "boxes"))
    for change in (
        {"start": of("101.8")},
        {"start": of(97)},
        {"end": of("104.5")},
        {"clip_id": f"{VIDEOS[0]}_98_103_0125"},
    ):
        before = dict(cut.catalog[0])
        cut.catalog[0] |= change
        assert "annotations.names [clip_id]" in said(cut, "annotations"), change
        cut.catalog[0] = before


def test_a_line_with_another_time_than_the_clips_own_is_told(cut: BoxWorld) -> None:
    path = cut.root / CUT_CSV
    assert path.read_text().splitlines()[0].startswith(f"{VIDEOS[0]}_98_102_0125,1.250000,")
    path.write_text(path.read_text().replace(",1.250000,", ",1.260000,", 1))
    assert set(broken(cut.gate("boxes"))) >= {"boxes.csv_row [train]"}


def test_what_is_cut_lies_in_a_clip_of_kinetics(cut: BoxWorld) -> None:
    rows = [
        f"abseiling,{VIDEOS[0]},98,108,train",
        f"abseiling,{VIDEOS[1]},2,12,train",
        f"abseiling,{VIDEOS[2]},6,16,train",
    ]
    kinetics_csv(cut, "kinetics700", "train", *rows)
    assert said(cut, "annotations")["windows.in_clip"] == [f"train/{VIDEOS[1]}_01_02_0125"]
