"""The gate of AVA's proposals: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import pytest
from ava_world import (
    FIRST,
    OTHER_BOX,
    SECOND,
    BoxWorld,
    key_row,
    proposal,
    said,
)
from quality_world import broken, ids


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
