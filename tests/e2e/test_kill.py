"""Killed at any moment and started again, a run ends like an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from clipyard.demo.origin import Origin
from clipyard.settings import DataRoot

pytestmark = pytest.mark.e2e

ARGUMENTS = ("run", "kinetics_demo", "--run", "one", "--resize", "--short-edge", "128", "--shards", "3")


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


def test_killed_at_random_points_gives_the_same_release(demo_origin: Origin, tmp_path: Path) -> None:
    # Dead links that take long are left out: the point is the kills, not the patience.
    demo_origin.set_plan(
        {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    )
    begun = time.monotonic()
    assert _start(tmp_path / "calm").wait(300) == 0
    whole = time.monotonic() - begun

    rng = random.Random(20261121)
    disturbed = tmp_path / "disturbed"
    killed = 0
    for _ in range(5):
        run = _start(disturbed)
        try:
            assert run.wait(rng.uniform(0.2, 0.6) * whole) == 0
            break
        except subprocess.TimeoutExpired:
            # -9 to the whole group: nobody gets to clean up.
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            killed += 1
    assert _start(disturbed).wait(300) == 0
    assert killed >= 2
    assert _lock(disturbed) == _lock(tmp_path / "calm")
    assert _layout(disturbed) == _layout(tmp_path / "calm")
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(disturbed) in " ".join(p.info["cmdline"] or [])]
