"""The real DAG of AVA in small: a dead link, films that end early, people that are detected."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from box_world import unpickled
from clipquarry.demo.origin import Origin
from clipquarry.families.boxes.sample.data_set import ENDS_EARLY, GONE, HOSTILE, TOO_SHORT, TWO, WALKS, make_ava
from clipquarry.families.boxes.sample.demo import SAMPLE

DATASET = SAMPLE.dataset
pytestmark = pytest.mark.timeout(1500)


def test_ava_in_small(airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_ava(tmp_path / "origin")
    with Origin(made.folder, made.plan) as origin:
        monkeypatch.setenv("CLIPQUARRY_DEMO_URL", origin.url)
        monkeypatch.setenv("CLIPQUARRY_ONLY", DATASET)
        code, summary, run, log = airflow.run(DATASET, DATASET, **SAMPLE.params)
    assert code == 0, log[-4000:]
    assert (summary["expected"], summary["present"], summary["missing"], summary["failed"]) == (5, 4, 1, 0)
    assert summary["reasons"] == {"not_found": 1}
    assert summary["gates"] == {"annotations": "warn", "clips": "warn", "frames": "pass", "proposals": "pass"}

    root = airflow.data.dataset(DATASET)
    images = {folder.name: len(list(folder.iterdir())) for folder in (root / "rawframes").iterdir()}
    assert images == {WALKS.video_id: 900, ENDS_EARLY.video_id: 450, TWO.video_id: 900}
    assert not list(root.rglob("*passwd*"))

    release = airflow.data.release(DATASET) / run
    with open(release / "left_out_of_ava_train_v2.2.csv") as handle:
        assert {row["video_id"] for row in csv.DictReader(handle)} == {TOO_SHORT.video_id, GONE.video_id, HOSTILE}
    proposals = unpickled(root / "annotations/ava_dense_proposals_val.hog.pkl")
    assert len(proposals) > 0.9 * len(TWO.key_seconds)
    boxes = json.loads(Path(summary["report"]).with_name("report.json").read_text())["boxes"]
    found = {row["name"]: row["found"][0] / row["persons"] for row in boxes["recall"]}
    assert found["train"] > 0.7 and found["val"] > 0.7
    assert {frame["name"] for frame in boxes["key_frames"]} == set(images)
