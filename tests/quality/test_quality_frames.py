"""The gate ``frames``: resized copies and frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.quality.flow_suites import FLOW_CHECKS
from clipquarry.quality.params import GateParams
from clipquarry.reasons import Reason
from quality_world import PARAMS, World, broken, ids, make_spec


def test_clean_run_passes_every_check(world: World) -> None:
    result = world.gate("frames")
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {check.id.partition(".")[0] for check in result.checks if check.skipped} == {"flow"}


def test_clips_that_are_missing_are_nobodys_fault_here(world: World) -> None:
    for index in (0, 12, 19):
        world.lose(index, Reason.REMOVED)
    result = world.gate("frames")
    assert (result.verdict, broken(result)) == ("pass", {})


def test_stages_that_were_off_are_skipped(world: World) -> None:
    world.frames = None
    result = world.gate("frames")
    assert result.verdict == "pass"
    assert {check.id.partition(".")[0] for check in result.checks if check.skipped} == {"frames", "flow"}
    off = world.gate("frames", GateParams(resize=False, frames=False))
    assert off.verdict == "pass" and all(
        "was off" in check.skipped for check in off.checks if not check.id.startswith("flow.")
    )
    on = world.gate("frames", GateParams(resize=False, frames=True))
    assert on.blocked and broken(on)["frames.one_row"].unexpected == 20


def test_a_stage_that_was_on_and_left_nothing_blocks(world: World) -> None:
    world.resized, world.frames = None, None
    result = world.gate("frames", GateParams(resize=True, frames=True))
    assert {name: check.unexpected for name, check in broken(result).items()} == {
        "resize.one_row": 20, "frames.one_row": 20
    }  # fmt: skip


def test_seeded_copies_are_all_named(world: World) -> None:
    rows = world.resized
    assert rows is not None
    rows[0]["height"] = 30
    rows[1]["keyframe_gap"], rows[2]["keyframe_gap"] = 17, None
    rows[3]["has_audio"], rows[4]["has_audio"] = True, None
    rows[5]["frames"] = 9
    rows[6]["path"] = rows[6]["path"].replace("dense", "256p")
    rows[7]["bytes"] = 0
    rows[8] |= {"width": 32, "height": 64}  # upright
    result = world.gate("frames")
    expected = {
        "resize.short_side": [0], "resize.keyframe_gap": [1, 2], "resize.no_audio": [3, 4], "resize.frame_count": [5],
        "resize.path": [6], "resize.on_disk": [6], "resize.facts [bytes]": [7],
    }  # fmt: skip
    assert {name: ids(check) for name, check in broken(result).items()} == {
        name: [rows[index]["item_id"] for index in indices] for name, indices in expected.items()
    }
    assert result.blocked and {check.severity for check in broken(result).values()} == {"error"}


def test_a_copy_has_its_clips_suffix_or_is_an_mp4(world: World) -> None:
    world.spec = make_spec(item={"level": 2, "ext": ["avi", "mp4"], "ids": "youtube"})
    rows = world.resized
    assert rows is not None
    for row, suffix in zip(rows, (".avi", ".AVI", ".mkv"), strict=False):
        row["path"] = str(Path(row["path"]).with_suffix(suffix))
    found = broken(world.gate("frames"))
    assert ids(found["resize.path"]) == [rows[2]["item_id"]]


def test_seeded_frames_are_all_named(world: World) -> None:
    rows = world.frames
    assert rows is not None
    rows[0]["frames"] = 7  # 3 less than 1/s x 10 s
    rows[1]["source_duration"] = 12.4  # 12 wanted, 10 there: at the tolerance
    rows[2]["source_duration"] = 12.5  # 13 wanted
    rows[3]["fps"] = 1.01
    rows[4]["height"] = 31
    (world.root / rows[5]["path"] / "img_00005.jpg").unlink()
    (world.root / rows[6]["path"] / "img_00011.jpg").touch()
    (world.root / rows[7]["path"] / "flow_x_00001.jpg").touch()
    found = broken(world.gate("frames"))
    names = [row["item_id"] for row in rows]
    assert ids(found["frames.count"]) == [names[0], names[2]]
    assert ids(found["frames.rate"]) == [names[3]]
    assert ids(found["frames.size"]) == [names[4]]
    assert ids(found["frames.contiguous"]) == [names[0], names[5], names[6]]
    assert found["frames.contiguous"].worst[1]["gap"] == "1 frames are absent, such as img_00005.jpg"
    assert ids(found["frames.on_disk"]) == [names[4]]
    assert set(found) == {"frames.count", "frames.rate", "frames.size", "frames.contiguous", "frames.on_disk"}
    assert {found[name].severity for name in ("frames.count", "frames.size")} == {"warn"}


@pytest.mark.parametrize(
    ("name", "gap"), [("img_00001.jpg", "absent"), ("img_00010.jpg", "absent"), ("img_00011.jpg", "one too many")]
)
def test_folders_outside_the_sample_are_probed_at_both_ends(world: World, name: str, gap: str) -> None:
    row = world.frames[3]  # type: ignore[index]
    image = world.root / row["path"] / name
    image.unlink() if image.exists() else image.touch()
    found = broken(world.gate("frames", PARAMS.model_copy(update={"sample_folders": 0})))
    assert ids(found["frames.contiguous"]) == [row["item_id"]] and gap in found["frames.contiguous"].worst[0]["gap"]


def test_a_path_that_leaves_the_data_root_is_not_followed(world: World) -> None:
    world.frames[0]["path"] = "mini/../../.."  # type: ignore[index]
    found = broken(world.gate("frames"))
    assert found["frames.contiguous"].worst[0]["gap"] == "the path leaves the data root" and "frames.path" in found


def test_a_small_clip_may_keep_its_size_and_a_fixed_size_is_exact(world: World) -> None:
    world.recorded[0] |= {"width": 40, "height": 20}
    world.frames[0] |= {"width": 40, "height": 20}  # type: ignore[index]
    assert "frames.size" not in broken(world.gate("frames"))
    fixed = world.gate("frames", GateParams(frame_size=(64, 32)))
    assert ids(broken(fixed)["frames.size"]) == [world.recorded[0]["item_id"]]
    free = world.gate("frames", GateParams())
    assert {check.id for check in free.checks if check.skipped} == {"frames.size", "frames.rate", *FLOW_CHECKS}


def test_failures_of_ours_warn_then_block(world: World) -> None:
    rows = world.resized
    assert rows is not None
    rows[0] |= {"status": "failed", "reason": "tool_failed", "evidence": "ffmpeg: Invalid data"}
    warned = broken(world.gate("frames", GateParams(made_error=0.05)))["resize.made"]
    assert (warned.severity, ids(warned), warned.share) == ("warn", [rows[0]["item_id"]], 0.05)
    rows[1] |= rows[0] | {"item_id": rows[1]["item_id"]}
    assert broken(world.gate("frames", GateParams(made_error=0.05)))["resize.made"].severity == "error"


def test_a_shard_without_result_is_caught_and_a_refresh_asks_for_its_own_clips_only(world: World) -> None:
    rows = world.frames
    assert rows is not None
    lost = [row["item_id"] for row in rows[10:]]
    world.frames = rows[:10]
    assert sorted(ids(broken(world.gate("frames"))["frames.one_row"])) == sorted(lost)
    world.plan = world.plan[:10]
    assert "frames.one_row" not in broken(world.gate("frames"))
