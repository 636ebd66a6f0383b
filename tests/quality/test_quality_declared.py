"""What a data set declares is checked also when it has no row: splits, videos, lists."""

from __future__ import annotations

import pytest
from ava_world import AVA_YAML, BoxWorld, make_spec
from clipquarry.quality.params import GateParams
from quality_world import PARAMS, World, broken, ids

SPLITS = ("train", "val", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_a_csv_with_only_its_header_blocks(world: World, split: str) -> None:
    world.catalog = [row for row in world.catalog if row["split"] != split]
    found = broken(world.gate("annotations", GateParams(splits=SPLITS)))
    assert ids(found["annotations.split"]) == [f"{split}/csv"] and found["annotations.split"].severity == "error"
    assert f"annotations.rows [{split}]" in found
    others = tuple(name for name in SPLITS if name != split)
    assert "annotations.split" not in broken(world.gate("annotations", GateParams(splits=others)))


def test_a_split_that_was_chosen_and_of_which_nothing_was_asked_is_told(world: World) -> None:
    world.recorded = [row for row in world.recorded if row["split"] != "val"]
    world.plan = [row for row in world.plan if row["split"] != "val"]
    found = broken(world.gate("clips", GateParams(splits=SPLITS)))
    assert {name: (ids(check), check.severity) for name, check in found.items()} == {
        "clips.selected [splits]": (["val/items"], "warn")
    }


def test_a_chosen_split_has_a_list_also_when_nothing_of_it_is_there(world: World) -> None:
    world.recorded = [row for row in world.recorded if row["split"] != "val"]
    world.lists = {name: text for name, text in world.lists.items() if "_val_" not in name}
    found = broken(world.gate("lists", PARAMS.model_copy(update={"splits": SPLITS})))
    assert ids(found["lists.exists"]) == ["val/mini_val_list_videos.txt"]


def test_a_split_of_ava_without_tables_blocks(ava: BoxWorld) -> None:
    ava.boxes.pop("val")
    ava.excluded.pop("val")
    ava.catalog = [row for row in ava.catalog if row["split"] != "val"]
    found = broken(ava.gate("annotations", splits=("train", "val")))
    assert ids(found["ava.csv"]) == ids(found["annotations.split"]) == ["val/csv"]
    assert ids(found["ava.video_count [val]"]) == ["val/videos"]
    chosen = broken(ava.gate("annotations", splits=("train",)))
    assert chosen == {}


def test_a_whole_film_that_fell_out_of_the_annotation_blocks(ava: BoxWorld) -> None:
    film = "0f39OWEqJ24"
    for table in (ava.boxes["train"], ava.excluded["train"], ava.catalog):
        table[:] = [row for row in table if row["video_id"] != film]
    ava.spec = make_spec(AVA_YAML, expected={"videos": {"train": {"count": 3}}})
    found = broken(ava.gate("annotations"))
    assert {name: (ids(check), check.severity) for name, check in found.items()} == {
        "ava.video_count [train]": (["train/videos"], "error"),
        "ava.video_annotated": ([f"trainval/{film}.mp4"], "error"),
    }
    own = ava.gate("annotations", annotation_counts="warn")
    assert (own.verdict, len(broken(own))) == ("warn", 2)


def test_a_number_of_rows_may_be_a_least_one(ava: BoxWorld) -> None:
    for least, held in ((12, True), (13, False)):
        part = {"count": least, "at_least": True, "provenance": "counted"}
        ava.spec = make_spec(AVA_YAML, expected={"rows": {"train": part}}, variants=[], default_variant=None)
        assert ("annotations.rows [train]" not in broken(ava.gate("annotations"))) is held


def test_boxes_of_every_chosen_split_that_has_clips(ava_kinetics: BoxWorld) -> None:
    assert broken(ava_kinetics.gate("boxes", splits=("train",))) == {}
    found = broken(ava_kinetics.gate("boxes", splits=("train", "val")))
    assert ids(found["boxes.not_empty"]) == ["prepared/val"]
    for row in ava_kinetics.recorded:  # nothing of val is there: that is told by its coverage
        if row["split"] == "val":
            row |= {"status": "missing", "reason": "removed", "evidence": "gone"}
    assert "boxes.not_empty" not in broken(ava_kinetics.gate("boxes", splits=("train", "val")))
