"""A refresh that was killed at any moment and started again ends like an undisturbed one; :mod:`tests.families.test_samples` does it to runs."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.pipeline.sample import Served
from kills import Killed


def _planned(run: Killed) -> bool:
    return (run.folder / "plan.json").exists()


def _returned(run: Killed) -> bool:
    return any(run.folder.glob("fetch/*.journal.jsonl"))


def _listed(run: Killed) -> bool:
    return (run.folder / "recorded.parquet").exists()


@pytest.mark.timeout(1500)
def test_a_refresh_killed_at_random_points_gives_the_same_release(
    demo_origin: Origin, demo_set: Served, tmp_path: Path
) -> None:
    script = {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    gone = {
        f"videos/{path.stem}.mp4": {"do": "404"} for path in sorted(demo_set.folder.glob("videos/_demo-good*.mp4"))[2:5]
    }
    demo_origin.set_plan({**script, **gone})
    Killed(tmp_path / "calm", "kinetics_demo", ("--shards", "2")).finish()
    # With the hard links between store and layout.
    subprocess.run(["cp", "-a", tmp_path / "calm", tmp_path / "disturbed"], check=True)
    demo_origin.set_plan(script)
    later = ("--as-of", (datetime.now(UTC) + timedelta(days=40)).isoformat())
    calm, disturbed = (
        Killed(tmp_path / name, "kinetics_demo", later, command="refresh", name="late")
        for name in ("calm", "disturbed")
    )
    before, asked = calm.files(), demo_origin.asked.copy()
    calm.finish()
    calm_asked = demo_origin.asked - asked
    assert len(calm.files()) > len(before), "clips have come back"
    rng = random.Random(20261129)
    for moment in (_planned, _returned, _listed):
        disturbed.kill_at(moment, rng, within=0.3)
    disturbed.finish()
    assert disturbed.lock() == calm.lock()
    assert disturbed.files() == calm.files()
    again = demo_origin.asked - asked - calm_asked - calm_asked
    assert again.total() <= 2 * 4, "what was finished is not asked for again"
    of_time = ("attempts", "evidence", "status")
    assert disturbed.rows("state/kinetics_demo.parquet", of_time) == calm.rows("state/kinetics_demo.parquet", of_time)
    assert not calm.attempts().keys() - disturbed.attempts().keys(), "nothing is forgotten"
    assert disturbed.leftovers() == []
