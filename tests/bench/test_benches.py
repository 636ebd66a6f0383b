"""Every benchmark runs with small numbers and prints its row: a change of the product must not break one unseen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive
from clipquarry.people.small.package import made_model
from tiny_nanodet import PERSON, archive, package, tiny

PROJECT = Path(__file__).parents[2]
BENCH = PROJECT / "bench"
ROWS = {
    "bench_activitynet": ("| ActivityNet: 4 lists of 100 videos", "| ActivityNet: features of 3 videos pooled"),
    "bench_audio": ("| log-mel of 4 clips of 2 s",),
    "bench_ava_cut": ("| 2 s of a 720p", "| 4 windows of 4 s"),
    "bench_ava_kinetics": ("| prepare annotations of 7,000 rows", "| merge proposals of 1,800 keys"),
    "bench_content": ("| 340.mp4, 340x256", "| the same: frames"),
    "bench_crawl": ("| every video asked for once, day ", "| end |", "| oracle |", "| blind |"),
    "bench_cut": ("| 2 windows of 10 s",),
    "bench_fetch": ("| 12 clips (6 dead), 8 in parallel: Clipquarry",),
    "bench_flow": (
        "| tvl1, from frames, against OpenCV in a bare loop, 2 clips of 10 frames",
        "| dis, frames and flow, two steps",
    ),
    "bench_frames": ("| 4 clips of 3 s, 640x360",),
    "bench_gym": ("| 10 subactions in 2 events of one source of 12 s",),
    "bench_hvu": ("| HVU: plan and 7 lists of 2,000 clips",),
    "bench_omnisource": ("| OmniSource: a video of 12 s", "| OmniSource: a list of 400 files"),
    "bench_own_crops": (
        "| 2 crops of 4 s: crop, frames, selection, CPU s",
        "| of these: frames",
        "| PSNR of key frames of two crops",
    ),
    "bench_gates": ("| gates of ava_kinetics, 7,000 rows", "| gates of kinetics700, 3,000 rows"),
    "bench_ledger": ("| plan_refresh |", "| record, again |"),
    "bench_lists": ("| lists of 2,800 clips, 15% missing",),
    "bench_split_lists": ("| lists of 1,010 avi, 3 divisions",),
    "bench_tracking": (
        "| 6 persons who hide one another, 1 scenes of 2 s",
        "| 2 persons who hide one another, 1 scenes of 2 s",
    ),
    "bench_tubes": ("| ground truth of 100 videos", "| the flow of 5 videos counted, 100 images"),
    "bench_unpack": ("| unpack 1,000 files of 4,000 bytes",),
    "bench_nowhere": ("| a run of 2,800 rows",),
    "bench_ntu": ("| 30 skeleton files of 5 frames",),
    "bench_skeletons": ("| a package of 300 skeletons of 5 frames",),
    "bench_plan": ("| plan of 3,000 clips, nothing there |", "| plan of 3,000 clips, 50% there |"),
}
"""Beginnings of the rows that a benchmark prints with ``--quick``."""
AIRFLOW = (
    "| all DAG files in one process |",
    "| one (CLIPQUARRY_ONLY) |",
    "| fetch of a shard of kinetics_demo, mean of 2",
)
DOCKER = ("| median of 1, in turn |",)
"""Its run through the live Airflow takes minutes, and shares the code that starts it with the other benchmark."""
LABELLING = (
    "| labelling, a scripted annotator",
    "| the same: from the key",
    "| labelling, two annotators at once, 1 kills",
)
DETECT = ("| rtmdet_tiny_8xb32-300e_coco, 2 frames",)
COMMAND = re.compile(r"python bench/(bench_\w+)\.py([^`;]*)`")


def _run(name: str, *arguments: str, **environment: str) -> str:
    """What a benchmark prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLIPQUARRY_DEMO")}
    done = subprocess.run(
        [sys.executable, str(BENCH / f"{name}.py"), *arguments], env={**kept, **environment}, cwd=PROJECT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _prints(name: str, rows: tuple[str, ...]) -> None:
    lines = _run(name, "--quick").splitlines()
    assert [row for row in rows if not any(line.startswith(row) for line in lines)] == [], lines


def test_every_benchmark_has_a_case() -> None:
    assert {path.stem for path in BENCH.glob("bench_*.py")} == {
        *ROWS,
        "bench_airflow",
        "bench_docker",
        "bench_detect",
        "bench_labelling",
        "bench_small",
    }


def test_the_commands_of_the_docs_have_options_that_there_are() -> None:
    pages = [PROJECT / "BENCHMARKS.md", PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
    named: dict[str, set[str]] = {}
    for page in pages:
        for name, rest in COMMAND.findall(page.read_text()):
            named.setdefault(name, set()).update(re.findall(r"--[a-z-]+", rest))
    assert len(named) > 5
    faults = []
    for name, options in sorted(named.items()):
        if not (BENCH / f"{name}.py").exists():
            faults.append(name)
        elif options:
            known = set(re.findall(r"--[a-z-]+", _run(name, "--help")))
            faults += [f"{name} {option}" for option in sorted(options - known)]
    assert faults == []


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_libarchive if name == "bench_unpack" else ()) for name in sorted(ROWS)]
)
def test_a_benchmark_prints_its_rows(name: str) -> None:
    _prints(name, ROWS[name])


@pytest.mark.timeout(600)
def test_the_benchmark_of_detection_prints_its_row() -> None:
    if not (PROJECT / ".venv-detect/bin/python").exists():
        pytest.skip("There is no .venv-detect (make detect-env): detection is not measured.")
    _prints("bench_detect", DETECT)


def test_the_benchmark_of_the_small_detector_prints_its_row(tmp_path: Path) -> None:
    packed = archive(tmp_path / "tiny.tgz", tiny(PERSON))
    model = made_model(package(packed), tmp_path, lambda: packed)
    assert "| 3 people in 3 drawn frames, found at IoU 0.5" in _run("bench_small", "--quick", "--model", str(model))


@pytest.mark.timeout(400)
def test_the_benchmark_of_labelling_prints_its_rows() -> None:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("needs a Chromium: apt-get install chromium")
    _prints("bench_labelling", LABELLING)


@pytest.mark.timeout(1200)
def test_the_benchmark_of_airflow_prints_its_rows() -> None:
    _prints("bench_airflow", AIRFLOW)


@pytest.mark.timeout(1200)
def test_the_benchmark_of_docker_prints_its_rows(media_image: str) -> None:
    _prints("bench_docker", DOCKER)
