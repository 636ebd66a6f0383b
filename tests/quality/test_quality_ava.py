"""The gates of AVA: a run without a fault passes, and each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import pytest
from ava_world import AVA_YAML, BOX, OTHER_BOX, BoxWorld, box_row, key_row, make_spec, proposal
from clipquarry.errors import ManifestError, UserError
from clipquarry.pipeline.family import gates_of
from clipquarry.quality.flow_suites import FLOW_CHECKS
from clipquarry.steps.fields import CONTENT_FIELDS
from quality_world import broken, draw, ids, jpeg

FIRST, SECOND, THIRD = "-5KQ66BBWC4", "0f39OWEqJ24", "_a_film_00x"


def said(world: BoxWorld, gate: str, **params: object) -> dict[str, list[str]]:
    """Ids of the worst rows by broken check."""
    return {name: ids(check) for name, check in broken(world.gate(gate, **params)).items()}


@pytest.mark.parametrize("gate", gates_of(make_spec(AVA_YAML)))
def test_a_clean_run_passes_every_check(ava: BoxWorld, gate: str) -> None:
    result = ava.gate(gate)
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {check.id for check in result.checks if check.skipped} <= {
        "annotations.rows", "annotations.sha256", "annotations.changed", "ava.action_names", "ava.key_frame_count",
        "clips.height", "proposals.changed", "proposals.recall", "proposals.three_keys", *FLOW_CHECKS,
    }  # fmt: skip


# --- annotations


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


# --- clips


def test_films_that_end_early_or_are_missing_only_warn(ava: BoxWorld) -> None:
    ava.recorded[0]["duration"] = 904.0
    ava.recorded[3] |= {"status": "missing", "reason": "not_found", "evidence": "404", "path": None}
    ava.recorded[1]["path"] = "ava/videos/elsewhere.mp4"
    ava.recorded[2] |= {"width": None, "bytes": 0}
    result = ava.gate("clips")
    assert {name: (ids(c), c.severity) for name, c in broken(result).items()} == {
        "clips.reach": ([f"train/{FIRST}"], "warn"),
        "clips.path": ([f"train/{SECOND}"], "error"),
        "clips.on_disk": ([f"train/{SECOND}"], "error"),
        "clips.facts [width]": ([f"train/{THIRD}"], "error"),
        "clips.facts [bytes]": ([f"train/{THIRD}"], "error"),
        "clips.coverage [val]": (["val/1j20qq1JyX4"], "error"),  # one of one; one of four warns of all
    }
    ava.spec = ava.spec.model_copy(update={"missing": ava.spec.missing.model_copy(update={"warn": 0.5, "error": 1.0})})
    assert broken(ava.gate("clips"))["clips.coverage [val]"].severity == "warn"


# --- frames


def test_an_excerpt_of_25_frames_a_second(ava: BoxWorld) -> None:
    ava.made[0] |= {"fps": 25.0, "frames": 125, "images": 125}
    for number in range(126, 151):
        (ava.root / "ava/rawframes" / FIRST / f"img_{number:05d}.jpg").unlink()
    found = said(ava, "frames")
    assert found == {"excerpt.rate": [f"train/{FIRST}"], "excerpt.frames": [f"train/{FIRST}"]}


def test_an_empty_excerpt_and_one_that_was_cut_short(ava: BoxWorld) -> None:
    ava.made[0] |= {"duration": 0.0, "frames": 0, "images": 0, "evidence": "the source ends at 900.0 s"}
    ava.made[1] |= {"duration": 4.0, "frames": 120, "images": 120}
    for name, first in ((FIRST, 1), (SECOND, 121)):
        for number in range(first, 151):
            (ava.root / "ava/rawframes" / name / f"img_{number:05d}.jpg").unlink()
    assert said(ava, "frames") == {
        "excerpt.duration": [f"train/{FIRST}", f"train/{SECOND}"],
        "excerpt.images": [f"train/{FIRST}"],
        "excerpt.reader_window": [f"train/{FIRST}", f"train/{SECOND}"],
    }


def test_a_source_that_ends_early_is_fine_when_it_is_explained(ava: BoxWorld) -> None:
    explained = {"evidence": "the source ends at 904.5 s: 135 of 150 images", "source_duration": 904.5}
    ava.made[0] |= {"duration": 4.5, "frames": 135, "images": 135, **explained}
    for number in range(136, 151):
        (ava.root / "ava/rawframes" / FIRST / f"img_{number:05d}.jpg").unlink()
    assert ava.gate("frames").verdict == "pass"
    ava.row("train", 3).update(time="0904", second=904)  # needs image 153
    result = ava.gate("frames")
    check = broken(result)["excerpt.reader_window"]
    assert (list(broken(result)), ids(check), check.severity) == (["excerpt.reader_window"], [f"train/{FIRST}"], "warn")


def test_seeded_images_are_all_named(ava: BoxWorld) -> None:
    folder = ava.root / "ava" / "rawframes"
    (folder / FIRST / "img_00077.jpg").unlink()
    (folder / SECOND / "img_00001.jpg").write_bytes(jpeg(640, 480))
    ava.made[2]["image_path"] = "ava/rawframes/elsewhere"
    ava.made[3]["image_width"] = 300
    assert said(ava, "frames") == {
        "excerpt.contiguous": [f"train/{FIRST}", f"train/{THIRD}"],
        "excerpt.size": [f"train/{SECOND}", "val/1j20qq1JyX4"],
        "excerpt.path [images]": [f"train/{THIRD}"],
    }
    (folder / SECOND / "img_00001.jpg").write_bytes(b"<html>")
    size = broken(ava.gate("frames"))["excerpt.size"]
    assert size.worst[0]["odd_size"] == "img_00001.jpg is no JPEG"


def test_frames_of_another_video_and_half_a_frame(ava: BoxWorld) -> None:
    ava.made, ava.plan = ava.made[:2], ava.plan[:2]
    folders = [ava.root / row["image_path"] for row in ava.made]
    for row, folder, drawn in zip(ava.made, folders, ("testsrc2", "mandelbrot"), strict=True):
        row |= draw(folder, f"{drawn}=s=320x240:r=30", 150).columns()
    assert said(ava, "frames") == {}
    image = folders[0] / "img_00076.jpg"
    image.write_bytes(image.read_bytes()[:-800] + b"\xff\xd9")
    result = broken(ava.gate("frames"))
    assert list(result) == ["excerpt.shown"] and result["excerpt.shown"].severity == "warn"
    assert "img_00076.jpg does not decode to its end" in result["excerpt.shown"].worst[0]["odd"]
    draw(folders[0], "mandelbrot=s=320x240:r=30", 150)
    result = broken(ava.gate("frames"))
    assert ids(result["excerpt.shown"]) == [f"train/{FIRST}"]
    assert result["excerpt.shown"].worst[0]["odd"] == "other frames than were recorded"


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("black", {"brightness": 0.4, "contrast": 0.2}),
        ("frozen", {"still": 1.0, "changes": 0.0}),
        ("one colour", {"brightness": 120.0, "contrast": 1.0}),
    ],
)
def test_frames_that_show_hardly_anything_warn(ava: BoxWorld, kind: str, facts: dict[str, float]) -> None:
    for row in ava.made:
        row |= facts
    result = broken(ava.gate("frames"))
    assert [(name, check.severity) for name, check in result.items()] == [(f"excerpt.content [{kind}]", "warn")]
    for row in ava.made:
        row |= dict.fromkeys(field.name for field in CONTENT_FIELDS)
    checks = {check.id: check for check in ava.gate("frames").checks}
    assert "was not measured" in checks["excerpt.content"].skipped, "of an earlier version"


def test_lost_results_failures_and_what_was_not_asked_for(ava: BoxWorld) -> None:
    lost = ava.made.pop()["item_id"]
    ava.made[0] |= {"status": "failed", "reason": "tool_failed", "evidence": "ffmpeg: Invalid data"}
    assert said(ava, "frames") == {"excerpt.one_row": [lost], "excerpt.made": [f"train/{FIRST}"]}
    ava.plan, ava.made = [], []
    assert ava.gate("frames").verdict == "pass"


def test_images_alone_and_excerpts_alone(ava: BoxWorld) -> None:
    for row in ava.made:
        row |= dict.fromkeys(("path", "duration", "frames", "fps", "width", "height", "bytes", "sha256"))
    result = ava.gate("frames")
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {c.id for c in result.checks if c.skipped} == {
        "excerpt.duration", "excerpt.rate", "excerpt.frames", "excerpt.on_disk", *FLOW_CHECKS
    }  # fmt: skip
    assert {"excerpt.duration", "excerpt.rate"} <= set(broken(ava.gate("frames", excerpts=True)))


# --- proposals


def test_key_frames_without_proposals_warn_then_block(ava: BoxWorld) -> None:
    ava.proposals["train"] = [row for row in ava.proposals["train"] if row["key"] != f"{FIRST},0903"]
    result = ava.gate("proposals")
    check = broken(result)["proposals.coverage [train]"]
    assert (list(broken(result)), ids(check), check.checked) == (
        ["proposals.coverage [train]"], [f"train/{FIRST},0903"], 6
    )  # fmt: skip
    assert check.severity == "warn"
    assert ava.gate("proposals", proposal_coverage_warn=0.8).verdict == "pass"
    assert broken(ava.gate("proposals", proposal_coverage_error=0.9))["proposals.coverage [train]"].severity == "error"


def test_a_film_without_images_needs_no_proposals(ava: BoxWorld) -> None:
    ava.proposals["train"] = [row for row in ava.proposals["train"] if not row["key"].startswith(FIRST)]
    assert "proposals.coverage [train]" in broken(ava.gate("proposals"))
    ava.made[0] |= {"status": "missing", "reason": "too_short"}
    assert "proposals.coverage [train]" not in broken(ava.gate("proposals"))


def test_half_of_the_key_frames_is_the_border(ava: BoxWorld) -> None:
    ava.proposals["train"] = ava.proposals["train"][:3]
    assert ava.gate("proposals").verdict == "warn"
    ava.proposals["train"] = ava.proposals["train"][:2]
    assert ava.gate("proposals").blocked


PIXELS = "its boxes are in pixels (numbers up to {n}), where fractions 0..1 of the frame are expected"


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ([PIXELS.format(n=300 + n) for n in range(3)], "train: none of its 3 keys can be used, 3 of them because its boxes are in pixels."),
        (["a box has no area", *[PIXELS.format(n=640)] * 2], "train: none of its 3 keys can be used, 2 of them because its boxes are in pixels."),
        ([], "train: it holds no key at all."),
    ],
)  # fmt: skip
def test_a_proposal_file_without_a_usable_key_is_one_sentence(ava: BoxWorld, reasons: list[str], told: str) -> None:
    ava.proposals["train"] = []
    ava.proposals_rejected["train"] = {f"{FIRST},{902 + n:04d}": reason for n, reason in enumerate(reasons)}
    result = ava.gate("proposals")
    assert result.blocked
    check = broken(result)["proposals.usable"]
    assert check.sentence.endswith(told)
    assert ids(check) == ["train/proposals"]


def test_an_odd_row_of_an_unlisted_film_does_not_block(ava: BoxWorld) -> None:
    ava.boxes["val"] += [box_row("misspelt_id", "0902", BOX, 3, 0)]
    assert ava.gate("annotations", rejected_error=0.1).verdict == "warn"
    check = broken(ava.gate("annotations", rejected_error=0.01))["ava.in_list"]
    assert (check.severity, ids(check)) == ("error", ["val/misspelt_id"])


def test_films_that_are_missing_and_excluded_key_frames_need_no_proposals(ava: BoxWorld) -> None:
    ava.recorded[0] |= {"status": "missing", "reason": "not_found", "evidence": "404"}
    ava.excluded["train"].append(key_row(SECOND, "903"))
    gone = {f"{FIRST},0902", f"{FIRST},0903", f"{SECOND},0903"}
    ava.proposals["train"] = [row for row in ava.proposals["train"] if row["key"] not in gone]
    assert ava.gate("proposals").verdict == "pass"


def test_seeded_proposals_are_all_named(ava: BoxWorld) -> None:
    rows = ava.proposals["train"]
    rows[0]["score"] = 1.5
    rows[1]["x2"] = rows[1]["x1"]
    rows[2]["x2"] = 1.003
    rows[3]["score"] = -1.0  # a file without scores
    rows.append(proposal("other_movie", 902))
    rows.append(proposal(FIRST, 905))
    rows.append(proposal(FIRST, 904) | {"key": f"{FIRST},904"})
    found = said(ava, "proposals")
    assert found == {
        "proposals.score [train]": [f"train/{FIRST},0902"],
        "proposals.box [train]": [f"train/{FIRST},0903", f"train/{SECOND},0902"],
        "proposals.known [train]": ["train/other_movie,0902", f"train/{FIRST},0905"],
        "proposals.key [train]": [f"train/{FIRST},904"],
    }


def test_files_counts_and_rejected_keys(ava: BoxWorld) -> None:
    ava.proposals_rejected["val"] = {"1j20qq1JyX4,0999": "it is empty"}
    ava.proposals.pop("train")
    result = ava.gate("proposals")
    assert {name: ids(check) for name, check in broken(result).items()} == {
        "proposals.file": ["train/proposals"],
        "proposals.rejected [val]": ["val/1j20qq1JyX4,0999"],
    }
    assert broken(result)["proposals.file"].worst[0]["problem"] == "none was made"
    (ava.root / "ava/val.pkl").unlink()
    told = ava.run_dir / "proposals" / "val.json"
    told.write_text(told.read_text().replace('"keys": 2', '"keys": 3'))
    from clipquarry.pipeline.gates import run_gate
    from clipquarry.quality.params import GateParams

    again = broken(run_gate("proposals", ava.spec, ava.run_dir, ava.data, GateParams(rejected_error=1)))
    assert again["proposals.file"].worst[1]["problem"] == "'ava/val.pkl': it is not there"
    assert again["proposals.count [val]"].worst[0] == {"item_id": "val/keys", "found": 2, "told": 3}


def test_a_detector_keeps_what_is_above_its_threshold(ava: BoxWorld) -> None:
    ava.source = "hog"
    for row in [row for rows in ava.proposals.values() for row in rows]:
        row["score"] = 0.71
    ava.proposals["val"][0]["score"] = 0.7
    assert said(ava, "proposals") == {"proposals.score [val]": ["val/1j20qq1JyX4,0902"]}
    assert ava.gate("proposals", proposal_score=0.5).verdict == "pass"


def test_another_box_of_a_key_needs_no_key_of_its_own(ava: BoxWorld) -> None:
    ava.proposals["val"].append(proposal("1j20qq1JyX4", 902) | OTHER_BOX)
    assert ava.gate("proposals").verdict == "pass"
