"""The real DAGs of the demo data set: dead links, a blocked gate, a link that comes back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import read_frame_numbers
from clipquarry.families.clips.sample import COMES_BACK, GOOD
from clipquarry.release.lock import open_lock
from clipquarry.settings import slug

pytestmark = pytest.mark.timeout(1500)

REASONS = {
    "demo_dead01": "not_found",
    "demo_dead02": "gone",
    "-demo_dead3": "forbidden_media",
    "demo_html_4": "not_a_video",
    "demo_trunc5": "truncated",
    "demo_slow_6": "transport",
}


def events(airflow, run: str) -> dict[str, dict[str, Any]]:
    """What Airflow's own tables say of the asset events of a run: asset to ``extra``."""
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        rows = database.execute(
            "select asset.name, event.extra, event.source_run_id from asset_event event join asset on asset.id = event.asset_id"
        ).fetchall()
    return {name: json.loads(extra) for name, extra, run_id in rows if slug(run_id) == run}


def test_full_run_then_refresh(airflow, demo_origin: Origin) -> None:
    code, summary, run, log = airflow.run("kinetics_demo", "kinetics_demo", resize=True, shards=2, short_edge=128)
    assert code == 0, log[-3000:]
    assert (summary["expected"], summary["present"], summary["missing"], summary["failed"]) == (28, 15, 13, 0)
    assert summary["gates"] == {"annotations": "warn", "clips": "warn", "frames": "pass", "lists": "pass"}

    missing = (airflow.data.run("kinetics_demo", run) / "missing_videos.csv").read_text()
    for video, reason in REASONS.items():
        lines = [line for line in missing.splitlines() if video in line]
        assert len(lines) == 2, video
        assert all(reason in line for line in lines), lines
    assert "#row-" in missing, "the hostile row is named"
    assert "passwd" not in "".join(str(path) for path in airflow.data.root.rglob("*"))

    told = events(airflow, run)
    assert set(told) == {f"kinetics_demo/{what}" for what in ("videos", "frames", "lists", "release")}
    for extra in told.values():
        assert (extra["run"], extra["release"], extra["present"], extra["expected"]) == (run, run, 15, 28)
        assert extra["by_split"]["val"]["present"] + extra["by_split"]["train"]["present"] == 15
    (first_lock,) = {extra["lock"] for extra in told.values()}
    assert len(first_lock) == 64

    root = airflow.data.dataset("kinetics_demo")
    listed = {}
    for split in ("train", "val"):
        for line in (root / f"kinetics_demo_{split}_list_videos.txt").read_text().splitlines():
            path, index = line.split(" ")
            listed[f"videos_{split}/{path}"] = int(index)
    on_disk = {
        str(path.relative_to(root)) for split in ("train", "val") for path in (root / f"videos_{split}").rglob("*.mp4")
    }
    assert set(listed) == on_disk
    assert len(on_disk) == 15
    assert all(not path.name.startswith(".") for path in root.rglob("*"))

    clip = next(root.rglob(f"videos_*/*/{GOOD[0]}_000002_000012.mp4"))
    numbers = read_frame_numbers(clip)
    assert (numbers[0], len(numbers)) == (2 * 25, 10 * 25), "the first frame is that of second 2, and there are 10 s"

    report = Path(summary["report"]).read_text()
    assert "kinetics_demo" in report
    assert "<script" not in report.lower()

    demo_origin.set_plan(
        {k: v for k, v in json.loads(json.dumps(demo_origin.script.plan)).items() if COMES_BACK not in k}
    )
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    code, again, second, log = airflow.run("kinetics_demo_refresh", "kinetics_demo", as_of=later)
    assert code == 0, log[-3000:]
    assert (again["expected"], again["present"]) == (28, 17)
    asked = json.loads((airflow.data.run("kinetics_demo", second) / "plan.json").read_text())["counts"]["asked"]
    assert asked < 28, "a refresh asks about the dead only"
    with open_lock(airflow.data.release("kinetics_demo") / second / "kinetics_demo.lock") as lock:
        assert sum(COMES_BACK in row.path for row in lock) == 2
    told = events(airflow, second)
    assert {(extra["release"], extra["present"]) for extra in told.values()} == {(second, 17)}
    assert set(told) == {f"kinetics_demo/{what}" for what in ("videos", "frames", "lists", "release")}
    assert first_lock not in {extra["lock"] for extra in told.values()}

    code, _, third, log = airflow.run("kinetics_demo_refresh", "kinetics_demo", as_of=later)
    assert code == 0, log[-3000:]
    assert events(airflow, third) == {}, "nothing changed"
    assert events(airflow, second) == told


def test_no_clip_can_be_had_is_red_with_a_report(airflow, demo_origin: Origin) -> None:
    demo_origin.set_plan({"videos/*": "404", "clips/*": "404"})
    code, summary, _, log = airflow.run("kinetics_demo", "kinetics_demo")
    assert code == 1
    assert summary["blocked"]
    assert summary["gates"]["clips"] == "block"
    assert summary["reasons"] == {"not_found": 28}
    assert Path(summary["report"]).exists()
    assert "the gate 'clips' blocks" in log
    assert not (airflow.data.release("kinetics_demo")).exists()


def test_dry_run_fetches_nothing(airflow, demo_origin: Origin) -> None:
    code, summary, run, log = airflow.run("kinetics_demo", "kinetics_demo", dry_run=True, limit=2)
    assert code == 0, log[-3000:]
    assert "4 of 4 selected clips would be asked for" in summary["sentence"]
    assert not any(path.startswith(("videos/", "clips/")) for path in demo_origin.asked)
    assert not (airflow.data.run("kinetics_demo", run) / "fetch").exists()


def test_wrong_parameter_is_one_sentence(airflow, demo_origin: Origin) -> None:
    done = airflow.call("dags", "test", "kinetics_demo", "--conf", '{"classes": ["no such class"]}')
    assert done.returncode == 1
    assert "has no class 'no_such_class'" in done.stdout
