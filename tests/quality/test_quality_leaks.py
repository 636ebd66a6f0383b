"""Training videos that another release evaluates on: the check, and the list for those who evaluate there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from clipquarry.families.clips.leaks import HEADER, NAME, compared, write_exclusions
from clipquarry.settings import DataRoot
from quality_world import World, broken, ids, make_spec, make_world

CSV = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    made.spec = make_spec(options={"reader": "kinetics_csv", "kept_apart": ["kinetics600", "kinetics700"]})
    return made


def evaluate(world: World, dataset: str, split: str, *rows: str) -> None:
    path = world.data.dataset(dataset, "annotations", f"kinetics_{split}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CSV + "".join(f"x,{row},{split}\n" for row in rows))


def test_nothing_is_compared_with_what_is_not_there(world: World) -> None:
    found = [check for check in world.gate("annotations").checks if check.id == "annotations.leak"]
    assert [check.skipped for check in found] == [
        f"kinetics{one}/annotations/kinetics_{split}.csv is not here" for one in (600, 700) for split in ("val", "test")
    ]


def test_videos_and_windows_that_leak_are_told_apart(world: World) -> None:
    train = [row for row in world.catalog if row["split"] == "train"]
    same, other = train[0], train[1]
    start, end = same["start"] // 10**6, same["end"] // 10**6
    evaluate(world, "kinetics600", "test", f"{same['video_id']},{start}.0,{end}", f"{other['video_id']},5000,5010")
    evaluate(world, "kinetics600", "val", "nobodys_one,1,2")
    found = broken(world.gate("annotations"))
    check = found["annotations.leak [kinetics600 test]"]
    assert (check.severity, set(found)) == ("warn", {"annotations.leak [kinetics600 test]"})
    assert set(ids(check)) == {
        row["item_id"] for row in train if row["video_id"] in (same["video_id"], other["video_id"])
    }
    items = pd.DataFrame(
        [
            {**{name: row[name] for name in ("item_id", "video_id", "split")}, "start": row["start"] / 1e6, "end": row["end"] / 1e6}
            for row in world.catalog
        ]
    )  # fmt: skip
    out = world.run_dir / "release"
    out.mkdir()
    assert write_exclusions(world.spec, world.data, items, out) >= 2
    lines = (out / NAME).read_text().splitlines()
    assert lines[0] == ",".join(HEADER)
    assert f"{same['item_id']},kinetics600,test,window" in lines
    assert f"{other['item_id']},kinetics600,test,video" in lines


def test_without_any_other_release_there_is_no_list(world: World, tmp_path: Path) -> None:
    items = pd.DataFrame({"item_id": ["a"], "video_id": ["v"], "split": ["train"], "start": [0.0], "end": [1.0]})
    assert write_exclusions(world.spec, world.data, items, tmp_path) == 0
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("text", ["", "\x00\xff", "a,b\n1,2\n", "youtube_id,time_start,time_end\nx,soon,later\n"])
def test_a_damaged_csv_is_not_compared_and_says_so(world: World, text: str) -> None:
    evaluate(world, "kinetics600", "val")
    world.data.dataset("kinetics600", "annotations", "kinetics_val.csv").write_bytes(text.encode("latin-1"))
    items = pd.DataFrame({"item_id": ["a"], "video_id": ["v"], "split": ["train"], "start": [0.0], "end": [1.0]})
    told = {(name, split): why for name, split, why in compared(world.spec, DataRoot(world.data.root), items)}
    assert isinstance(told["kinetics600", "val"], str) and "cannot be read" in told["kinetics600", "val"]
