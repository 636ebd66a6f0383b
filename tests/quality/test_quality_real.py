"""Published csv files break no check: what the gate blocks on must not be in the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ava_world import ACTIONS, AVA_KINETICS_YAML, BoxWorld, make_spec
from clipquarry.annotations.ava_kinetics_flat import LENGTH, flat_clips
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.datasets.load import find_spec
from clipquarry.microseconds import of
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.settings import DataRoot

REAL = Path(__file__).parents[2].parent / "shared" / "real" / "annotations"


@pytest.mark.shared
@pytest.mark.parametrize(("name", "splits"), [("kinetics400", ("val", "test")), ("kinetics700", ("val",))])
def test_published_annotations_are_clean(tmp_path: Path, name: str, splits: tuple[str, ...]) -> None:
    csvs = {split: REAL / f"{name}_{split}.csv" for split in splits}
    if not all(path.exists() for path in csvs.values()):
        pytest.skip(f"The published csv files of {name} are not on this machine.")
    spec, data = find_spec(name), DataRoot(tmp_path)
    run = data.run(name, "run")
    summary = build_catalog(csvs, run / "catalog.parquet", expected_labels=spec.labels.count)
    result = run_gate("annotations", spec, run, data, GateParams())
    assert (result.verdict, [check.name for check in result.checks if not check.success]) == ("pass", [])
    assert result.tables == {"catalog": summary.rows} and summary.rows > 30_000


@pytest.mark.shared
def test_published_key_frames_of_ava_kinetics_are_clean(tmp_path: Path) -> None:
    path = REAL / "ava_kinetics_kinetics_test_v1.0.csv"
    if not path.exists():
        pytest.skip("The published csv of AVA-Kinetics is not on this machine.")
    read = read_boxes(path, "ava_kinetics")
    published = {"rows": {"test": {"count": 64304, "provenance": "counted"}}}
    spec = make_spec(AVA_KINETICS_YAML, options={"items": "key_frames"}, expected=published)
    catalog = [
        {"item_id": f"test/{clip.name}", "video_id": clip.video_id, "clip_id": clip.name, "split": "test", "start": of(clip.start),
         "end": of(clip.start + LENGTH), "status": "done", "reason": "ok", "evidence": ""}
        for clip in flat_clips([read.key_frames])
    ]  # fmt: skip
    world = BoxWorld(tmp_path, spec, catalog, actions=ACTIONS)
    world.boxes["test"], world.key_frames["test"] = read.boxes.to_pylist(), read.key_frames.to_pylist()
    result = world.gate("annotations")
    told = {check.name: check for check in result.checks if not check.success}
    assert (result.verdict, list(told)) == ("pass", ["ava.whole_second [test]"])
    whole = told["ava.whole_second [test]"]
    assert (whole.checked, whole.checked - whole.unexpected) == (64304, 37770)
    assert whole.worst[0]["fraction"] == 0.418667
