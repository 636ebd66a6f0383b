"""Killed at any moment and started again, a run ends like an undisturbed one."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.families.boxes.sample.data_set import GONE, TWO, WALKS, make_ava
from clipquarry.pipeline.sample import Served
from kills import Killed
from once import shared_folder


def _planned(run: Killed) -> bool:
    return (run.folder / "plan.json").exists()


def _some_clips(run: Killed) -> bool:
    return len(list(run.layout.glob("videos_train/*/*.mp4"))) >= 3


def _some_resized(run: Killed) -> bool:
    return len(list(run.layout.glob("videos_train_256p_dense_cache/*/*.mp4"))) >= 2


def _some_frames(run: Killed) -> bool:
    return len(list(run.layout.glob("rawframes_train/*/*/img_00001.jpg"))) >= 2


@pytest.mark.timeout(1500)
def test_killed_at_random_points_gives_the_same_release(demo_origin: Origin, tmp_path: Path) -> None:
    # Dead links that take long are left out: the point is the kills, not the patience.
    demo_origin.set_plan(
        {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    )
    arguments = ("--resize", "--frames", "--short-edge", "128", "--shards", "3")
    calm, disturbed = (Killed(tmp_path / name, "kinetics_demo", arguments) for name in ("calm", "disturbed"))
    calm.finish()
    asked = demo_origin.asked.copy()

    rng = random.Random(20261121)
    for moment in (_planned, _some_clips, _some_resized, _some_frames):
        disturbed.kill_at(moment, rng)
    disturbed.finish()
    assert disturbed.lock() == calm.lock()
    assert disturbed.files() == calm.files()
    # What was in work when the process died may be asked for again: two jobs, two groups each, at two kills while fetching.
    again = Counter(
        {path: count for path, count in (demo_origin.asked - asked - asked).items() if "annotations" not in path}
    )
    assert again.total() <= 2 * 4 * 4, again
    assert (disturbed.attempts() - calm.attempts()).total() <= 2 * 4 * 4, "what was finished is told once"
    forgotten = calm.attempts().keys() - disturbed.attempts().keys()
    assert len(forgotten) <= 4, "nothing is forgotten, but for what was in work at the very moment"
    assert disturbed.leftovers() == []


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


# AVA: whole films, their excerpts and images, the people in them


def _film_asked(run: Killed) -> bool:
    return any(run.data.glob(".clipquarry/scratch/**/*.part*"))


def _first_images(run: Killed) -> bool:
    return len(list(run.layout.glob(f"rawframes/.*-{WALKS.video_id}/*.jpg"))) >= 100


def _second_film(run: Killed) -> bool:
    return (run.layout / "rawframes" / WALKS.video_id).exists() and any(run.layout.glob("videos_15min/.*"))


def _people_found(run: Killed) -> bool:
    return any(path.stat().st_size for path in run.folder.glob("detect/*.journal.jsonl"))


@pytest.mark.timeout(1500)
def test_ava_killed_at_random_points_gives_the_same_release(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared_folder(tmp_path_factory, "ava_origin") as folder:
        if not (folder / "ava").exists():
            make_ava(folder)
    plan = {f"ava/trainval/{GONE.name}": "404", f"ava/trainval/{TWO.name}": {"do": "slow", "seconds": 1}}
    calm, disturbed = (Killed(tmp_path / name, "ava_demo") for name in ("calm", "disturbed"))
    with Origin(folder, plan) as origin:
        monkeypatch.setenv("CLIPQUARRY_DEMO_URL", origin.url)
        calm.finish()
        asked = origin.asked.copy()
        rng = random.Random(20261128)
        for moment in (_film_asked, _first_images, _second_film, _people_found):
            disturbed.kill_at(moment, rng, within=0.3)
        disturbed.finish()
    assert disturbed.lock() == calm.lock()
    assert disturbed.files() == calm.files()
    again = {path: n for path, n in (origin.asked - asked - asked).items() if "trainval/" in path and n > 1}
    assert not again, "a film that was there is not asked for again"
    assert disturbed.attempts() == calm.attempts()
    of_time = ("attempts", "evidence", "status")
    assert disturbed.rows("state/ava_demo.parquet", of_time) == calm.rows("state/ava_demo.parquet", of_time)
    found = ("signature", "status", "key")  # what depends on when the images were written
    name = "state/ava_demo.detections.parquet"
    assert disturbed.rows(name, found) == calm.rows(name, found)
    assert disturbed.leftovers() == calm.leftovers() == []
