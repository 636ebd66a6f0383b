"""The step operator in its process runtime: outcomes, waiting without a slot, cancelling; and the settings loader."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from clipquarry.acquire.breaker import Breaker
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.pipeline.summary import run_summary
from clipquarry.reasons import Reason
from clipquarry.run_folder import journal_path
from clipquarry.settings import DataRoot
from clipquarry_airflow.notify import SummaryNotifier
from clipquarry_airflow.operators.outcome import raise_for, read_outcome
from clipquarry_airflow.operators.process import ProcessStepOperator
from clipquarry_airflow.runtimes import runtime_of
from clipquarry_airflow.settings_file import read_settings

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One item that only YouTube could have."""
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    row = {
        "item_id": "val/zumba/AAAAAAAAAAA_000001_000011", "video_id": "AAAAAAAAAAA", "clip_id": "AAAAAAAAAAA_000001_000011",
        "split": "val", "label": "zumba", "class_dir": "zumba", "label_index": 0, "start": of(1), "end": of(11), "row": 2,
    }  # fmt: skip
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "shard"), [row])
    source = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    write_json(tmp_path / "params.json", {"root": "kinetics400", "sources": [source], "budget_pause": 0})
    return {"name": "shard-0", "items": "items.parquet", "params": "params.json", "out": "fetch/part-00000.parquet"}


def _operator(job: dict[str, str]) -> ProcessStepOperator:
    return ProcessStepOperator(task_id="fetch", step="fetch", job=job)


def _execute(operator: ProcessStepOperator) -> Any:
    return operator.execute({"params": {"jobs": 1}})  # type: ignore[typeddict-item]


def test_an_open_breaker_defers_the_task_until_it_closes(job: dict[str, str], tmp_path: Path) -> None:
    opened = Breaker(DataRoot(tmp_path).egress("default")).open(Reason.RATE_LIMIT, "rate-limited by YouTube")
    with pytest.raises(TaskDeferred) as deferred:
        _execute(_operator(job))
    moment = deferred.value.trigger.serialize()[1]["moment"]
    assert opened is not None
    assert abs((moment - opened.resume_at).total_seconds()) < 60
    assert moment > datetime.now(UTC) + timedelta(minutes=30)
    assert deferred.value.method_name == "execute", "it runs the step again, which keeps what is done"
    assert not (tmp_path / job["out"]).exists(), "an unfinished shard has no manifest"


def test_wrong_input_fails_without_a_retry(job: dict[str, str], tmp_path: Path) -> None:
    write_json(tmp_path / "params.json", {"root": "kinetics400", "sources": [], "colour": "blue"})
    with pytest.raises(AirflowFailException):
        _execute(_operator(job))


@pytest.mark.parametrize("damage", ["of other content", "gone"])
def test_a_shard_that_its_plan_did_not_write_fails_without_a_retry(
    job: dict[str, str], tmp_path: Path, damage: str
) -> None:
    items, run = tmp_path / "run/plan/items.parquet", tmp_path / "run"
    items.parent.mkdir(parents=True)
    (tmp_path / "items.parquet").rename(items)
    job |= {"items": "run/plan/items.parquet", "out": "run/fetch/part-00000.parquet"}
    facts = {"counts": {}, "jobs": {"fetch": [job]}, "dry_run": False, "files": {"items.parquet": "0" * 64}}
    write_json(run / "plan.json", facts)
    if damage == "gone":
        items.unlink()
    with pytest.raises(AirflowFailException, match=r"items\.parquet is not the file that the plan of this run wrote"):
        _execute(_operator(job))
    assert not (tmp_path / job["out"]).exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"exit": "x", "sentence": "", "counts": {}}'])
def test_a_damaged_result_is_tried_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "part.result.json").write_text(text)
    outcome = read_outcome(tmp_path / "part.result.json", 0)
    with pytest.raises(AirflowException, match=r"part\.result\.json, is damaged") as raised:
        raise_for(outcome)
    assert type(raised.value) is AirflowException


def test_no_free_disk_is_tried_again(job: dict[str, str], tmp_path: Path) -> None:
    params = json.loads((tmp_path / "params.json").read_text())
    write_json(tmp_path / "params.json", {**params, "min_free_gb": 10_000_000})
    with pytest.raises(AirflowException, match="free some space") as raised:
        _execute(_operator(job))
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("code", "kind"), [(1, AirflowFailException), (2, AirflowFailException), (3, AirflowFailException),
                       (10, AirflowFailException), (11, AirflowException)]
)  # fmt: skip
def test_exit_codes_become_states(tmp_path: Path, code: int, kind: type[Exception]) -> None:
    file = tmp_path / "part.result.json"
    write_json(file, {"exit": code, "sentence": "why", "counts": {}, "resume_at": None})
    with pytest.raises(kind, match="why") as raised:
        raise_for(read_outcome(file, code))
    assert type(raised.value) is kind


def test_a_killed_step_is_tried_again(tmp_path: Path) -> None:
    outcome = read_outcome(tmp_path / "none.json", -signal.SIGKILL)
    assert "signal 9" in outcome.sentence
    with pytest.raises(AirflowException) as raised:
        raise_for(outcome)
    assert type(raised.value) is AirflowException


def test_the_try_after_a_worker_that_died_when_its_shard_was_finished_reads_it(
    job: dict[str, str], tmp_path: Path
) -> None:
    run = DataRoot(tmp_path).run("kinetics400", "one")
    job["out"] = str((run / job["out"]).relative_to(tmp_path))
    with Origin(tmp_path / "nothing", {}) as origin:
        source = {"id": "mirror", "kind": "http", "provides": "items", "content": "clip", "attempts": 1}
        write_json(
            tmp_path / "params.json",
            {"root": "kinetics400", "sources": [source | {"url": f"{origin.url}/{{clip}}.mp4"}]},
        )
        first = _execute(_operator(job))
        assert first == {"missing": 1}
        assert origin.asked.total() == 1
        # The worker dies here: the manifest is there, and nobody was told.
        journal_path(tmp_path / job["out"]).touch()
        assert _execute(_operator(job)) == first
        assert origin.asked.total() == 1, "nobody is asked again"
        assert not journal_path(tmp_path / job["out"]).exists()
        (row,) = read_rows(tmp_path / job["out"])
        assert len(row["attempts"]) == 1
        # A run that is over asks again when a person clears its tasks.
        write_json(run / "run.json", {"ended": "2026-11-28T00:00:00+00:00"})
        write_json(run / "gates/clips.json", {"verdict": "block"})
        assert _execute(_operator(job)) == first
        assert origin.asked.total() == 2


def test_cancelling_ends_the_whole_process_group(job: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    operator = _operator(job)
    script = "import subprocess, sys, time; subprocess.Popen(['sleep', '77']); print('up', flush=True); time.sleep(77)"
    child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    operator._child = child
    begun = time.monotonic()
    operator.on_kill()
    assert time.monotonic() - begun < 30, "its sleep is 77 s"
    assert child.poll() is not None
    shown = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    left = [line.split()[1] for line in shown.splitlines() if line.split()[0] == str(child.pid)]
    assert all(state.startswith("Z") for state in left), "only what init has not reaped yet"


def test_a_step_does_not_outlive_a_killed_worker(job: dict[str, str], tmp_path: Path) -> None:
    """The worker is killed with -9 while the step waits for a server that never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{{clip}}.mp4"
        source = {"id": "m", "kind": "http", "provides": "items", "content": "clip", "url": url, "timeout_s": 60}
        write_json(tmp_path / "params.json", {"root": "kinetics400", "sources": [source]})
        script = (
            "import json, sys\n"
            "from clipquarry_airflow.operators.process import ProcessStepOperator\n"
            "ProcessStepOperator(task_id='fetch', step='fetch', job=json.loads(sys.argv[1])).execute({'params': {}})\n"
        )
        worker = subprocess.Popen([sys.executable, "-c", script, json.dumps(job)], stdout=subprocess.DEVNULL)
        silent.settimeout(60)
        connection, _ = silent.accept()  # the step is asking
        step = int(subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True, check=True).stdout)
        worker.kill()
        worker.wait()
        until = time.monotonic() + 20
        while Path(f"/proc/{step}").exists() and time.monotonic() < until:
            time.sleep(0.1)
        alive = Path(f"/proc/{step}/stat")
        connection.close()
        assert not alive.exists() or alive.read_text().split()[2] == "Z"


def test_done_returns_the_counts(job: dict[str, str], tmp_path: Path) -> None:
    write_json(tmp_path / "params.json", {"root": "kinetics400", "sources": []})
    counts = _execute(_operator(job))
    (row,) = read_rows(tmp_path / job["out"])
    assert counts == {row["status"]: 1}
    assert row["reason"] == "no_source"


def test_the_runtime_is_chosen_by_configuration_and_per_step() -> None:
    assert runtime_of("fetch", {}) == "auto"
    with pytest.raises(UserError, match="it can be auto or process"):
        runtime_of("fetch", {"CLIPQUARRY_RUNTIME_FETCH": "teleport"})


def test_settings_file_becomes_airflows_import_form(tmp_path: Path) -> None:
    settings = read_settings(PROJECT / "airflow_settings.yaml")
    assert settings["pools"]["clipquarry_egress"] == {
        "slots": 2, "include_deferred": False,
        "description": "Tasks that ask the internet: the budget of one way out.",
    }  # fmt: skip
    (tmp_path / "s.yaml").write_text(
        "airflow:\n  connections:\n  - {conn_id: a, conn_type: http, conn_host: h, conn_port: 1}\n"
        "  - {conn_id: b, conn_uri: 'http://x'}\n  variables:\n  - {variable_name: v, variable_value: w}\n"
    )
    more = read_settings(tmp_path / "s.yaml")
    assert more["connections"] == {"a": {"conn_type": "http", "host": "h", "port": 1}, "b": {"uri": "http://x"}}
    assert more["variables"] == {"v": "w"}
    (tmp_path / "bad.yaml").write_text("airflow:\n  pools:\n  - {pool_slot: 1}\n")
    with pytest.raises(UserError, match="pool_name"):
        read_settings(tmp_path / "bad.yaml")


def test_the_notifier_posts_a_summary_and_survives_a_dead_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from types import SimpleNamespace

    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    got: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            logging.getLogger("hook").info(format, *args)

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = {"dag_run": SimpleNamespace(dag_id="kinetics400", run_id="manual__1")}
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    SummaryNotifier("kinetics400", "failed", url)(context)
    server.shutdown()
    server.server_close()
    assert got[0]["text"].startswith("kinetics400: failed. kinetics400: the run ended before")
    assert got[0]["summary"]["sentence"] == run_summary(DataRoot(tmp_path), "kinetics400", "manual__1")["sentence"]
    SummaryNotifier("kinetics400", "failed", url)(context)  # nobody listens any more: no exception
