"""What the log of a red task says: the cure first, in short lines, and no frames of Python."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.sdk.exceptions import AirflowFailException
from clipquarry_airflow.operators.plain import WIDTH, advice_first, explain, lines_of, report_address
from clipquarry_airflow.operators.report import note_lost_tasks
from clipquarry_airflow.operators.stage import StageOperator

GATE = (
    "The gate 'clips' blocks: clips.coverage [all]: 5 of 6 clips are missing (83 %, at most 60 % allowed). All rows are in "
    "/data/clips.rows.csv. What to do: Sort the rows by reason."
)


@pytest.mark.parametrize(
    ("sentence", "cure", "why"),
    [
        (GATE, "Sort the rows by reason.", GATE[: GATE.index(" What to do")]),
        ("CLIPQUARRY_CPUS is 'x'; write a number of cores.", "Write a number of cores.", "CLIPQUARRY_CPUS is 'x'."),
        ("It could not be had (a: gone; b: ask the lab). Place it by hand as /x, then run this again.",
         "Place it by hand as /x, then run this again.", "It could not be had (a: gone; b: ask the lab)."),
        ("/x is there already, from the source 'a': move it away, or leave it.", "Move it away, or leave it.",
         "/x is there already, from the source 'a'."),
        ("There is no ffmpeg.", "", "There is no ffmpeg."),
        ("", "", ""),
    ],
)  # fmt: skip
def test_the_cure_comes_first(sentence: str, cure: str, why: str) -> None:
    assert advice_first(sentence) == (cure, why)


def test_lines_fit_a_screen_and_lose_no_word() -> None:
    lines = lines_of(GATE + " word" * 100)
    assert lines[0].startswith("What to do: Sort the rows")
    assert max(map(len, lines)) <= WIDTH and len(lines) > 5
    assert lines_of("/" + "x" * 300) == ["/" + "x" * 300], "a path stays whole"


def test_airflow_logs_no_frames_of_what_was_explained() -> None:
    """Airflow's own call, ``log.exception``, behind the same processors."""
    said: list[dict[str, Any]] = []

    def keep(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        said.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep])
    try:
        log, lines = structlog.get_logger(), []
        for error, plain in ((AirflowFailException(GATE), True), (ValueError("a defect"), False)):
            if plain:
                explain(lambda form, line: lines.append(line), error)
            try:
                raise error
            except Exception:
                log.exception("Task failed with exception")
    finally:
        structlog.configure(**before)
    assert said[0] == {"event": "The task failed; the lines above say what to do."}
    assert said[1]["event"] == "Task failed with exception" and said[1]["exc_info"]
    assert lines == lines_of(GATE)


def test_a_stage_with_wrong_parameters_says_so_in_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    stage = StageOperator(task_id="annotations", stage="annotations", dataset="kinetics400", kind="full")
    with caplog.at_level(logging.ERROR), pytest.raises(AirflowFailException, match="no parameter 'colour'") as raised:
        stage.execute({"run_id": "manual__1", "params": {"colour": "blue"}})  # type: ignore[typeddict-item]
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    assert (tmp_path / ".clipquarry/runs/kinetics400/manual__1/failures/annotations.json").exists()


def test_the_report_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://lab:8080/air/")
    assert report_address("kinetics400", "manual__2026-01-01T00:00:00+00:00") == (
        "http://lab:8080/air/clipquarry/report/kinetics400/manual__2026-01-01T00_00_00_00_00"
    )


def test_events_only_of_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow takes ``outlets`` of the task when it has ended, and ``extra`` of its accessors."""
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.context import OutletEventAccessors
    from clipquarry.files import write_json
    from clipquarry.manifest import schema_of, write_rows
    from clipquarry.pipeline.make_context import make_context
    from clipquarry.pipeline.state import STATE_SCHEMA

    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    ctx = make_context("kinetics_demo", "one", {})
    row = {field.name: None if field.nullable else "" for field in STATE_SCHEMA} | {
        "item_id": "val/zumba/a", "split": "val", "status": "done", "reason": "ok", "path": "a.mp4", "sha256": "0" * 64
    }  # fmt: skip
    write_rows(ctx.state, schema_of(STATE_SCHEMA, "state"), [row])
    write_json(ctx.folder / "run.json", {})

    def told(run: str, **params: Any) -> tuple[list[Any], Any]:
        asset = Asset(name="kinetics_demo/videos", uri="clipquarry://kinetics_demo/videos")
        stage = StageOperator(task_id="t", stage="gate_clips", dataset="kinetics_demo", kind="full", outlets=[asset])
        events = OutletEventAccessors()
        stage._announce(make_context("kinetics_demo", run, params), {"outlet_events": events})  # type: ignore[typeddict-item]
        return stage.outlets, events[asset].extra

    outlets, extra = told("one")
    assert [one.name for one in outlets] == ["kinetics_demo/videos"]
    assert (extra["release"], extra["present"], extra["by_split"]["val"]) == ("one", 1, {"present": 1, "expected": 1})
    assert told("two")[0] == []
    assert told("three", limit=1)[0] == []


def test_tasks_that_were_lost_are_failures_until_they_end_well(tmp_path: Path) -> None:
    """A killed shard, a killed gate; a gate that blocked has told why itself."""
    from clipquarry.files import write_json
    from clipquarry.pipeline.failures import failures_of, note_failure

    tasks = ["plan", "fetch", "record", "gate_clips", "gate_lists", "release", "report", "verdict"]
    write_json(tmp_path / "gates/clips.json", {})
    note_failure(tmp_path, "plan", "It has no class 'curling'.")
    states = {"plan": "failed", "fetch_0": "success", "fetch_1": "failed", "record": "upstream_failed", "gate_clips": "failed",
              "gate_lists": "failed", "release": "upstream_failed", "report": "running"}  # fmt: skip
    note_lost_tasks(tmp_path, states, tasks)
    assert {failure.task: failure.sentence for failure in failures_of(tmp_path)} == {
        "plan": "It has no class 'curling'.",
        "fetch": "The task failed without a word of its own; its log says more.",
        "gate_lists": "The task failed without a word of its own; its log says more.",
    }
    note_lost_tasks(tmp_path, dict.fromkeys([*states, "verdict"], "success") | {"gate_lists": "skipped"}, tasks)
    assert failures_of(tmp_path) == []
