"""The gate of AVA-Kinetics' annotations: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

from ava_world import (
    BOX,
    CLIPS,
    NAMES,
    VIDEOS,
    BoxWorld,
    box_row,
    kinetics_csv,
    said,
)
from clipquarry.annotations.box_csv import BOXES
from quality_world import broken, ids


def test_seeded_rows_are_all_named(ava_kinetics: BoxWorld) -> None:
    rows = ava_kinetics.boxes["train"]
    rows[0]["person_id"] = 3
    rows[3]["action_id"] = 81
    rows[7] |= {"x1": 0.5, "x2": 0.4}
    ava_kinetics.key_frames["test"][0] |= {"time": "0.000000", "second": 0}
    ava_kinetics.key_frames["test"][1] |= {"time": "52.0000001"}
    assert said(ava_kinetics, "annotations") == {
        "ava.columns [train]": [f"train/{VIDEOS[0]},102.000000"],
        "ava.action [train]": [f"train/{VIDEOS[1]},202.000000"],
        "ava.box [train]": [f"train/{VIDEOS[2]},12459.000000"],
        "ava.time [test text]": ["test/vvid5000001,52.0000001"],
        "ava.time [test positive]": ["test/vvid5000000,0.000000"],
        # The key frame is no longer where its window is.
        "windows.key_second [test]": ["test/vvid5000000_000050_000054"],
        "windows.covered [test]": ["test/vvid5000000,0000"],
    }


def test_times_off_the_whole_second_are_told_with_their_share(ava_kinetics: BoxWorld) -> None:
    for row in ava_kinetics.boxes["train"][:3]:
        row["time"] = "102.070270"
    result = ava_kinetics.gate("annotations")
    (check,) = broken(result).values()
    assert (result.verdict, check.name, check.severity, check.share) == (
        "pass",
        "ava.whole_second [train]",
        "info",
        0.25,
    )
    assert result.rows == 0  # half of a published file would be listed
    ava_kinetics.boxes["train"][0]["time"] = "102.500000"
    half = broken(ava_kinetics.gate("annotations"))["ava.whole_second [train half]"]
    assert (half.severity, ids(half)) == ("warn", [f"train/{VIDEOS[0]},102.500000"])


def test_training_videos_that_others_evaluate(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.key_frames["val"][0]["video_id"] = VIDEOS[1]
    for row in (ava_kinetics.catalog[3],):
        row |= {
            "video_id": VIDEOS[1],
            "clip_id": f"{VIDEOS[1]}_000050_000054",
            "item_id": f"val/{VIDEOS[1]}_000050_000054",
        }
    kinetics_csv(ava_kinetics, "kinetics400", "val", f"abseiling,{VIDEOS[0]},100,110,val", "zumba,other_video,1,11,val")
    kinetics_csv(ava_kinetics, "kinetics600", "test", f"abseiling,{VIDEOS[2]}x,100,110,test")
    result = ava_kinetics.gate("annotations")
    assert {name: (ids(c), c.severity) for name, c in broken(result).items()} == {
        "ava.split_disjoint": ([f"val/{VIDEOS[1]}"], "error"),
        "ava.leak [kinetics400 val]": ([f"train/{VIDEOS[0]}"], "warn"),
    }
    skipped = [check.skipped for check in result.checks if check.id == "ava.leak" and check.skipped]
    assert len(skipped) == 4 and "kinetics700/annotations/kinetics_val.csv is not here" in skipped


def test_windows_lie_in_clips_of_kinetics(ava_kinetics: BoxWorld) -> None:
    rows = [f"abseiling,{video},{start - 2},{start + 8},train" for video, start in CLIPS]
    kinetics_csv(ava_kinetics, "kinetics700", "train", *rows, "fused,row,with,too,many,columns,in,it")
    assert ava_kinetics.gate("annotations").verdict == "pass"
    rows[1] = f"abseiling,{VIDEOS[1]},201.0,211.0,train"
    kinetics_csv(ava_kinetics, "kinetics700", "train", *rows)
    assert said(ava_kinetics, "annotations") == {"windows.in_clip": [f"train/{NAMES[1]}"]}
    ava_kinetics.touch("kinetics700/annotations/kinetics_train.csv", content=b"<html>")
    result = ava_kinetics.gate("annotations")
    assert any("cannot be read" in check.skipped for check in result.checks) and result.verdict == "pass"


def test_windows_and_key_frames_belong_together(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.boxes["train"].append(box_row(VIDEOS[0], "150.000000", BOX, 3, -1))
    ava_kinetics.boxes["train"][3:6] = [box_row(VIDEOS[1], "204.000000", BOX, 3, -1)]  # where the window ends
    lost = dict.fromkeys(ava_kinetics.catalog[0]) | {
        "item_id": f"train/#key-{VIDEOS[0]}-0150", "split": "train", "status": "rejected", "reason": "bad_time", "evidence": "no clip",
    }  # fmt: skip
    ava_kinetics.catalog.append(lost)
    result = ava_kinetics.gate("annotations")
    found = broken(result)
    assert {name: ids(check) for name, check in found.items()} == {
        "windows.key_second [train]": [f"train/{NAMES[1]}"],
        "windows.covered [train]": [f"train/{VIDEOS[1]},0204", f"train/{VIDEOS[0]},0150"],
    }
    assert (found["windows.covered [train]"].severity, found["windows.covered [train]"].checked) == ("warn", 5)


def test_names_hold_no_class_and_no_other_times(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.catalog[0]["class_dir"] = "abseiling"
    ava_kinetics.catalog[1]["clip_id"] = ava_kinetics.catalog[1]["clip_id"].replace("200", "199")
    found = said(ava_kinetics, "annotations")
    assert found["annotations.names [class_dir]"] == [f"train/{NAMES[0]}"]
    assert found["annotations.names [clip_id]"] == [f"train/{NAMES[1]}"]
    assert set(found) == {f"annotations.names [{name}]" for name in ("class_dir", "clip_id", "item_id")}


def test_the_tables_are_those_of_the_readers() -> None:
    from clipquarry.families.boxes.gates.rows import BOX_COLUMNS

    assert list(BOX_COLUMNS) == BOXES.names
