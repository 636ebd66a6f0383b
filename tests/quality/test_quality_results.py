"""The stored result, the trend, the engine and the documentation of the checks."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from ava_world import make_ava, make_ava_kinetics
from clipquarry.datasets.load import load_all
from clipquarry.errors import UserError
from clipquarry.families.boxes.checks import INVARIANTS
from clipquarry.microseconds import of
from clipquarry.pipeline.family import gates_of
from clipquarry.pipeline.gates import catalogue, run_gate
from clipquarry.quality.engine import Engine, Rule, Suite, plain
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import history, load_result
from clipquarry.reasons import Reason
from quality_world import World, broken, make_spec, make_world

ROOT = Path(__file__).parents[2]


def test_the_stored_result(world: World) -> None:
    lost = [world.lose(index, Reason.REMOVED, evidence="gone") for index in range(9)]
    result = world.gate("clips")
    value = json.loads(result.path.read_text())
    assert result.path == world.run_dir / "gates" / "clips.json"
    assert (value["schema"], value["gate"], value["dataset"], value["run"]) == (
        "gate-result/v1",
        "clips",
        "mini",
        "run1",
    )
    assert (value["verdict"], value["blocked"], value["sentence"]) == ("block", True, result.sentence)
    assert re.fullmatch(r"1\.\d+\.\d+", value["versions"]["great_expectations"])
    assert datetime.fromisoformat(value["started"]) <= datetime.fromisoformat(value["ended"])
    train = next(c for c in value["checks"] if (c["id"], c["scope"]) == ("clips.coverage", "train"))
    assert train["expectation"]["type"] == "expect_column_values_to_be_in_set"
    assert train["expectation"]["kwargs"] == {"column": "there", "value_set": [True], "mostly": 0.5}
    assert (train["checked"], train["unexpected"], train["share"]) == (12, 9, 0.75)
    assert (train["severity"], train["success"], train["thresholds"]) == ("error", False, {"warn": 0.25, "error": 0.5})
    assert train["worst"][0] == {"item_id": lost[0], "status": "missing", "reason": "removed", "evidence": "gone"}
    assert load_result(result.path) == result

    with open(result.path.with_name(value["rows_file"]), newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert next(iter(rows[0])) == "item_id" and len(rows) == value["rows"] == 9
    assert [row["item_id"] for row in rows] == lost and json.loads(rows[0]["values"])["reason"] == "removed"


def test_more_broken_rows_than_are_shown_are_all_in_the_file(world: World) -> None:
    world.spec = make_spec(root="other")
    result = world.gate("clips")
    check = broken(result)["clips.path"]
    assert (check.unexpected, len(check.worst), result.rows) == (20, 20, 20)
    for row in world.recorded:
        row["sha256"] = "x"
    assert world.gate("clips").rows == 80  # path, sha256, the same bytes, and other ones on disk


def test_a_pass_counts_what_held_and_names_what_is_only_told(world: World) -> None:
    clean = world.gate("annotations")
    skipped = sum(1 for check in clean.checks if check.skipped)
    held = len(clean.checks) - skipped
    assert clean.sentence == f"The gate 'annotations' passed: {held} checks held, {skipped} were skipped."
    world.catalog[12]["video_id"] = world.catalog[0]["video_id"]  # another window of a training video
    world.catalog[12] |= {"start": of(500), "end": of(510), "clip_id": f"{world.catalog[0]['video_id']}_000500_000510"}
    world.catalog[12]["item_id"] = f"val/{world.catalog[12]['class_dir']}/{world.catalog[12]['clip_id']}"
    told = world.gate("annotations")
    assert told.verdict == "pass" and list(broken(told)) == ["annotations.video_shared"]
    assert f"{held - 1} checks held, 1 did not and is only told (annotations.video_shared)," in told.sentence


def test_running_a_gate_again_replaces_its_result(world: World) -> None:
    world.recorded[0]["frames"] = 0
    assert world.gate("clips").blocked
    world.recorded[0]["frames"] = 10
    result = world.gate("clips")
    assert not load_result(result.path).blocked
    assert sorted(path.name for path in result.path.parent.iterdir()) == ["clips.json", "clips.rows.csv"]


def test_the_trend_over_runs(world: World) -> None:
    for number, gone in enumerate(([], [12], [13, 14, 15]), start=1):
        for index in gone:
            world.lose(index, Reason.REMOVED)
        world.run = f"run{number}"
        path = world.gate("clips").path
        value = json.loads(path.read_text())
        path.write_text(
            json.dumps(value | {"started": f"2026-11-{30 - number}T00:00:00+00:00"})
        )  # newest first by name
    broken_run = world.data.runs("mini") / "run0" / "gates" / "clips.json"
    broken_run.parent.mkdir(parents=True)
    broken_run.write_text("{")
    points = history(world.data.runs("mini"), "clips")
    assert [(point.run, point.verdict) for point in points] == [
        ("run3", "block"), ("run2", "pass"), ("run1", "pass"), ("run0", "unreadable")
    ]  # fmt: skip
    assert [round(point.shares["clips.coverage [val]"], 3) for point in points[:3]] == [0.667, 0.167, 0.0]
    assert history(world.data.runs("mini"), "lists") == [] and history(world.root / "nowhere", "clips") == []


@pytest.mark.parametrize("text", ["{}", "[]", '{"schema": "gate-result/v9"}', '{"schema": "gate-result/v1"}', "\xff"])
def test_a_result_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clips.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"clips\.json"):
        load_result(path)


def test_a_rule_that_cannot_be_checked_counts_as_broken() -> None:
    table = pd.DataFrame({"item_id": ["a", "b"], "text": ["x", "y"], "hole": [1.0, None]})
    rules = [
        Rule("clips.facts", "ExpectColumnValuesToBeBetween", {"column": "absent", "min_value": 1}),
        Rule("clips.our_fault", "ExpectColumnValuesToBeBetween", {"column": "text", "min_value": 1}),
        Rule("clips.longer", "ExpectColumnValuesToBeBetween", {"column": "hole", "min_value": 0}),
    ]
    for rule in rules:
        with_column = table if rule.kwargs["column"] in table else table.assign(absent=["not", "numbers"])
        (finding,) = Engine(catalogue()).run(Suite("odd", with_column, [rule]))
        assert (finding.result.success, finding.result.severity) == (False, "error")


def test_an_unknown_gate_is_one_sentence(world: World) -> None:
    world.write()
    with pytest.raises(UserError, match="annotations, clips, frames, lists"):
        run_gate("clip", world.spec, world.run_dir, world.data, GateParams())


def test_every_cell_becomes_json() -> None:
    cells = [
        None,
        pd.NA,
        float("nan"),
        float("inf"),
        pd.Series([3])[0],
        pd.Series([True])[0],
        "a\ud800b",
        "x" * 400,
        [1, None],
    ]
    json.dumps([plain(cell) for cell in cells], allow_nan=False, ensure_ascii=False).encode()
    assert plain("x" * 400) == "x" * 300 + "…" and plain(pd.Series([3])[0]) == 3


def test_great_expectations_is_imported_late_leaves_no_files_and_asks_nobody(world: World, tmp_path: Path) -> None:
    world.write()
    home = tmp_path / "home"
    home.mkdir()
    script = """
import socket, sys
import clipquarry.quality
assert "great_expectations" not in sys.modules
socket.socket.connect = lambda *args: sys.exit("asked the net")
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/.."]
from pathlib import Path
from quality_world import World
world = World(Path(sys.argv[2]))
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
print(run_gate("clips", world.spec, world.run_dir, world.data, GateParams()).verdict)
heavy = {"scipy.stats._stats_py", "altair.vegalite", "sqlalchemy"}
assert not heavy & set(sys.modules), "two thirds of the import, for nothing"
import gc
assert gc.isenabled()
import great_expectations.expectations as gxe
assert len([name for name in dir(gxe) if name.startswith("Expect")]) > 50
from great_expectations.datasource import fluent
assert not hasattr(fluent.SQLDatasource, "add_table_asset") and not hasattr(fluent.SparkDatasource, "add_dataframe_asset")
from scipy import stats
import sqlalchemy.orm
assert stats.norm.cdf(0) == 0.5  # who needs it has it all the same
"""
    environ = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(world.root)]
    done = subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "pass\n"), done.stderr
    assert "Calculating Metrics" not in done.stderr and list(home.iterdir()) == []


def test_a_suite_that_leaves_out_all_its_checks_imports_nothing() -> None:
    engine = Engine(catalogue())
    (finding,) = engine.run(Suite("height", pd.DataFrame(), skipped=[("clips.height", "no height was asked")]))
    assert finding.result.skipped and "_whole" not in vars(engine)


ELSEWHERE = (
    "audio", "audio_features", "encode_video", "features", "folders", "frame_list", "intervals", "labels", "listed", "own", "packages", "parts",
    "proposal_list", "skeletons", "truth", "tubes",
)  # fmt: skip
OF_GROUPS = {"annotations.labelled", "annotations.label_again", "lists.group"}
"""Of labels in groups: families/clips/test_hvu.py, test_moments.py."""


def test_every_check_is_used(tmp_path: Path) -> None:
    worlds = [make(tmp_path / make.__name__) for make in (make_world, make_ava, make_ava_kinetics)]
    seen = {check.id for world in worlds for gate in gates_of(world.spec) for check in world.gate(gate).checks}
    # Those of sound, frames as items, intervals and packages are used elsewhere: test_quality_audio.py, families/clips, families of their own.
    elsewhere = OF_GROUPS | {name for name in catalogue() if name.partition(".")[0] in ELSEWHERE}
    assert seen - elsewhere == set(catalogue()) - elsewhere


def test_every_invariant_of_the_box_families_has_its_checks() -> None:
    wanted = {*(f"A-I{number}" for number in range(1, 7)), *(f"AK-I{number}" for number in range(1, 9))}
    stands = {name for check in catalogue().values() for name in check.invariant.split(", ")}
    assert set(INVARIANTS) == wanted == {name for name in stands if re.match("AK?-I", name)}
    page = (ROOT / "docs" / "checks.md").read_text()
    relations = page.partition("| relation | checks |")[2]
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", relations))
    assert named and named <= set(catalogue())


def test_every_gate_has_checks_and_every_check_a_gate() -> None:
    specs, _ = load_all()
    assert {gate for spec in specs.values() for gate in gates_of(spec)} == {
        check.gate for check in catalogue().values()
    }
