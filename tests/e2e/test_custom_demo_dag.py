"""``make demo-custom`` as it stands: a killed one leaves nothing behind, and the next one is labelled by the program, goes on and releases."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from checkout import PROJECT, shell_lines
from clipquarry.families.boxes.own.annotator import NAME
from clipquarry.settings import DataRoot
from e2e_airflow import until

pytestmark = pytest.mark.timeout(1500)

DATASET = "custom_ava"


def start(checkout: Path) -> subprocess.Popen[str]:
    assert "make demo-custom" in shell_lines(PROJECT / "docs/your-own-ava.md")
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("CLIPQUARRY_", "MAKE", "AIRFLOW"))
    }
    return subprocess.Popen(
        ["make", "demo-custom"], cwd=checkout, env={**clean, "CLIPQUARRY_RUNTIME": "process"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill_the_demo(begun: subprocess.Popen[str], data: DataRoot) -> list[psutil.Process]:
    """Kill the demo's own process in the middle of its run; those that it had started."""
    until(lambda: [*data.runs(DATASET).glob("*/catalog.parquet")], "a run begins")
    (demo,) = (one for one in psutil.Process(begun.pid).children(recursive=True) if "clipquarry.demo" in one.cmdline())
    others = demo.children(recursive=True)
    demo.send_signal(signal.SIGKILL)
    begun.communicate(timeout=60)
    return others


def test_a_killed_demo_and_a_whole_one(checkout: Path) -> None:
    home = checkout / ".demo-custom"
    data = DataRoot(home / "data")
    left = kill_the_demo(start(checkout), data)
    assert left
    until(lambda: not any(one.is_running() for one in left), "nothing of a killed demo runs on", 60)

    done = start(checkout)
    said, _ = done.communicate()
    assert done.returncode == 0, said[-3000:] + (home / "demo.log").read_text(errors="replace")[-3000:]
    told = [
        f"the run waits for people at /clipquarry-labelling/p/{DATASET}/labels/",
        "6 boxes in 3 key frames are labelled", "the run goes on by itself", "expected 3, fetched 3, missing 0, failed 0",
        "gate labels: pass", "eyes watch: 6 in train, 3 in val", "report: ", "release: ", "make demo-custom-up", "make up",
    ]  # fmt: skip
    places = [said.find(one) for one in told]
    assert -1 not in places and places == sorted(places), said

    (run,) = (path for path in data.release(DATASET).iterdir() if path.name != "latest")
    assert f"release: {run}\n" in said and (data.run(DATASET, run.name) / "report/index.html").is_file()
    rows = [[*csv.reader((run / f"{split}.csv").open())] for split in ("train", "val")]
    assert [len(one) for one in rows] == [18, 9]
    assert (run / "mmaction2_config.py").is_file()
    assert {row["source"] for row in csv.DictReader((run / "people.csv").open())} == {"page"}
    journal = data.labelling(DATASET, "labels") / "clips/door_1/shared.jsonl"
    assert {json.loads(line)["by"] for line in journal.read_text().splitlines()} == {NAME}
    with closing(sqlite3.connect(home / "airflow/airflow.db")) as database:
        (asked,) = database.execute("select subject, body from hitl_detail").fetchall()
    assert asked[0] == f"{DATASET} waits for people" and "3 of 3 crops are not labelled" in asked[1]
