"""The rest of the page for AVA and AVA-Kinetics: videos or clips, no class folders, other stages and gates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boxes_fixture as made
from boxes_fixture import (
    A,
    B,
    ava,
    kinetics,
    text_of,
    written,
)
from clipquarry.files import write_json
from families.made_run import CATALOG
from report_fixture import World, check, gate_json
from report_pages import report


def recorded(world: World, **more: Any) -> None:
    gone = {"status": "missing", "reason": "not_found", "evidence": "HTTP 404"}
    rows = [
        {"key": "0", "bytes": 9_000_000, "duration": 5400.0, "path": f"made/{video}.mp4"} | made.result("train", video, f"{video}.mkv", 900, 1801, **more)
        for video in (A, B)
    ]  # fmt: skip
    lost = made.result("train", "C" * 11, f"{'C' * 11}.mkv", 900, 1801, **more, **gone)
    world.made.recorded([*rows, lost])
    keep = set(CATALOG.names)
    catalog = [
        {name: value for name, value in row.items() if name in keep} | {"status": "done"} for row in [*rows, lost]
    ]
    world.made.catalog(catalog)


def test_items_are_videos_and_need_no_class(tmp_path: Path) -> None:
    world = ava(tmp_path)
    recorded(world)
    text = text_of(written(world))
    value = report(world)
    assert value["verdict"]["headline"] == "Usable, but not complete: 2 of 3 videos are here (66.6 %)."
    assert "Why videos are not here" in text and "The videos" in text and "90 min" in text
    assert "(no label)" not in text and "of different classes" not in text and "One bar a class" not in text
    assert not re.search(r"\b[Cc]lips?\b", text.partition("This run")[0].replace("Clipquarry", ""))
    assert [row["name"] for row in value["items"]["classes"]] == [""]


def test_labels_stand_for_classes_without_folders(tmp_path: Path) -> None:
    world = kinetics(tmp_path)
    recorded(world, label="tai chi")
    text = text_of(written(world))
    assert [row["name"] for row in report(world)["items"]["classes"]] == ["tai chi"]
    assert "2 of 3 clips are here" in text


def stages(world: World) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in report(world)["stages"]}


def test_stages_gates_and_files_of_these_data_sets(tmp_path: Path) -> None:
    world = ava(tmp_path / "ava")
    write_json(world.folder / "excerpt" / "part-00000.result.json", {"exit": 0, "counts": {"done": 2}})
    for name in ("proposals", "annotations", "zzz", "merged", "boxes", "frames"):
        write_json(world.folder / "gates" / f"{name}.json", gate_json(name, "pass", check(f"{name}.x", "holds")))
    files = [{"part": "ava_train_v2.2.csv", "sha256": "ab"}, {"part": "lists", "sha256": "cd"}, {"part": "odd"}]
    splits = {"train": {"rows": 6, "sha256": "ab"}, "test": {"sha256": ""}}
    write_json(world.folder / "catalog.json", {"splits": splits, "obtained": files})
    written(world)
    assert stages(world) == {
        "annotations": "not run", "download": "not run", "excerpt": "ran", "flow": "not run", "detect": "not run", "record": "not run",
        "proposals": "ran",
    }  # fmt: skip
    names = [gate["name"] for gate in report(world)["gates"]]
    assert names == ["annotations", "frames", "proposals", "boxes", "merged", "zzz"], "others come last"
    assert report(world)["annotations"] == [["train", "sha256 ab"], ["lists", "sha256 cd"]]
    other = kinetics(tmp_path / "kinetics")
    written(other)
    assert list(stages(other)) == ["annotations", "fetch", "frames", "detect", "record", "boxes", "proposals", "merge"]
    assert stages(other)["merge"] == "ran"


def test_report_json_is_plain_json(tmp_path: Path) -> None:
    world = kinetics(tmp_path)
    written(world)
    text = (world.folder / "report" / "report.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["boxes"]["key_frames"][0]["persons"][0]["actions"]
