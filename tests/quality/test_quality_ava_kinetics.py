"""The gates of AVA-Kinetics: a run without a fault passes them all. Those of its clips, frames and proposals: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import pytest
from ava_world import (
    AVA_KINETICS_YAML,
    NAMES,
    VIDEOS,
    BoxWorld,
    make_spec,
    proposal,
    said,
)
from clipquarry.pipeline.family import gates_of
from clipquarry.quality.flow_suites import FLOW_CHECKS
from quality_world import broken, ids


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
