"""The real DAGs of data sets of whole files: UCF101 in small from its two archives, and THUMOS'14 in small."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, rar4, zipped
from clipquarry.demo.origin import Origin
from clipquarry.families.segments.sample import SAMPLE, videos_of
from families.clips.file_world import film, serve, small
from families.clips.test_ucf101 import CLIPS, lists

pytestmark = pytest.mark.timeout(1200)


@needs_libarchive
def test_ucf101_in_small(airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "small_ucf101.yaml").write_text(small("ucf101"))
    videos = {f"UCF-101/{clip}.avi": film(tmp_path, clip) for clip in CLIPS}
    archives = {"UCF101TrainTestSplits-RecognitionTask.zip": zipped(lists()), "UCF101.rar": rar4(videos)}
    with Origin(serve(tmp_path / "served", archives)) as origin:
        monkeypatch.setenv("SMALL_URL", origin.url)
        monkeypatch.setenv("CLIPQUARRY_DATASETS", str(specs))
        code, summary, run, log = airflow.run(
            "small_ucf101", "small_ucf101", annotation_counts="warn", frames=True, flow=True, flow_type="dis"
        )
        assert code == 0, log[-4000:]
        assert sum(origin.asked.values()) == 2
    assert (summary["expected"], summary["present"]) == (27, 27)
    assert summary["gates"]["lists"] == "pass"
    root = airflow.data.dataset("small_ucf101")
    assert len(list((root / "videos").rglob("*.avi"))) == len(CLIPS)
    assert len(list((root / "rawframes").rglob("flow_x_*.jpg"))) == 7 * len(CLIPS)
    assert (airflow.data.release("small_ucf101") / run / "small_ucf101.lock").read_text().count("\n") == 1 + len(CLIPS)


@needs_libarchive
def test_a_run_waits_until_a_person_placed_both_archives(
    airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage and a step wait, deferred: no source gives their archives, and the DAG's own ``wait_days`` is 7."""
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "small_ucf101.yaml").write_text(small("ucf101"))
    videos = {f"UCF-101/{clip}.avi": film(tmp_path, clip) for clip in CLIPS}
    archives = {"UCF101TrainTestSplits-RecognitionTask.zip": zipped(lists()), "UCF101.rar": rar4(videos)}
    root, said = airflow.data.dataset("small_ucf101"), list[str]()

    def person() -> None:
        for name, data in archives.items():
            while not (notes := list(airflow.data.runs("small_ucf101").glob("*/waiting/*.json"))):
                time.sleep(0.2)
            said.append(notes[0].read_text())
            (root / f".{name}").write_bytes(data)
            os.utime(root / f".{name}", (1e9, 1e9))
            (root / f".{name}").rename(root / name)
            while notes[0].exists():
                time.sleep(0.2)

    with Origin(serve(tmp_path / "served", {})) as origin:
        monkeypatch.setenv("SMALL_URL", origin.url)
        monkeypatch.setenv("CLIPQUARRY_DATASETS", str(specs))
        root.mkdir(parents=True)
        placing = threading.Thread(target=person, daemon=True)
        placing.start()
        code, summary, _, log = airflow.run("small_ucf101", "small_ucf101", annotation_counts="warn")
        placing.join(10)
    assert code == 0, log[-4000:]
    assert log.count("without a worker slot") >= 2
    assert [name in text for name, text in zip(archives, said, strict=True)] == [True, True]
    assert (summary["expected"], summary["present"]) == (27, 27)


def test_thumos14_in_small(airflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SAMPLE.make(tmp_path / "origin")
    made.place(airflow.data.dataset(SAMPLE.dataset))
    with Origin(made.folder, made.plan) as origin:
        monkeypatch.setenv("CLIPQUARRY_DEMO_URL", origin.url)
        code, summary, run, log = airflow.run(SAMPLE.dataset, SAMPLE.dataset, **SAMPLE.params)
    assert code == 0, log[-4000:]
    wanted = sum(len(videos_of(split)) for split in ("val", "test"))
    assert (summary["expected"], summary["present"]) == (wanted, wanted)
    assert (airflow.data.release(SAMPLE.dataset) / run / "intervals.csv").is_file()
