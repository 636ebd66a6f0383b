"""The gate of AVA-Kinetics merged with AVA: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import json

import pytest
from ava_world import (
    BoxWorld,
    said,
)
from clipquarry.errors import ManifestError
from clipquarry.files import read_json, sha256_of, write_json
from quality_world import broken, ids

CSV = "ava_kinetics/annotations/ava_train_v2.2.csv"


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
