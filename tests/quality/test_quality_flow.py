"""Optical flow in the gates ``frames`` and ``lists``: every seeded fault is named, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ava_world import BoxWorld
from clipquarry.manifest import Row
from clipquarry.quality.params import GateParams
from families.made_run import FINE, MadeRun
from quality_world import PARAMS, World, broken, ids, jpeg

FLOW = PARAMS.model_copy(update={"flow": True})
IMAGES, PAIRS = "mini_val_list_rawframes.txt", "mini_val_list_rawframes_flow.txt"


def folder(world: World, row: Row) -> Path:
    return world.root / row["path"]


@pytest.fixture
def flowing(world: World) -> World:
    """A run that made flow: 9 pairs of 10 frames in each folder."""
    assert world.frames is not None
    for row in world.frames:
        row |= {
            "start_index": 1,
            "flow_x": 9,
            "flow_y": 9,
            "flow_type": "tvl1",
            "flow_tool": "opencv",
            "flow_still": 0.25,
        }
        for number in range(1, 10):
            for direction in "xy":
                (folder(world, row) / f"flow_{direction}_{number:05d}.jpg").write_bytes(jpeg(64, 32))
    return world


def test_whole_flow_passes_every_check(flowing: World) -> None:
    result = flowing.gate("frames", FLOW)
    assert (result.verdict, broken(result)) == ("pass", {})
    assert [check.id for check in result.checks if check.skipped] == ["flow.one_row"]


def test_without_flow_its_checks_are_skipped(flowing: World) -> None:
    result = flowing.gate("frames")
    assert {check.id.partition(".")[0] for check in result.checks if check.skipped} == {"flow"}
    assert result.verdict == "pass", "flow beside frames is no frame too many"


def test_seeded_faults_are_all_named(flowing: World) -> None:
    rows = flowing.frames
    assert rows is not None
    rows[0]["flow_x"] = None  # not made
    rows[1]["flow_y"] = 8
    rows[2] |= {"flow_x": 8, "flow_y": 8}
    (folder(flowing, rows[2]) / "flow_x_00009.jpg").unlink()
    (folder(flowing, rows[2]) / "flow_y_00009.jpg").unlink()
    (folder(flowing, rows[3]) / "flow_y_00005.jpg").unlink()
    (folder(flowing, rows[4]) / "flow_x_00010.jpg").touch()
    (folder(flowing, rows[5]) / "flow_x_00001.jpg").write_bytes(jpeg(64, 30))
    whole = jpeg(64, 32)
    (folder(flowing, rows[6]) / "flow_y_00009.jpg").write_bytes(whole[:-12] + b"\xff\xd9")
    found = broken(flowing.gate("frames", FLOW))
    names = [row["item_id"] for row in rows]
    assert {name: ids(check) for name, check in found.items()} == {
        "flow.made": [names[0]], "flow.pairs": [names[1]], "flow.count": [names[2]],
        "flow.contiguous": [names[3], names[4]], "flow.on_disk": [names[5], names[6]],
    }  # fmt: skip
    assert {name: check.severity for name, check in found.items()} == {
        "flow.made": "warn", "flow.pairs": "error", "flow.count": "warn", "flow.contiguous": "error",
        "flow.on_disk": "error",
    }  # fmt: skip
    assert "does not decode" in found["flow.on_disk"].worst[1]["disk"]


def test_a_clip_of_one_frame_needs_no_flow(flowing: World) -> None:
    assert flowing.frames is not None
    row = flowing.frames[0]
    for path in folder(flowing, row).iterdir():
        if path.name != "img_00001.jpg":
            path.unlink()
    row |= {"frames": 1, "flow_x": 0, "flow_y": 0, "flow_still": 0.0, "source_duration": 1.0}
    assert broken(flowing.gate("frames", FLOW)) == {}


def test_still_clips_warn_where_there_are_many(flowing: World) -> None:
    assert flowing.frames is not None
    flowing.frames[0]["flow_still"] = 1.0
    assert broken(flowing.gate("frames", GateParams(flow=True, flow_still_warn=0))) == {}, "a single one never does"
    for row in flowing.frames[:3]:
        row["flow_still"] = 1.0
    found = broken(flowing.gate("frames", FLOW))
    assert {name: (check.severity, len(ids(check))) for name, check in found.items()} == {"flow.still": ("warn", 3)}


def with_list(world: World) -> None:
    world.missing["rawframes_flow"] = [dict(row) for row in world.missing["rawframes"]]
    for split in ("train", "val", "test"):
        lines = world.lists[f"mini_{split}_list_rawframes.txt"].decode().splitlines()
        made = [" ".join([name, str(int(count) - 1), *labels]) for name, count, *labels in map(str.split, lines)]
        world.lists[f"mini_{split}_list_rawframes_flow.txt"] = "".join(f"{line}\n" for line in made).encode()


def test_the_lists_of_flow_are_checked_as_the_others_are(flowing: World) -> None:
    with_list(flowing)
    assert broken(flowing.gate("lists")) == {}


def test_a_line_of_flow_that_is_not_there(flowing: World) -> None:
    with_list(flowing)
    flowing.edit_line(PAIRS, lambda lines: [lines[0].replace(" 9 ", " 10 "), *lines[1:]])
    flowing.edit_line(PAIRS, lambda lines: lines[:-1])
    found = broken(flowing.gate("lists"))
    assert set(found) == {"lists.total_frames [val rawframes_flow]", "lists.balance [val rawframes_flow]"}
    assert "flow_x_00010.jpg" in found["lists.total_frames [val rawframes_flow]"].worst[0]["gap"]


def test_flow_that_a_step_of_its_own_made(ava: BoxWorld) -> None:
    """AVA's: of the frames of the excerpts."""
    run = MadeRun(ava.run_dir)
    rows = []
    for made in ava.made:
        count, size = made["images"] - 1, (made["image_width"], made["image_height"])
        facts = {"frames": made["images"], "width": size[0], "height": size[1], "flow_x": count, "flow_y": count}
        rows.append({name: made[name] for name in ("item_id", "video_id", "clip_id", "split", *FINE, "key")})
        rows[-1] |= facts | {"path": made["image_path"], "flow_still": 0.0, "start_index": 1}
        for number in range(1, count + 1):
            for direction in "xy":
                (ava.root / made["image_path"] / f"flow_{direction}_{number:05d}.jpg").write_bytes(jpeg(*size))
    run.step("flow", rows)
    assert broken(ava.gate("frames", flow=True)) == {}
    lost = rows.pop()["item_id"]
    rows[0]["flow_y"] -= 1
    run.step("flow", rows)
    found = broken(ava.gate("frames", flow=True))
    assert {name: ids(check) for name, check in found.items()} == {
        "flow.one_row": [lost], "flow.pairs": [rows[0]["item_id"]],
    }  # fmt: skip
