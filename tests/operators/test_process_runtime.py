"""The process runtime, and what all runtimes share: the result file, exit codes, the wait."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.task_runner import _execute_task
from clipquarry.errors import Exit
from clipquarry.files import write_json
from clipquarry_airflow.dags import DEFAULTS
from clipquarry_airflow.operators.outcome import raise_for, read_outcome
from clipquarry_airflow.operators.process import ProcessStepOperator
from clipquarry_airflow.operators.step import StepOperator
from frames_shard import context, make_shard, manifest


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    return tmp_path


def test_a_shard_in_a_child_process(data: Path) -> None:
    job = make_shard(data)
    operator = ProcessStepOperator(task_id="frames", step="frames", job=job)
    assert operator.execute(context(jobs=1)) == {"done": 2}
    assert [row["status"] for row in manifest(data)] == ["done", "done"]
    assert operator.execute(context()) == {"kept": 2}


def test_wrong_parameters_fail_without_a_retry(data: Path) -> None:
    job = make_shard(data, colour="red")
    with pytest.raises(AirflowFailException, match="refused its input"):
        ProcessStepOperator(task_id="frames", step="frames", job=job).execute(context())


def test_an_old_result_is_never_taken_for_this_one(data: Path) -> None:
    job = make_shard(data)
    operator = ProcessStepOperator(task_id="frames", step="frames", job=job)
    operator.execute(context())
    (data / job["params"]).write_text("{")
    with pytest.raises(AirflowFailException):
        operator.execute(context())


def test_a_cancelled_step_is_gone_with_its_children(data: Path) -> None:
    job = make_shard(data, clips=200)
    operator = ProcessStepOperator(task_id="frames", step="frames", job=job)
    caught: list[BaseException] = []

    def run() -> None:
        try:
            operator.execute(context(jobs=1))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not (data / "run/frames/part-00000.journal.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert operator._child is not None
    child = psutil.Process(operator._child.pid)
    operator.on_kill()
    thread.join(60)
    assert not thread.is_alive()
    assert not child.is_running()
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(data) in " ".join(p.info["cmdline"] or [])]
    assert isinstance(caught[0], AirflowException)
    assert not (data / job["out"]).exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Exit.ERROR, AirflowFailException), (Exit.USAGE, AirflowFailException), (Exit.FAIL, AirflowFailException),
        (Exit.UPGRADE, AirflowFailException),
        (Exit.RETRY, AirflowException),
    ],
)  # fmt: skip
def test_exit_codes_become_states(tmp_path: Path, code: Exit, error: type[Exception]) -> None:
    write_json(tmp_path / "r.json", {"exit": int(code), "sentence": "It is so.", "counts": {}, "resume_at": None})
    with pytest.raises(error, match="It is so") as raised:
        raise_for(read_outcome(tmp_path / "r.json", int(code)))
    assert (type(raised.value) is AirflowFailException) == (error is AirflowFailException)


class Waiting(StepOperator):
    """A runtime whose step says: wait."""

    def run_step(self, data: Path, context: object) -> tuple[int, str]:
        out = data / self.job["out"]
        write_json(
            out.with_name(f"{out.stem}.result.json"),
            {"exit": 12, "sentence": "Rate limit.", "counts": {}, "resume_at": "2026-11-21T05:00:00+00:00"},
        )
        return 12, ""


def test_a_wait_gives_the_slot_back(data: Path) -> None:
    job = make_shard(data)
    (data / "run/frames").mkdir()
    with pytest.raises(TaskDeferred) as deferred:
        Waiting(task_id="frames", step="frames", job=job).execute(context())
    assert deferred.value.method_name == "execute"
    assert deferred.value.trigger.moment.isoformat() == "2026-11-21T05:00:00+00:00"  # type: ignore[attr-defined]


class Ending(StepOperator):
    """A runtime whose step ends well."""

    def run_step(self, data: Path, context: object) -> tuple[int, str]:
        out = data / self.job["out"]
        result = {"exit": 0, "sentence": "Done.", "counts": {"done": 1}, "resume_at": None}
        write_json(out.with_name(f"{out.stem}.result.json"), result)
        return 0, ""


def test_waiting_takes_nothing_of_the_time_that_a_try_has(data: Path) -> None:
    """Airflow's own task runner resumes a task that began 13 hours ago; the limit is that of one stay in a worker."""
    job = make_shard(data)
    (data / "run/frames").mkdir()
    limit = DEFAULTS["execution_timeout"]
    with pytest.raises(TaskDeferred) as deferred:
        Waiting(task_id="frames", step="frames", job=job, execution_timeout=limit).execute(context())
    assert deferred.value.timeout is None, "the wait has no end of its own"
    resumed = SimpleNamespace(
        task=Ending(task_id="frames", step="frames", job=job, execution_timeout=limit),
        start_date=datetime.now(UTC) - limit - timedelta(hours=1),
        _ti_context_from_server=SimpleNamespace(
            next_method=deferred.value.method_name, next_kwargs={"event": "2026-11-21"}
        ),
    )
    assert _execute_task(context(), resumed, structlog.get_logger()) == {"done": 1}  # type: ignore[arg-type]


def test_a_killed_step_that_left_no_word_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(AirflowException, match="signal 9") as raised:
        raise_for(read_outcome(tmp_path / "none.json", -9))
    assert type(raised.value) is AirflowException
    with pytest.raises(AirflowException, match="out of memory"):
        raise_for(read_outcome(tmp_path / "none.json", 137, "The container ran out of memory."))
