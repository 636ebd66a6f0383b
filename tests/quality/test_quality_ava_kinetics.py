"""The gates of AVA-Kinetics: a run without a fault passes, and each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pyarrow as pa
import pytest
from ava_world import AVA_KINETICS_YAML, BOX, CLIPS, BoxWorld, box_row, csv_line, key_row, make_spec, proposal
from clipquarry.annotations.ava_kinetics_cut import CutClips
from clipquarry.annotations.ava_kinetics_flat import write_updated_csv
from clipquarry.annotations.box_csv import BOXES, KEY_FRAMES
from clipquarry.errors import ManifestError
from clipquarry.families.boxes.options import BoxesOptions
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.microseconds import of
from clipquarry.pipeline.family import gates_of
from clipquarry.quality.flow_suites import FLOW_CHECKS
from quality_world import broken, ids

VIDEOS = [video for video, _ in CLIPS]
NAMES = [f"{video}_{start:06d}_{start + 4:06d}" for video, start in CLIPS]
CSV = "ava_kinetics/annotations/ava_train_v2.2.csv"


def said(world: BoxWorld, gate: str, **params: object) -> dict[str, list[str]]:
    """Ids of the worst rows by broken check."""
    return {name: ids(check) for name, check in broken(world.gate(gate, **params)).items()}


def kinetics_csv(world: BoxWorld, name: str, split: str, *rows: str) -> None:
    text = "".join(f"{row}\n" for row in ("label,youtube_id,time_start,time_end,split", *rows))
    world.touch(f"{name}/annotations/kinetics_{split}.csv", content=text.encode())


@pytest.mark.parametrize("gate", gates_of(make_spec(AVA_KINETICS_YAML)))
def test_a_clean_run_passes_every_check(ava_kinetics: BoxWorld, gate: str) -> None:
    result = ava_kinetics.gate(gate)
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {check.id for check in result.checks if check.skipped} <= {
        "annotations.rows", "annotations.sha256", "annotations.changed", "ava.action_names", "ava.key_frame_count",
        "ava.video_count", "windows.in_clip", "ava.leak", "clips.height", "frames.size", "proposals.changed", "proposals.recall",
        "frames.content", "clips.black", "clips.one_colour", "clips.frozen", "clips.slide_show", "clips.uneven_rate",
        "clips.silent", "clips.near_copy",  # windows are counted, not decoded, and the tables of this world are old ones
        *FLOW_CHECKS,
    }  # fmt: skip


# --- annotations


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


# --- clips


def test_clips_have_the_rate_and_the_frames_of_their_window(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.recorded[0] |= {"fps": 25.0, "frames": 100}
    ava_kinetics.recorded[1] |= {"duration": 3.2, "frames": 96}
    ava_kinetics.recorded[2] |= {"duration": 3.3, "frames": 98}  # 0.7 s short: frames enough
    result = ava_kinetics.gate("clips", short_error=0.5)
    assert {name: (ids(c), c.severity) for name, c in broken(result).items()} == {
        "clips.rate": ([f"train/{NAMES[0]}"], "error"),
        "clips.frame_count": ([f"train/{NAMES[1]}"], "warn"),
        "clips.shorter": ([f"train/{NAMES[1]}", f"train/{NAMES[2]}"], "warn"),
    }
    ava_kinetics.spec = ava_kinetics.spec.model_copy(
        update={"recipe": ava_kinetics.spec.recipe.model_copy(update={"fps": None})}
    )
    assert "clips.rate" not in broken(ava_kinetics.gate("clips"))


# --- frames


def test_119_images_are_told_and_118_warn(ava_kinetics: BoxWorld) -> None:
    (ava_kinetics.folder / "rawframes" / NAMES[0] / "img_00120.jpg").unlink()
    assert said(ava_kinetics, "frames") == {"frames.contiguous": [f"train/{NAMES[0]}"]}
    ava_kinetics.made[0]["frames"] = 119
    result = ava_kinetics.gate("frames")
    assert (result.verdict, {name: ids(c) for name, c in broken(result).items()}) == (
        "pass", {"frames.last_second": [f"train/{NAMES[0]}"]}
    )  # fmt: skip
    (ava_kinetics.folder / "rawframes" / NAMES[0] / "img_00119.jpg").unlink()
    ava_kinetics.made[0]["frames"] = 118
    result = ava_kinetics.gate("frames")
    assert result.verdict == "warn" and set(broken(result)) == {"frames.last_second", "frames.window"}


def test_frames_of_another_rate_and_frames_that_were_not_asked_for(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.made[0] |= {"fps": 25.0, "source_duration": 4.8}
    assert said(ava_kinetics, "frames") == {"frames.rate": [f"train/{NAMES[0]}"]}
    off = ava_kinetics.gate("frames", frames=False)
    assert off.verdict == "pass" and all(check.skipped for check in off.checks)


# --- boxes


def write_csv(world: BoxWorld) -> None:
    """The csv of the prepared rows, as they are now."""
    text = "".join(f"{csv_line(row)}\n" for row in world.prepared["train"])
    world.touch("ava_kinetics/kinetics_train.csv", content=text.encode())


def test_seeded_prepared_rows_are_all_named(ava_kinetics: BoxWorld) -> None:
    rows = ava_kinetics.prepared["train"]
    rows[0]["video_id"] = VIDEOS[0]
    rows[1]["person_id"] = 4
    rows[3] |= {"time": "204.000000", "second": 204}
    rows.append(dict(rows[6]))
    ava_kinetics.boxes["train"].append(box_row(VIDEOS[1], "204.000000", BOX, 80, -1))
    ava_kinetics.dropped["train"] = 1
    write_csv(ava_kinetics)
    found = said(ava_kinetics, "boxes")
    assert found == {
        "boxes.clip_name [train]": [f"train/{VIDEOS[0]},102"],
        "boxes.person [train]": [f"train/{NAMES[0]},102"],
        "boxes.second [train]": [f"train/{NAMES[1]},204"],
        "boxes.in_raw [train]": [f"train/{NAMES[2]},12459"],
        # The row that was moved is lacking from its own key frame.
        "boxes.whole_key [train]": [f"train/{NAMES[1]},202"],
        "boxes.folder [train]": [f"train/{VIDEOS[0]},102"],
        "boxes.images [train]": [f"train/{NAMES[1]},204"],
        "boxes.csv_columns [train]": ["train/#line-2"],
    }


def test_a_fractional_time_in_the_clips_first_second_belongs_to_it(ava_kinetics: BoxWorld) -> None:
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows[0] |= {"time": "100.400000", "second": 100}
    write_csv(ava_kinetics)
    assert ava_kinetics.gate("boxes").verdict == "pass"
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows[0]["time"] = "100.000000"
    assert said(ava_kinetics, "boxes") == {"boxes.second [train]": [f"train/{NAMES[0]},100"]}


def test_rows_that_the_csv_had_twice_may_stay_twice(ava_kinetics: BoxWorld) -> None:
    for rows in (ava_kinetics.boxes["train"], ava_kinetics.prepared["train"]):
        rows.append(dict(rows[8] if len(rows) == 9 else rows[0]))
    ava_kinetics.boxes["train"][-1] = dict(ava_kinetics.boxes["train"][8])
    write_csv(ava_kinetics)
    assert ava_kinetics.gate("boxes").verdict == "pass"


def test_lost_rows_and_half_key_frames(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.prepared["train"].pop(1)
    write_csv(ava_kinetics)
    assert said(ava_kinetics, "boxes") == {
        "boxes.whole_key [train]": [f"train/{NAMES[0]},102"], "boxes.balance [train]": ["train/csv"]
    }  # fmt: skip
    ava_kinetics.dropped["train"] += 1
    assert said(ava_kinetics, "boxes") == {"boxes.whole_key [train]": [f"train/{NAMES[0]},102"]}


def test_images_that_readers_need_and_strays(ava_kinetics: BoxWorld) -> None:
    folder = ava_kinetics.folder / "rawframes"
    (folder / NAMES[0] / "img_00090.jpg").unlink()
    (folder / NAMES[1] / "img_00091.jpg").unlink()  # one behind: nobody needs it
    (folder / NAMES[2]).rename(folder / "old_clip000_000001_000005")
    assert said(ava_kinetics, "boxes") == {
        "boxes.images [train]": [f"train/{NAMES[0]},102"],
        "boxes.folder [train]": [f"train/{NAMES[2]},12459"],
        "boxes.stray": ["old_clip000_000001_000005"],
    }


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda text: text.replace(b"\n", b"", 1), {"boxes.csv": ["train/kinetics_train.csv"], "boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.rstrip(b"\n"), {"boxes.csv": ["train/kinetics_train.csv"]}),
        (lambda text: text.replace(b",0.077,", b",0.0771,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",0.077,", b",0.078,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",102,", b",101,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",0.077,", b",\xff,", 1), {"boxes.csv_row": ["train/#line-1"]}),
        (lambda text: text.replace(b",80,-1", b",80,1", 1), {"boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.replace(b",80,-1", b",-1", 1), {"boxes.csv_columns": ["train/#line-1"]}),
        (lambda text: text.split(b"\n", 1)[1], {"boxes.csv": ["train/kinetics_train.csv"]}),
        (lambda text: text.replace(b"\n", b"\r\n"), {}),
    ],
    ids=["fused", "no newline", "four decimals", "moved", "second", "bytes", "person", "seven columns", "lost", "windows"],
)  # fmt: skip
def test_the_written_csv_is_the_table(ava_kinetics: BoxWorld, edit: Any, expected: dict[str, list[str]]) -> None:
    path = ava_kinetics.folder / "kinetics_train.csv"
    path.write_bytes(edit(path.read_bytes()))
    assert said(ava_kinetics, "boxes") == {f"{name} [train]": found for name, found in expected.items()}


def test_no_csv_and_no_rows(ava_kinetics: BoxWorld) -> None:
    (ava_kinetics.folder / "kinetics_train.csv").unlink()
    check = broken(ava_kinetics.gate("boxes"))["boxes.csv [train]"]
    assert check.worst[0] == {"item_id": "train/kinetics_train.csv", "problem": "it is not there"}
    ava_kinetics.prepared["train"], ava_kinetics.dropped["train"] = [], 10
    write_csv(ava_kinetics)
    assert list(broken(ava_kinetics.gate("boxes"))) == ["boxes.not_empty"]


def test_a_split_of_key_frames_without_anybody(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.prepared, ava_kinetics.dropped = {"test": []}, {}
    ava_kinetics.prepared_key_frames["test"] = [key_row("vvid5000000_000050_000054", "52.000000")]
    ava_kinetics.touch("ava_kinetics/kinetics_test.csv")
    ava_kinetics.proposals = {"test": [proposal("vvid5000000", second) for second in (51, 52, 53)]}
    assert ava_kinetics.gate("boxes").verdict == "pass"
    assert ava_kinetics.gate("proposals").verdict == "pass"
    ava_kinetics.proposals["test"].append(proposal("vvid5000000", 54))
    assert set(said(ava_kinetics, "proposals")) == {"proposals.known [test]", "proposals.three_keys [test]"}


def test_without_frames_nobody_looks_for_images(ava_kinetics: BoxWorld) -> None:
    shutil.rmtree(ava_kinetics.folder / "rawframes")
    result = ava_kinetics.gate("boxes", frames=False)
    assert result.verdict == "pass" and {c.id for c in result.checks if c.skipped} == {"boxes.folder", "boxes.images"}


# --- proposals


def test_seeded_proposals_are_all_named(ava_kinetics: BoxWorld) -> None:
    rows = ava_kinetics.proposals["train"]
    rows[0]["score"] = 0.7
    rows[1]["x2"], rows[2]["x2"] = 1.01, 1.011
    rows[3]["score"] = 1.0
    rows.append(proposal(VIDEOS[0], 104))
    rows.append(proposal(VIDEOS[0], 102) | {"key": f"{NAMES[0]},0102"})
    assert said(ava_kinetics, "proposals") == {
        "proposals.score [train]": [f"train/{VIDEOS[0]},0101"],
        "proposals.box [train]": [f"train/{VIDEOS[0]},0103"],
        "proposals.known [train]": [f"train/{VIDEOS[0]},0104", f"train/{NAMES[0]},0102"],
        "proposals.key [train]": [f"train/{NAMES[0]},0102"],
        "proposals.three_keys [train]": ["train/keys"],
    }


def test_the_key_second_itself_counts_and_keys_have_five_digits_when_they_must(ava_kinetics: BoxWorld) -> None:
    ava_kinetics.proposals["train"] = [
        row for row in ava_kinetics.proposals["train"] if row["key"] != f"{VIDEOS[2]},12459"
    ]
    result = ava_kinetics.gate("proposals")
    check = broken(result)["proposals.coverage [train]"]
    assert (ids(check), check.severity, check.checked) == ([f"train/{VIDEOS[2]},12459"], "warn", 3)
    assert (
        broken(ava_kinetics.gate("proposals", proposal_coverage_error=0.7))["proposals.coverage [train]"].severity
        == "error"
    )


# --- merged


def changed(world: BoxWorld) -> dict[str, list[str]]:
    """What the gate says of a merged csv that was changed after the merge, beside that very thing."""
    found = said(world, "merged")
    assert found.pop("merged.files") == [CSV]
    return found


def test_a_row_of_ava_that_was_lost(ava_kinetics: BoxWorld) -> None:
    path = ava_kinetics.root / CSV
    path.write_bytes(path.read_bytes().replace(b"0f39OWEqJ24,0903,0.031,0.162,0.670,0.995,12,0\n", b""))
    assert changed(ava_kinetics) == {"merged.rows": ["merged/rows"], "merged.identical [ava]": ["ava/#line-2"]}


def test_a_row_of_ava_that_was_changed(ava_kinetics: BoxWorld) -> None:
    path = ava_kinetics.root / CSV
    path.write_bytes(path.read_bytes().replace(b"0903,0.031", b"0903,0.032"))
    assert changed(ava_kinetics) == {"merged.identical [ava]": ["ava/#line-2"]}


def test_rows_that_fused_where_the_files_met(ava_kinetics: BoxWorld) -> None:
    path = ava_kinetics.root / CSV
    path.write_bytes(path.read_bytes().replace(b"-1\n0f39OWEqJ24", b"-10f39OWEqJ24"))
    assert changed(ava_kinetics) == {
        "merged.rows": ["merged/rows"],
        "merged.columns": ["#line-9"],
        "merged.identical [kinetics]": ["kinetics/#line-9"],
        "merged.identical [ava]": ["ava/#line-1"],
    }


def test_the_merge_that_ran_twice_and_a_clip_under_a_video_id(ava_kinetics: BoxWorld) -> None:
    path = ava_kinetics.root / CSV
    text = path.read_bytes()
    own = (ava_kinetics.folder / "kinetics_train.csv").read_bytes()
    path.write_bytes(own + text)
    assert changed(ava_kinetics) == {"merged.rows": ["merged/rows"]}
    path.write_bytes(text + own.splitlines(keepends=True)[0])
    found = changed(ava_kinetics)
    assert found == {"merged.rows": ["merged/rows"], "merged.order": ["#line-14"]}


def test_what_the_merge_counted_is_compared(ava_kinetics: BoxWorld) -> None:
    told = ava_kinetics.run_dir / "merged.json"
    write_json(told, read_json(told) | {"keys": 12, "ava_identical": 3, "links": 3})
    ava_kinetics.prepared["train"].pop()
    found = said(ava_kinetics, "merged")
    assert found == {
        "merged.rows": ["merged/kinetics_rows"],
        "merged.keys": ["merged/keys"],
        "merged.ava_wins": ["merged/ava_identical"],
        "merged.links [count]": ["merged/links"],
    }


def test_proposals_that_were_not_merged_or_not_counted(ava_kinetics: BoxWorld) -> None:
    told = ava_kinetics.run_dir / "merged.json"
    value = read_json(told)
    write_json(told, {name: item for name, item in value.items() if name not in ("shared_keys", "ava_identical")})
    result = ava_kinetics.gate("merged")
    assert [check.skipped for check in result.checks if check.skipped] == ["the merge did not count them"]
    write_json(told, json.loads(told.read_text()) | {"keys": 14})
    assert said(ava_kinetics, "merged") == {"merged.keys": ["merged/keys"]}
    write_json(
        told,
        {
            name: item
            for name, item in value.items()
            if "keys" not in name and name not in ("ava_identical", "proposals", "sha256")
        },
    )
    (ava_kinetics.folder / "annotations" / "ava_dense_proposals_train.FAIR.recall_93.9.pkl").unlink()
    result = ava_kinetics.gate("merged")
    assert result.verdict == "pass" and len([check for check in result.checks if check.skipped]) == 3


def test_links_that_lead_elsewhere_or_into_themselves(ava_kinetics: BoxWorld) -> None:
    own, theirs = ava_kinetics.folder / "rawframes", ava_kinetics.root / "ava" / "rawframes"
    (own / "-5KQ66BBWC4").unlink()
    (own / "-5KQ66BBWC4").symlink_to(theirs / "0f39OWEqJ24")
    (own / "dead_link00").symlink_to(theirs / "dead_link00")
    (theirs / "no_link_yet").mkdir()
    (theirs / "0f39OWEqJ24" / "0f39OWEqJ24").symlink_to(theirs / "0f39OWEqJ24")
    result = ava_kinetics.gate("merged")
    found = broken(result)
    assert {row["item_id"]: row["problem"].partition(" ")[2][:12] for row in found["merged.links"].worst} == {
        "rawframes/-5KQ66BBWC4": "leads to /tm"[:12], "rawframes/dead_link00": "leads to /tm"[:12], "rawframes/no_link_yet": "is no link",
    }  # fmt: skip
    assert ids(found["merged.self_link"]) == ["ava/rawframes/0f39OWEqJ24/0f39OWEqJ24"]
    assert set(found) == {"merged.links", "merged.links [count]", "merged.self_link"}


def test_copies_of_avas_other_files(ava_kinetics: BoxWorld) -> None:
    folder = ava_kinetics.folder / "annotations"
    (folder / "ava_val_v2.2.csv").write_text("merged too\n")
    (folder / "ava_train_excluded_timestamps_v2.2.csv").unlink()
    check = broken(ava_kinetics.gate("merged"))["merged.copies"]
    assert {row["item_id"]: row["problem"] for row in check.worst} == {
        "annotations/ava_val_v2.2.csv": "the copy differs",
        "annotations/ava_train_excluded_timestamps_v2.2.csv": "there is no copy",
    }


def test_a_copy_without_rejected_rows_is_the_one_that_was_written(ava_kinetics: BoxWorld) -> None:
    copy, told = ava_kinetics.folder / "annotations/ava_val_v2.2.csv", ava_kinetics.run_dir / "merged.json"
    copy.write_text("only good rows\n")
    write_json(told, read_json(told) | {"rewritten": {copy.name: sha256_of(copy)}})
    assert "merged.copies" not in broken(ava_kinetics.gate("merged"))
    copy.write_text("edited\n")
    (row,) = broken(ava_kinetics.gate("merged"))["merged.copies"].worst
    assert row["problem"] == "the copy is not the one that was written from the checked rows"


def test_a_merge_that_names_no_csv_is_one_sentence(ava_kinetics: BoxWorld) -> None:
    told = ava_kinetics.run_dir / "merged.json"
    for path in ("../../etc/passwd", "ava_kinetics/nowhere.csv"):
        write_json(told, read_json(told) | {"csv": path})
        with pytest.raises(ManifestError, match="run the merge again"):
            ava_kinetics.gate("merged")
    told.unlink()
    with pytest.raises(ManifestError, match=r"no .*merged\.json"):
        ava_kinetics.gate("merged")


# --- the flat layout


FLAT_CSV = "ava_kinetics/ava_kinetics_updated_csv/kinetics_train_v1.0.csv"


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


def test_the_tables_are_those_of_the_readers() -> None:
    from clipquarry.families.boxes.gates.rows import BOX_COLUMNS

    assert list(BOX_COLUMNS) == BOXES.names


# --- what is cut out of another data set's clips

CUT_CSV = "ava_kinetics/ava_kinetics_700_updated_csv/kinetics_train_v1.0.csv"


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
