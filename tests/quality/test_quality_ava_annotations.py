"""The gate of AVA's annotations: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import pytest
from ava_world import (
    AVA_YAML,
    BOX,
    FIRST,
    SECOND,
    THIRD,
    BoxWorld,
    box_row,
    make_spec,
    said,
)
from clipquarry.errors import ManifestError, UserError
from quality_world import broken, ids


def test_seeded_rows_are_all_named(ava: BoxWorld) -> None:
    off, fraction, swapped, flat, foreign, nobody = (ava.row("train", index) for index in (3, 7, 1, 5, 9, 2))
    off |= {"time": "0901", "second": 901}
    fraction |= {"time": "0903.5"}
    swapped |= {"x1": 0.9, "x2": 0.1}
    flat["y2"] = flat["y1"]
    foreign["action_id"] = 81
    nobody["person_id"] = -1
    found = said(ava, "annotations")
    assert found == {
        "ava.second [train range]": [f"train/{FIRST},0901"],
        "ava.second [train whole]": [f"train/{SECOND},0903.5"],
        "ava.box [train]": [f"train/{FIRST},0902"],
        "ava.area [train]": [f"train/{SECOND},0902"],
        "ava.action [train]": [f"train/{THIRD},0902"],
        "ava.columns [train]": [f"train/{FIRST},0902"],
        # Both changed boxes were the same person's as another.
        "ava.one_box [train]": [f"train/{FIRST},0902", f"train/{SECOND},0902"],
    }


def test_rows_that_are_there_twice_warn_and_block_above_the_threshold(ava: BoxWorld) -> None:
    ava.boxes["train"].append(dict(ava.row("train")))
    ava.spec = ava.spec.model_copy(update={"expected": ava.spec.expected.model_copy(update={"variants": {}})})
    result = ava.gate("annotations", duplicate_error=1 / 13)
    assert {name: (ids(c), c.severity) for name, c in broken(result).items()} == {
        "ava.duplicate [train]": ([f"train/{FIRST},0902"], "warn")
    }
    assert broken(ava.gate("annotations", duplicate_error=0.07))["ava.duplicate [train]"].severity == "error"


def test_a_person_with_two_boxes_and_a_box_with_two_people(ava: BoxWorld) -> None:
    one, two = ava.row("train", 2), ava.row("val", 1)
    one["person_id"] = 1  # now the person of both boxes
    two["person_id"] = 5  # the second action's person
    result = ava.gate("annotations")
    assert result.verdict == "warn"
    assert {name: ids(check) for name, check in broken(result).items()} == {
        "ava.one_box [train]": [f"train/{FIRST},0902"],
        "ava.one_person [val]": ["val/1j20qq1JyX4,0902"],
    }
    assert broken(result)["ava.one_person [val]"].worst[0]["people"] == 2


def test_a_film_in_two_splits_and_one_that_is_not_in_the_list(ava: BoxWorld) -> None:
    ava.boxes["val"] += [box_row(FIRST, "0905", BOX, 3, 0), box_row("not_in_list", "0902", BOX, 3, 0)]
    found = said(ava, "annotations")
    assert found == {
        "ava.in_list": [f"val/{FIRST}", "val/not_in_list"],  # the first is in the list of train
        "ava.split_disjoint": [f"val/{FIRST}"],
        "ava.video_count [val]": ["val/videos"],
    }


def test_an_annotated_film_whose_file_no_list_names(ava: BoxWorld) -> None:
    row = dict.fromkeys(ava.catalog[0]) | {"item_id": f"train/{FIRST}", "split": "train", "status": "rejected",
                                           "reason": "not_found", "evidence": "no list names its file"}  # fmt: skip
    ava.catalog[0] = row
    assert said(ava, "annotations") == {"ava.in_list": [f"train/{FIRST}"]}


def test_the_published_number_of_key_frames_is_told(ava: BoxWorld) -> None:
    published = {"train": {"count": 6}, "val": {"count": 3, "provenance": "memory"}}
    ava.spec = make_spec(AVA_YAML, expected={"key_frames": published})
    result = ava.gate("annotations")
    assert (result.verdict, list(broken(result))) == ("pass", ["ava.key_frame_count [val]"])


def test_excluded_key_frames_with_rows_are_told(ava: BoxWorld) -> None:
    ava.boxes["val"] += [box_row("1j20qq1JyX4", "0904", BOX, 3, 0), box_row("1j20qq1JyX4", "0904", BOX, 2, 0)]
    result = ava.gate("annotations")
    check = broken(result)["ava.excluded [val]"]
    assert (result.verdict, list(broken(result)), check.worst[0]["rows"]) == ("pass", ["ava.excluded [val]"], 1)


def test_more_key_frames_than_seconds(ava: BoxWorld) -> None:
    ava.boxes["val"] = [box_row("1j20qq1JyX4", f"{second:04d}", BOX, 3, 0) for second in range(902, 1799)]
    result = ava.gate("annotations")
    check = broken(result)["ava.key_frames [val]"]
    assert (check.severity, check.worst[0]["key_frames"], check.worst[0]["excluded"]) == ("warn", 897, 1)
    ava.excluded["val"] = []
    assert ava.gate("annotations").verdict == "pass"


def test_rejected_rows_count_as_rows_of_the_csv_and_not_as_films(ava: BoxWorld) -> None:
    bad = {"line": 7, "reason": "bad_row", "evidence": "5 columns", "text": "a,b,c,d,e"}
    ava.rejected["train"] = [bad]
    ava.boxes["train"].pop()
    rejected = dict.fromkeys(ava.catalog[0]) | {
        "item_id": "train/#row-7", "split": "train", "row": 7, "status": "rejected", "reason": "bad_row", "evidence": "5"
    }  # fmt: skip
    ava.catalog.append(rejected)
    result = ava.gate("annotations", rejected_error=0.5)
    assert {name: (ids(c), c.severity) for name, c in broken(result).items()} == {
        "ava.rejected [train]": (["train/#row-7"], "warn")
    }
    assert broken(result)["ava.rejected [train]"].checked == 15  # 11 rows, one rejected, 3 excluded key frames
    assert broken(ava.gate("annotations", rejected_error=0.05))["ava.rejected [train]"].severity == "error"
    ava.catalog.append(rejected | {"item_id": "train/#row-8", "row": 8})  # of the file-name list
    assert ids(broken(ava.gate("annotations"))["annotations.rejected"]) == ["train/#row-8"]


def test_counts_of_the_chosen_version_and_of_actions(ava: BoxWorld) -> None:
    ava.boxes["train"].append(box_row(THIRD, "0904", BOX, 3, 0))
    ava.excluded["train"] = []
    ava.actions["names"].pop("2")
    ava.actions["evaluated"].append(44)
    for row in [row for rows in ava.boxes.values() for row in rows]:
        row["action_id"] = min(3, row["action_id"]) if row["action_id"] != 2 else 3
    result = ava.gate("annotations")
    assert {name: check.severity for name, check in broken(result).items()} == {
        "annotations.rows [train]": "error", "ava.action_list [evaluated]": "error", "ava.action_list [count]": "error"
    }  # fmt: skip
    own = ava.gate("annotations", annotation_counts="warn")
    assert broken(own)["annotations.rows [train]"].severity == broken(own)["ava.action_list [count]"].severity == "warn"
    assert "annotations.rows [train]" not in broken(ava.gate("annotations", version="v2.1"))


def test_names_of_the_catalog_follow_from_the_files(ava: BoxWorld) -> None:
    ava.catalog[0]["clip_id"] = f"{FIRST}.exe"
    ava.catalog[1]["clip_id"] = "1f39OWEqJ24.mp4"
    ava.catalog[2]["item_id"] = "train/other"
    found = said(ava, "annotations")
    assert found["annotations.names [suffix]"] == [f"train/{FIRST}"]
    assert found["annotations.names [clip_id]"] == [f"train/{SECOND}"]
    assert found["annotations.names [item_id]"] == ["train/other"]
    assert set(found) == {*(f"annotations.names [{name}]" for name in ("suffix", "clip_id", "item_id")), "ava.in_list"}


def test_an_odd_row_of_an_unlisted_film_does_not_block(ava: BoxWorld) -> None:
    ava.boxes["val"] += [box_row("misspelt_id", "0902", BOX, 3, 0)]
    assert ava.gate("annotations", rejected_error=0.1).verdict == "warn"
    check = broken(ava.gate("annotations", rejected_error=0.01))["ava.in_list"]
    assert (check.severity, ids(check)) == ("error", ["val/misspelt_id"])


def test_a_split_without_rows_blocks_but_the_unlabelled_test_split_does_not(ava: BoxWorld) -> None:
    film = ava.catalog[0] | {"item_id": "test/aaaaaaaaaaa", "video_id": "aaaaaaaaaaa", "clip_id": "aaaaaaaaaaa.mp4"}
    ava.catalog.append(film | {"split": "test"})
    ava.boxes["test"] = []
    assert ava.gate("annotations").verdict == "pass"
    ava.boxes["val"], ava.excluded["val"] = [], []
    assert said(ava, "annotations") == {
        "ava.csv": ["val/csv"], "ava.video_count [val]": ["val/videos"], "ava.video_annotated": ["trainval/1j20qq1JyX4.mp4"]
    }  # fmt: skip


def test_absent_and_damaged_tables_are_one_sentence(ava: BoxWorld) -> None:
    ava.gate("annotations")
    table = ava.run_dir / "annotations" / "val.boxes.parquet"
    for content in (b"", b"<html>", (ava.run_dir / "annotations" / "val.key_frames.parquet").read_bytes()):
        ava.write()
        table.write_bytes(content)
        with pytest.raises(ManifestError, match=r"val\.boxes\.parquet is not a whole table"):
            _again(ava)
    ava.write()
    (ava.run_dir / "annotations" / "actions.json").write_text("[]")
    with pytest.raises(ManifestError, match=r"actions\.json holds a list"):
        _again(ava)
    (ava.run_dir / "annotations" / "actions.json").unlink()
    with pytest.raises(ManifestError, match="run the stage that writes it first"):
        _again(ava)
    with pytest.raises(UserError, match=r"no gate 'lists' for ava\. Known: annotations, clips, frames, proposals"):
        ava.gate("lists")


def _again(world: BoxWorld) -> None:
    """The gate over what lies there now."""
    from clipquarry.pipeline.gates import run_gate
    from clipquarry.quality.params import GateParams

    run_gate("annotations", world.spec, world.run_dir, world.data, GateParams())
