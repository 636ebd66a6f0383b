"""The stored suites of every gate, run by Great Expectations alone in a process that knows nothing of Clipquarry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ava_world import BoxWorld, make_ava, make_ava_kinetics
from clipquarry.pipeline.family import gates_of
from clipquarry.pipeline.gates import catalogue
from clipquarry.quality.engine import Engine, Rule, Suite
from clipquarry.quality.results import GateResult
from clipquarry.quality.stored_suites import stored_suites
from clipquarry.reasons import Reason
from clipquarry.run_folder import RunFolder, table_of_suite
from plain_gx import plain_verdicts
from quality_world import World, make_world

Made = World | BoxWorld
_LEVEL = {"error": "critical", "warn": "warning", "info": "info"}


def _as_told(result: GateResult) -> dict[tuple[str, str, str], bool]:
    """Whether each check of a gate held, by gate, id and scope; several uses of one scope all had to."""
    held: dict[tuple[str, str, str], bool] = {}
    for check in result.checks:
        if not check.skipped:
            key = (result.gate, check.id, check.scope)
            held[key] = held.get(key, True) and check.success
    return held


def _as_run(verdicts: list[dict[str, Any]]) -> dict[tuple[str, str, str], bool]:
    held: dict[tuple[str, str, str], bool] = {}
    for one in verdicts:
        key = (one["gate"], one["check"], one["scope"])
        held[key] = held.get(key, True) and one["success"]
    return held


def _compare(world: Made) -> dict[tuple[str, str, str], bool]:
    """Run all gates, and compare each verdict with that of plain Great Expectations; the verdicts."""
    results = [world.gate(gate) for gate in gates_of(world.spec)]
    place = RunFolder(world.run_dir)
    told = {key: held for result in results for key, held in _as_told(result).items()}
    run = plain_verdicts(*(place.gx(result.gate) for result in results))
    assert _as_run(run) == told
    counts = {(result.gate, c.id, c.scope): c.unexpected for result in results for c in result.checks if not c.success}
    for one in run:
        assert one["severity"].lower().endswith(_LEVEL[one["level"]])
        if one["unexpected"] is not None and not one["success"]:
            assert one["unexpected"] == counts[one["gate"], one["check"], one["scope"]]
    return told


def _broken_clips(world: World) -> None:
    world.lose(0, Reason.REMOVED)
    world.lose(12, Reason.TOOL_FAILED)
    world.recorded[3]["frames"] = 0
    world.catalog[5]["clip_id"] = "another"
    world.edit_line("mini_val_list_videos.txt", lambda lines: lines[1:])
    assert world.frames is not None
    world.frames[7]["frames"] = 4


def _broken_boxes(world: BoxWorld) -> None:
    world.row("train")["x2"] = 7.0
    world.recorded[0]["sha256"] = "x"
    world.made[1]["width" if "fps" in world.made[1] else "image_width"] = 16
    world.proposals["train"].pop()


@pytest.mark.parametrize(
    ("make", "spoil", "found"),
    [
        (make_world, _broken_clips, {"annotations.names", "clips.facts", "lists.balance", "frames.count"}),
        (make_ava, _broken_boxes, {"clips.sha256"}),
        (make_ava_kinetics, _broken_boxes, {"clips.sha256"}),
    ],
    ids=["clips", "films", "windows"],
)
def test_plain_great_expectations_gives_the_verdicts_of_every_gate(
    tmp_path: Path, make: Callable[[Path], Made], spoil: Callable[[Any], None], found: set[str]
) -> None:
    world = make(tmp_path)
    clean = _compare(world)
    assert len(clean) > 30
    spoil(world)
    spoiled = _compare(world)
    changed = {key[1] for key, held in spoiled.items() if not held and clean.get(key, True)}
    assert found <= changed


@pytest.mark.parametrize("make", [make_world, make_ava, make_ava_kinetics], ids=["clips", "films", "windows"])
def test_a_stored_table_has_the_columns_of_its_suite_alone_and_each_suite_a_name_of_its_own(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    world = make(tmp_path)
    for gate in gates_of(world.spec):
        world.gate(gate)
        suites = RunFolder(world.run_dir).gx_suites(gate)
        assert suites
        assert [path.name for path in suites if "-2" in path.name] == [], "two suites of one name"
        for path in suites:
            text = path.read_text()
            columns = list(pd.read_parquet(table_of_suite(path)).columns)
            assert [name for name in columns if f'"{name}"' not in text] in ([], ["item_id"])


def test_a_gate_that_runs_again_replaces_its_suites(world: World) -> None:
    world.gate("lists")
    folder = RunFolder(world.run_dir).gx("lists")
    (folder / "of_before.json").write_text("{}")
    left = folder.with_name(".clipquarry-tmp-0~nowhere~1-lists")
    left.mkdir()
    world.gate("lists")
    assert not (folder / "of_before.json").exists() and (folder / "files.parquet").exists()
    assert [path.name for path in folder.parent.iterdir() if path != left] == ["lists"]


def test_a_gate_that_fails_leaves_the_suites_of_before(tmp_path: Path) -> None:
    folder = tmp_path / "gx/clips"
    with stored_suites(folder) as keep:
        keep({"name": "a/b", "expectations": []}, pd.DataFrame({"n": [1]}))
    with pytest.raises(ZeroDivisionError), stored_suites(folder):
        raise ZeroDivisionError
    assert sorted(path.name for path in folder.iterdir()) == ["a_b.json", "a_b.parquet"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_hole_counts_as_broken_in_both(tmp_path: Path) -> None:
    """The library leaves rows without a value out; a gate does not."""
    table = pd.DataFrame({"item_id": ["a", "b"], "n": [1.0, None]})
    folder = tmp_path / "gx/clips"
    with stored_suites(folder) as keep:
        rule = Rule("clips.longer", "ExpectColumnValuesToBeBetween", {"column": "n", "min_value": 0})
        (finding,) = Engine(catalogue(), keep).run(Suite("holes", table, [rule]))
    assert not finding.result.success
    assert [one["success"] for one in plain_verdicts(folder)] == [True, False]
