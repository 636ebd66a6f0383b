"""An attempt outlives the process that made it, also when its item had no result yet."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from clipquarry.errors import Exit, RetryLater
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.reasons import Reason, Status
from clipquarry.run_folder import journal_path, result_path
from clipquarry.steps import runner
from clipquarry.steps.base import Outcome, Step, StepContext, StepParams
from clipquarry.steps.fields import ATTEMPTS_FIELD
from clipquarry.steps.runner import run_step
from dying import dies_at


class NoParams(StepParams):
    """None."""


class Asker(Step[NoParams]):
    """Asks two mirrors; dies between them as often as it is told."""

    name = "asker"
    version = 1
    fields = (ATTEMPTS_FIELD,)
    params_model = NoParams

    def __init__(self, deaths: int) -> None:
        self.deaths, self.starts = deaths, 0

    def run_group(self, rows: Sequence[Row], ctx: StepContext[NoParams]) -> list[Outcome]:
        self.starts += 1
        outcomes = []
        for row in rows:
            attempts = []
            for source in ("first", "second"):
                at = f"2026-11-28T00:00:0{self.starts}+00:00"
                attempt = {
                    "source": source,
                    "at": at,
                    "reason": "not_found",
                    "evidence": "",
                    "seconds": 0.1,
                    "bytes": 0,
                }
                attempts.append(attempt)
                ctx.note(row["item_id"], attempt)
                if self.deaths:
                    self.deaths -= 1
                    raise RetryLater("The machine goes down.")
            outcomes.append(Outcome(Status.MISSING, Reason.NOT_FOUND, "", {"attempts": attempts}))
        return outcomes

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        attempts = [*(previous.get("attempts") or []), *outcome.columns["attempts"]]
        return Outcome(outcome.status, outcome.reason, outcome.evidence, {"attempts": attempts})


def test_no_attempt_is_lost_or_told_twice(tmp_path: Path) -> None:
    row = {"item_id": "train/a", "video_id": "v", "clip_id": "c", "split": "train", "start": 0, "end": of(10)}
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "shard"), [row])
    step, out = Asker(deaths=2), tmp_path / "out" / "part-00000.parquet"
    exits = [
        run_step(step, items=tmp_path / "items.parquet", params="{}", out=out, data=tmp_path).exit for _ in range(3)
    ]
    assert exits == [Exit.RETRY, Exit.RETRY, Exit.OK]
    (result,) = read_rows(out)
    told = [(attempt["source"], attempt["at"][18]) for attempt in result["attempts"]]
    assert told == [("first", "1"), ("first", "2"), ("first", "3"), ("second", "3")]
    assert not list(out.parent.glob("*.jsonl"))


def test_whoever_is_killed_before_the_result_is_told_has_the_journal_still(tmp_path: Path) -> None:
    row = {"item_id": "train/a", "video_id": "v", "clip_id": "c", "split": "train", "start": 0, "end": of(10)}
    items, out = tmp_path / "items.parquet", tmp_path / "out" / "part-00000.parquet"
    write_rows(items, schema_of(ITEM_FIELDS, "shard"), [row])
    dies_at(runner, "write_json", lambda: run_step(Asker(deaths=0), items=items, params="{}", out=out, data=tmp_path))
    assert out.exists() and not result_path(out).exists()
    step = Asker(deaths=0)
    assert run_step(step, items=items, params="{}", out=out, data=tmp_path).exit is Exit.OK
    (result,) = read_rows(out)
    assert (step.starts, [attempt["source"] for attempt in result["attempts"]]) == (0, ["first", "second"])
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, result_path(out).name]


def test_a_journal_of_the_time_of_seconds_is_read(tmp_path: Path) -> None:
    row = {"item_id": "train/a", "video_id": "v", "clip_id": "c", "split": "train", "start": of(3), "end": of(10)}
    items, out = tmp_path / "items.parquet", tmp_path / "out" / "part-00000.parquet"
    write_rows(items, schema_of(ITEM_FIELDS, "shard"), [row])
    dies_at(runner, "write_json", lambda: run_step(Asker(deaths=0), items=items, params="{}", out=out, data=tmp_path))
    journal = journal_path(out)
    (line,) = (line for line in map(json.loads, journal.read_text().splitlines()) if "key" in line)
    before = {name: value for name, value in line.items() if name not in ("start_text", "end_text", "parent")}
    journal.write_text(json.dumps({**before, "start": 3, "end": 10}) + "\n")
    step = Asker(deaths=0)
    assert run_step(step, items=items, params="{}", out=out, data=tmp_path).exit is Exit.OK
    (result,) = read_rows(out)
    assert (step.starts, result["start"], result["end"]) == (0, of(3), of(10))


class Unlucky(Asker):
    """Meets an error of the operating system at its rows."""

    def __init__(self, number: int) -> None:
        super().__init__(deaths=0)
        self.number = number

    def run_group(self, rows: Sequence[Row], ctx: StepContext[NoParams]) -> list[Outcome]:
        raise OSError(self.number, os.strerror(self.number), "somewhere")


@pytest.mark.parametrize(
    ("number", "exit_", "says"),
    [
        (errno.ENOSPC, Exit.RETRY, "is full"),
        (errno.EDQUOT, Exit.RETRY, "is full"),
        (errno.EROFS, Exit.FAIL, "read-only"),
    ],
)
def test_the_disk_is_no_property_of_a_row(tmp_path: Path, number: int, exit_: Exit, says: str) -> None:
    row = {"item_id": "train/a", "video_id": "v", "clip_id": "c", "split": "train", "start": 0, "end": of(10)}
    items, out = tmp_path / "items.parquet", tmp_path / "out" / "part-00000.parquet"
    write_rows(items, schema_of(ITEM_FIELDS, "shard"), [row])
    result = run_step(Unlucky(number), items=items, params="{}", out=out, data=tmp_path)
    assert (result.exit, says in result.sentence) == (exit_, True), result.sentence
    assert not out.exists()
