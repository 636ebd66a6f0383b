"""The gates of AVA: a run without a fault passes them all. Those of its films and excerpts: each seeded defect is caught by the check that is meant for it alone."""

from __future__ import annotations

import pytest
from ava_world import (
    AVA_YAML,
    FIRST,
    SECOND,
    THIRD,
    BoxWorld,
    make_spec,
    said,
)
from clipquarry.pipeline.family import gates_of
from clipquarry.quality.flow_suites import FLOW_CHECKS
from clipquarry.steps.fields import CONTENT_FIELDS
from quality_world import broken, draw, ids, jpeg


@pytest.mark.parametrize("gate", gates_of(make_spec(AVA_YAML)))
def test_a_clean_run_passes_every_check(ava: BoxWorld, gate: str) -> None:
    result = ava.gate(gate)
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {check.id for check in result.checks if check.skipped} <= {
        "annotations.rows", "annotations.sha256", "annotations.changed", "ava.action_names", "ava.key_frame_count",
        "clips.height", "proposals.changed", "proposals.recall", "proposals.three_keys", *FLOW_CHECKS,
    }  # fmt: skip


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
