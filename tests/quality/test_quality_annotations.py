"""The gate ``annotations``: what it catches, and that a clean catalog is clean."""

from __future__ import annotations

import hashlib

from clipquarry.ids import window_name
from clipquarry.microseconds import of
from clipquarry.quality.params import GateParams
from quality_world import World, broken, ids, make_spec


def _row(world: World, split: str, index: int = 0) -> dict:
    return [row for row in world.catalog if row["split"] == split][index]


def _rename(row: dict) -> None:
    """Names that follow from the row, as the catalog makes them."""
    row["clip_id"] = window_name(row["video_id"], row["start"], row["end"])
    row["item_id"] = f"{row['split']}/{row['class_dir']}/{row['clip_id']}"


def test_clean_catalog_passes_every_check(world: World) -> None:
    result = world.gate("annotations")
    assert (result.verdict, broken(result)) == ("pass", {})
    skipped = [
        "annotations.sha256",
        "annotations.changed",
        "annotations.label_map",
        "annotations.group_disjoint",
        "annotations.leak",
    ]
    assert [check.id for check in result.checks if check.skipped] == skipped
    assert result.tables == {"catalog": 20} and result.rows == 0


def test_seeded_rows_are_all_named(world: World) -> None:
    swapped, hostile, off, longer = (_row(world, "train", index) for index in range(4))
    swapped["start"], swapped["end"] = swapped["end"], swapped["start"]
    _rename(swapped)
    hostile["video_id"] = "../../../etc"
    _rename(hostile)
    off["clip_id"] = window_name(off["video_id"], off["start"] + of(1), off["end"])
    longer["end"] += of(1)
    _rename(longer)
    found = broken(world.gate("annotations"))
    assert ids(found["annotations.time_order [end]"]) == [swapped["item_id"]]
    assert ids(found["annotations.id_syntax"]) == [hostile["item_id"]]
    assert ids(found["annotations.names [clip_id]"]) == [off["item_id"]]
    assert ids(found["annotations.window_length"]) == [longer["item_id"]]
    assert found["annotations.window_length"].severity == "warn"
    assert set(found) == {
        "annotations.time_order [end]", "annotations.id_syntax", "annotations.names [clip_id]",
        "annotations.window_length",
    }  # fmt: skip


def test_an_id_with_a_line_break_is_not_an_id(world: World) -> None:
    row = _row(world, "val")
    row["video_id"] = row["video_id"][:10] + "x\n"
    _rename(row)
    assert ids(broken(world.gate("annotations"))["annotations.id_syntax"]) == [row["item_id"]]


def test_a_negative_start_and_an_absent_one_are_both_caught(world: World) -> None:
    first, second = _row(world, "train", 0), _row(world, "train", 1)
    first["start"], second["start"] = of(-3), None
    found = broken(world.gate("annotations"))["annotations.time_order [start]"]
    assert ids(found) == [first["item_id"], second["item_id"]]


def test_doubled_rows_and_one_clip_under_two_labels(world: World) -> None:
    twice = dict(_row(world, "train"))
    other = dict(_row(world, "val"))
    other |= {"label": "massaging person's head", "class_dir": "massaging_person's_head", "label_index": 1}
    _rename(other)
    world.catalog += [twice, other]
    result = world.gate("annotations", GateParams(annotation_counts="warn"))
    found = broken(result)
    assert ids(found["annotations.item_unique"]) == [twice["item_id"]] * 2
    assert found["annotations.item_unique"].severity == "error"
    same = found["annotations.same_clip"]
    assert same.severity == "info" and other["item_id"] in ids(same) and same.unexpected == 4
    assert result.blocked


def test_one_clip_under_two_labels_alone_passes(world: World) -> None:
    row = _row(world, "train", 4)
    row["video_id"], row["start"], row["end"] = (_row(world, "train")[name] for name in ("video_id", "start", "end"))
    _rename(row)
    result = world.gate("annotations")
    assert (result.verdict, list(broken(result))) == ("pass", ["annotations.same_clip"])


def test_validation_clip_in_train_blocks_and_another_window_of_its_video_is_told(world: World) -> None:
    leaked, related = _row(world, "val", 0), _row(world, "val", 1)
    source = _row(world, "train", 5)
    leaked |= {name: source[name] for name in ("video_id", "start", "end")}
    related |= {"video_id": source["video_id"], "start": of(500), "end": of(510)}
    _rename(leaked)
    _rename(related)
    result = world.gate("annotations")
    found = broken(result)
    assert ids(found["annotations.split_disjoint"]) == [leaked["item_id"]]
    assert ids(found["annotations.video_shared"]) == [leaked["item_id"], related["item_id"]]
    assert found["annotations.video_shared"].severity == "info" and result.blocked


def test_shifted_indices_are_caught(world: World) -> None:
    for row in world.catalog:
        if row["label"]:
            row["label_index"] = (row["label_index"] + 1) % 3
    found = broken(world.gate("annotations"))
    assert list(found) == ["annotations.label_order"] and found["annotations.label_order"].unexpected == 18
    assert "annotations.label_order" not in broken(world.gate("annotations", GateParams(label_map=True)))


def test_a_class_without_rows_is_a_gap(world: World) -> None:
    world.catalog = [row for row in world.catalog if row["label_index"] != 1]
    result = world.gate("annotations")
    found = broken(result)
    assert found["annotations.label_count"].observed == 2 and found["annotations.label_count"].severity == "error"
    assert ids(found["annotations.label_complete [gap]"]) == ["class/1"]
    assert ids(found["annotations.class_in_train"]) == ["class/1"]
    own = world.gate("annotations", GateParams(annotation_counts="warn"))
    assert {own.checks[i].severity for i, c in enumerate(own.checks) if c.id == "annotations.label_count"} == {"warn"}


def test_two_classes_with_one_index_and_an_index_out_of_range(world: World) -> None:
    rows = [row for row in world.catalog if row["label_index"] == 2]
    rows[0]["label_index"], rows[1]["label_index"] = 1, 3
    found = broken(world.gate("annotations"))
    assert ids(found["annotations.label_complete [double]"]) == ["class/1"]
    assert ids(found["annotations.label_index"]) == [rows[1]["item_id"]]


def test_a_misspelt_label_is_named_and_no_row_of_another_class(world: World) -> None:
    row = _row(world, "train")
    right = row["class_dir"]
    row |= {"label": f"{row['label']}s", "class_dir": f"{right}s"}
    _rename(row)
    classes = sorted({one["class_dir"] for one in world.catalog if one["label"]})
    for one in world.catalog:
        if one["label"]:
            one["label_index"] = classes.index(one["class_dir"])
    result = world.gate("annotations")
    found = broken(result)
    assert set(found) == {"annotations.label_count", "annotations.label_odd"} and result.blocked
    assert found["annotations.label_count"].observed == 4
    assert ids(found["annotations.label_odd"]) == [row["item_id"]]
    assert found["annotations.label_odd"].sentence.endswith(f"'{right}s' (1 rows) resembles '{right}' (5 rows).")
    world.spec = make_spec(labels={"source": "annotation", "count": 4})
    assert "annotations.label_odd" not in broken(world.gate("annotations")), (
        "as many classes as published: nothing is odd"
    )


def test_a_label_that_train_lacks(world: World) -> None:
    row = _row(world, "val")
    row |= {"label": "juggling", "class_dir": "juggling", "label_index": 2}
    _rename(row)
    found = broken(world.gate("annotations"))
    assert ids(found["annotations.label_in_train"]) == [row["item_id"]]
    assert found["annotations.label_count"].observed == 4


def test_without_a_published_number_of_classes_gaps_are_only_told(world: World) -> None:
    world.spec = make_spec(labels={"source": "annotation"})
    world.catalog = [row for row in world.catalog if row["label_index"] != 1]
    found = broken(world.gate("annotations", GateParams(annotation_counts="strict")))
    assert found["annotations.label_complete [gap]"].severity == "info" and "annotations.label_count" not in found


def test_row_counts_block_when_counted_and_warn_when_from_memory(world: World) -> None:
    val, train = _row(world, "val"), _row(world, "train")
    world.catalog = [row for row in world.catalog if row is not val]
    found = broken(world.gate("annotations"))
    assert (found["annotations.rows [val]"].severity, found["annotations.rows [val]"].worst[0]["rows"]) == ("error", 5)
    assert found["annotations.rows [val]"].sentence.endswith("val has 5 rows; 6 are published.")
    assert "blocks" in world.gate("annotations").sentence
    own = world.gate("annotations", GateParams(annotation_counts="warn"))
    assert (own.verdict, broken(own)["annotations.rows [val]"].severity) == ("warn", "warn")

    world.catalog = [row for row in world.catalog if row is not train]  # 11: another published snapshot
    assert "annotations.rows [train]" not in broken(world.gate("annotations"))
    world.catalog = [row for row in world.catalog if row is not _row(world, "train")]
    assert broken(world.gate("annotations"))["annotations.rows [train]"].severity == "warn"


def test_rejected_rows_warn_and_block_above_the_threshold(world: World) -> None:
    row = _row(world, "train")
    kept = {"item_id": "train/#row-2", "split": "train", "row": 2, "status": "rejected", "reason": "bad_time"}
    row.clear()
    row.update({**kept, "evidence": "the window ends before it starts: \x1b[31m=cmd|' /C calc'!A0\n<script>"})
    at = world.gate("annotations", GateParams(rejected_error=1 / 20))
    found = broken(at)["annotations.rejected"]
    assert (found.severity, found.share, found.unexpected) == ("warn", 0.05, 1)
    assert ids(found) == ["train/#row-2"] and "<script>" in found.worst[0]["evidence"]
    above = world.gate("annotations", GateParams(rejected_error=0.0499))
    assert above.blocked and broken(above)["annotations.rejected"].severity == "error"
    rows = above.path.with_name(above.rows_file).read_text().splitlines()
    assert len(rows) == 2 and rows[1].startswith("train/#row-2,annotations.rejected,") and "\x1b" not in rows[1]


def test_the_checksum_of_a_csv_is_told(world: World) -> None:
    csv = world.root / "mini" / "annotations" / "val.csv"
    csv.parent.mkdir()
    csv.write_bytes(b"label,youtube_id\n")
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()
    for published, held in ((digest, True), ("0" * 64, False)):
        part = {"count": 6, "provenance": "counted", "sha256": published}
        world.spec = make_spec(expected={"rows": {"val": part}})
        result = world.gate("annotations")
        assert ("annotations.sha256" not in broken(result)) is held and result.verdict == "pass"


def test_an_empty_catalog_and_one_of_rejected_rows_block(world: World) -> None:
    rejected = {"split": "val", "status": "rejected", "reason": "bad_row", "evidence": "no"}
    for rows in ([], [{**rejected, "item_id": f"val/#row-{n}", "row": n} for n in range(2, 8)]):
        world.catalog = rows
        result = world.gate("annotations")
        assert result.blocked and "annotations.not_empty" in broken(result)


def test_without_train_what_needs_it_is_skipped(world: World) -> None:
    world.catalog = [row for row in world.catalog if row["split"] == "val"]
    result = world.gate("annotations", GateParams(splits=("val",)))
    assert result.verdict == "pass"
    skipped = {check.id for check in result.checks if check.skipped}
    assert {"annotations.label_in_train", "annotations.split_disjoint", "annotations.class_in_train"} <= skipped
