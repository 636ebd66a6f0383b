"""``make demo-custom`` as it stands: a killed one leaves nothing behind, no run that Airflow shows as running either, and the next one is
labelled by the program, goes on and releases. Meanwhile there is no other demo and no UI on its home.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from checkout import PROJECT, shell_lines
from clipquarry.families.boxes.own.annotator import NAME
from clipquarry.settings import DataRoot
from clipquarry.waiting import waits_of
from e2e_airflow import until
from ports import free_port

pytestmark = pytest.mark.timeout(1500)

DATASET = "custom_ava"
NOTE = "The demo that ran this was ended in the middle. Start it again."


def start(
    checkout: Path, target: str = "demo-custom", *, stdout: int | IO[str] = subprocess.PIPE, **extra: str
) -> subprocess.Popen[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("CLIPQUARRY_", "MAKE", "AIRFLOW"))
    }
    return subprocess.Popen(
        ["make", target], cwd=checkout, env={**clean, "CLIPQUARRY_RUNTIME": "process", **extra}, text=True,
        stdout=stdout, stderr=subprocess.STDOUT,
    )  # fmt: skip


def program_of(begun: subprocess.Popen[str], module: str) -> psutil.Process:
    """The process that make has started."""
    (found,) = (one for one in psutil.Process(begun.pid).children(recursive=True) if module in one.cmdline())
    return found


def kill_the_demo(begun: subprocess.Popen[str], ready: Callable[[], Any]) -> None:
    """Kill the demo's own process in the middle of its run, and see that those which it had started end too."""
    until(ready, "a run begins")
    demo = program_of(begun, "clipquarry.demo")
    left = demo.children(recursive=True)
    demo.send_signal(signal.SIGKILL)
    begun.communicate(timeout=60)
    assert left
    until(lambda: not any(one.is_running() for one in left), "nothing of a killed demo runs on", 60)


def is_refused(checkout: Path, target: str, sentence: str) -> None:
    refused = start(checkout, target)
    said, _ = refused.communicate(timeout=120)
    assert refused.returncode and sentence in said, said


def states(home: Path) -> list[str]:
    """Of Airflow's runs, the oldest first."""
    return [state for (state,) in asked_of(home, "select state from dag_run order by id")]


def asked_of(home: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(home / "airflow/airflow.db")) as database:
        return database.execute(query).fetchall()


def test_a_killed_demo_and_a_whole_one(checkout: Path, tmp_path: Path) -> None:
    home = checkout / ".demo-custom"
    data = DataRoot(home / "data")
    assert "make demo-custom" in shell_lines(PROJECT / "docs/your-own-ava.md")
    kill_the_demo(start(checkout), lambda: [*data.runs(DATASET).glob("*/catalog.parquet")])
    assert states(home) == ["running"]
    kill_the_demo(start(checkout), lambda: any(waits_of(run) for run in data.runs(DATASET).glob("*")))
    assert states(home) == ["failed", "running"], "the next demo has failed what nothing runs any more"

    with (tmp_path / "said").open("w+") as log:
        up = start(checkout, "demo-custom-up", AIRFLOW__API__PORT=str(port := free_port()), stdout=log)
        try:
            until(lambda: "Airflow: " in (tmp_path / "said").read_text(), "the UI is open")
            assert states(home) == ["failed", "failed"], "and so has the UI"
            assert not asked_of(
                home, "select * from task_instance where state is null or state not in ('failed', 'skipped', 'success')"
            )
            assert {note for (note,) in asked_of(home, "select content from dag_run_note")} == {NOTE}
            (killed,) = data.runs(DATASET).glob("*")
            assert waits_of(killed) == [], "it waits for nobody"
            is_refused(
                checkout, "demo-custom", f"Airflow is already running on {home}/airflow: http://localhost:{port}"
            )
            assert killed.is_dir()
        finally:
            program_of(up, "clipquarry_airflow.local").terminate()
            up.wait(60)

    done = start(
        checkout, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="sqlite:////nowhere/of-the-person.db"
    )  # a demo has its own
    until(
        lambda: [path for path in data.runs(DATASET).glob("*/catalog.parquet") if path.parent != killed], "a run begins"
    )
    is_refused(checkout, "demo-custom", f"A demo is already running in {home}")
    is_refused(checkout, "demo-custom-up", f"A demo is already running in {home}")
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
    *_, asked = asked_of(home, "select subject, body from hitl_detail order by created_at")
    assert asked[0] == f"{DATASET} waits for people" and "3 of 3 crops are not labelled" in asked[1]
    assert states(home) == ["failed", "failed", "success"] and not (home / "airflow/unended-run").exists()
