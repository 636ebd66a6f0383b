"""Files of annotations and labels against one another and against what was first seen; windows across splits."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest
from ava_world import BoxWorld
from clipquarry.families.boxes.gates.annotations import action_names
from clipquarry.files import write_json
from clipquarry.microseconds import of
from clipquarry.quality.params import GateParams
from clipquarry.quality.window_overlap import suite
from quality_world import World, broken, ids, make_spec


def files(world: World, first: str = "") -> None:
    """``catalog.json`` of a run that read the csv of val."""
    path = world.root / "mini/annotations/val.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"the csv")
    digest = hashlib.sha256(b"the csv").hexdigest()
    one = {"path": "mini/annotations/val.csv", "sha256": digest, "first": first or digest, "run": "run0"}
    names = sorted({row["class_dir"] for row in world.catalog if row["label"] is not None})
    write_json(world.run_dir / "catalog.json", {"files": [one], "label_names": names})


def test_a_csv_that_changed_since_it_was_read_or_first_seen(world: World) -> None:
    files(world)
    assert broken(world.gate("annotations")) == {}
    files(world, first="0" * 64)
    found = broken(world.gate("annotations"))
    assert {name: (ids(check), check.severity) for name, check in found.items()} == {
        "annotations.changed [since the first run]": (["mini/annotations/val.csv"], "warn")
    }
    assert "first seen was 0000" in found["annotations.changed [since the first run]"].worst[0]["problem"]
    (world.root / "mini/annotations/val.csv").write_bytes(b"other")
    own = broken(world.gate("annotations", GateParams(annotation_counts="warn")))
    assert {name: check.severity for name, check in own.items()} == {
        "annotations.changed [since it was read]": "error", "annotations.changed [since the first run]": "info"
    }  # fmt: skip


def test_a_label_map_in_another_order_is_told(world: World) -> None:
    files(world)
    names = sorted({row["class_dir"] for row in world.catalog if row["label"] is not None})
    turned = names[::-1]
    write_json(world.run_dir / "catalog.json", {"label_names": turned})
    for row in world.catalog:
        if row["label"] is not None:
            row["label_index"] = turned.index(row["class_dir"])
    result = world.gate("annotations", GateParams(label_map=True))
    assert {name: check.severity for name, check in broken(result).items()} == {"annotations.label_map [order]": "warn"}
    assert result.verdict == "warn"
    given = {"source": "file", "path": "annotations/classes.txt", "count": 3, "order": "given"}
    world.spec = make_spec(labels=given)
    (world.root / "mini/annotations/classes.txt").write_text("".join(f"{name.replace('_', ' ')}\n" for name in turned))
    assert broken(world.gate("annotations", GateParams(label_map=True))) == {}
    for row in world.catalog[:4]:
        row["label_index"] = 1
    assert "annotations.label_map [catalog]" in broken(world.gate("annotations", GateParams(label_map=True)))


@pytest.mark.parametrize(
    ("evaluated", "wrong"),
    [
        ({"1": "bend", "80": "watch "}, []),
        ({"1": "crawl", "80": "watch"}, ["action/1"]),  # one line off
        ({"1": "bend (at the waist)", "80": "watch"}, []),  # another spelling is no other action
    ],
)
def test_evaluated_actions_have_the_number_of_the_list(evaluated: dict[str, str], wrong: list[str]) -> None:
    names = {"1": "bend", "2": "crawl", "3": "dance", "80": "watch"}
    table = action_names({"names": names, "evaluated": [], "evaluated_names": evaluated}).table
    assert table.loc[table["number"] != table["listed_as"], "item_id"].tolist() == wrong


def test_action_names_are_checked_in_the_gate(ava: BoxWorld) -> None:
    ava.actions["evaluated_names"] = {"1": "bend", "3": "crawl", "80": "watch"}
    assert ids(broken(ava.gate("annotations"))["ava.action_names"]) == ["action/3"]


def windows(*rows: tuple[str, str, int, int]) -> dict[str, int]:
    """Overlaps by ``split start``, of rows ``split, video, start, end``."""
    table = pd.DataFrame(rows, columns=["split", "video_id", "start", "end"])
    table["item_id"] = table["split"] + "/" + table["video_id"] + table["start"].astype(str)
    table["row"] = range(len(table))
    found = suite(table).table
    return dict(zip(found["split"] + " " + found["start"].astype(str), found["overlap"].tolist(), strict=True))


def test_windows_of_one_video_in_two_splits() -> None:
    assert windows(("train", "a", 0, 10), ("val", "a", 1, 11)) == {"val 1": 9}
    assert windows(("train", "a", 0, 10), ("val", "a", 10, 20), ("val", "a", 30, 40)) == {"val 10": 0, "val 30": 0}
    assert windows(("train", "a", 0, 10), ("val", "b", 1, 11)) == {}
    assert windows(("val", "a", 5, 15), ("test", "a", 14, 24), ("train", "b", 5, 15)) == {"test 14": 1}
    # A long window behind a short one, before it, and around it; the identical one is told elsewhere.
    assert windows(("train", "a", 0, 100), ("train", "a", 20, 21), ("val", "a", 50, 60), ("val", "a", 99, 120)) == {
        "val 50": 10, "val 99": 1
    }  # fmt: skip
    assert windows(("train", "a", 0, 10), ("val", "a", 0, 10)) == {"val 0": 0}
    assert windows(("train", "a", 0, 10), ("train", "b", 500, 900), ("val", "b", 0, 10), ("val", "a", 9, 12)) == {
        "val 0": 0, "val 9": 1
    }  # fmt: skip


def test_overlap_warns_in_the_gate(world: World) -> None:
    one, other = world.catalog[0], world.catalog[12]
    other |= {"video_id": one["video_id"], "start": one["start"] + of(1), "end": one["end"] + of(1)}
    found = broken(world.gate("annotations"))
    check = found["annotations.window_overlap"]
    assert (ids(check), check.severity, check.worst[0]["overlap"]) == ([other["item_id"]], "warn", 9)
    assert check.worst[0]["with"] == one["item_id"]
