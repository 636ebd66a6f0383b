"""Killed at any moment and started again, a run ends like an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from clipyard.demo.origin import Origin
from clipyard.settings import DataRoot

ARGUMENTS = ("run", "kinetics_demo", "--run", "one", "--resize", "--frames", "--short-edge", "128", "--shards", "3")


def _start(data: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CLIPYARD_DATA": str(data)}
    return subprocess.Popen(
        [sys.executable, "-m", "clipyard", *ARGUMENTS], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _lock(data: Path) -> bytes:
    return (DataRoot(data).release("kinetics_demo") / "one" / "kinetics_demo.lock").read_bytes()


def _layout(data: Path) -> dict[str, bytes]:
    root = data / "kinetics_demo"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _planned(data: Path) -> bool:
    return (DataRoot(data).run("kinetics_demo", "one") / "plan.json").exists()


def _some_clips(data: Path) -> bool:
    return len(list(data.glob("kinetics_demo/videos_train/*/*.mp4"))) >= 3


def _some_resized(data: Path) -> bool:
    return len(list(data.glob("kinetics_demo/videos_train_256p_dense_cache/*/*.mp4"))) >= 2


def _some_frames(data: Path) -> bool:
    return len(list(data.glob("kinetics_demo/rawframes_train/*/*/img_00001.jpg"))) >= 2


def _attempts(data: Path) -> Counter[tuple[str, str, str]]:
    """How often each source was asked for each clip, and what it said."""
    with sqlite3.connect(data / ".clipyard/ledger.sqlite") as ledger:
        rows = ledger.execute(
            "SELECT c.clip_id, a.source, a.reason FROM ledger_attempt a JOIN ledger_clip c ON c.id = a.clip_id"
        )
        return Counter(rows.fetchall())


@pytest.mark.timeout(1500)
def test_killed_at_random_points_gives_the_same_release(demo_origin: Origin, tmp_path: Path) -> None:
    # Dead links that take long are left out: the point is the kills, not the patience.
    demo_origin.set_plan(
        {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    )
    assert _start(tmp_path / "calm").wait(400) == 0
    asked = demo_origin.asked.copy()

    rng = random.Random(20261121)
    disturbed = tmp_path / "disturbed"
    for reached in (_planned, _some_clips, _some_resized, _some_frames):
        run = _start(disturbed)
        while not reached(disturbed) and run.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        assert run.poll() is None, "it is killed in the middle of its work"
        # -9 to the whole group: nobody gets to clean up.
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert _start(disturbed).wait(400) == 0
    assert _lock(disturbed) == _lock(tmp_path / "calm")
    assert _layout(disturbed) == _layout(tmp_path / "calm")
    # What was in work when the process died may be asked for again: two jobs, two groups each, at two kills while fetching.
    again = Counter(
        {path: count for path, count in (demo_origin.asked - asked - asked).items() if "annotations" not in path}
    )
    assert again.total() <= 2 * 4 * 4, again
    calm, killed = _attempts(tmp_path / "calm"), _attempts(disturbed)
    assert (killed - calm).total() <= 2 * 4 * 4, "what was finished is told once"
    assert len(calm.keys() - killed.keys()) <= 4, "nothing is forgotten, but for what was in work at the very moment"
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(disturbed) in " ".join(p.info["cmdline"] or [])]
