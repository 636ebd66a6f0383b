"""A step for the runner's tests; run as a program it does one shard and can be killed."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from clipquarry.errors import MachineError, RetryLater, UserError, WaitUntil
from clipquarry.manifest import ITEM_FIELDS, Row, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import Outcome, Step, StepContext, StepParams
from clipquarry.steps.runner import run_step
from pydantic import Field

RESUME = datetime(2030, 1, 1, tzinfo=UTC)


class ToyParams(StepParams):
    """What the toy does to which clip: ``crash``, ``wait``, ``retry``, ``fail``, ``user``, ``private``, ``short``."""

    plays: dict[str, str] = Field(default={})
    sleep: float = 0
    at_the_end: str = ""
    preflight: str = ""


def stop(how: str) -> None:
    """Raise what ``how`` names."""
    if how == "wait":
        raise WaitUntil("The source says stop.", resume_at=RESUME, reason=Reason.BOT_CHECK)
    if how == "retry":
        raise RetryLater("The disk is full.")
    if how == "fail":
        raise MachineError("There is no ffmpeg.")
    if how == "user":
        raise UserError("This row is wrong.")
    if how == "crash":
        raise ZeroDivisionError("a defect")


class Toy(Step[ToyParams]):
    """Writes one small file per clip."""

    name = "toy"
    version = 1
    fields = (pa.field("path", pa.string()), pa.field("asked", pa.int32()))
    params_model = ToyParams

    def preflight(self, ctx: StepContext[ToyParams]) -> None:
        stop(ctx.params.preflight)

    def group_of(self, row: Row) -> str:
        return str(row["video_id"])

    def key_params(self, params: ToyParams) -> dict[str, Any]:
        return {}

    def run_group(self, rows: Sequence[Row], ctx: StepContext[ToyParams]) -> list[Outcome]:
        time.sleep(ctx.params.sleep)
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[ToyParams]) -> Outcome:
        how = ctx.params.plays.get(row["clip_id"], "")
        with open(ctx.data.root / "asked.log", "a") as log:
            log.write(f"{row['clip_id']}\n")
        stop(how)
        if how == "private":
            return Outcome.missing(Reason.PRIVATE, "it is private", asked=1)
        if how == "soft":
            return Outcome.missing(Reason.TRANSPORT, "x" * 5000, asked=1)
        path = ctx.data.root / f"{row['clip_id']}.txt"
        path.write_text(row["clip_id"])
        return Outcome(Status.DONE, columns={"path": path.name, "asked": 1})

    def still_holds(self, row: Row, result: Row, ctx: StepContext[ToyParams]) -> bool:
        return (ctx.data.root / result["path"]).exists()

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return Outcome(
            outcome.status,
            outcome.reason,
            outcome.evidence,
            {**outcome.columns, "asked": (previous.get("asked") or 0) + 1},
        )

    def finish(self, reasons: Counter[Reason], ctx: StepContext[ToyParams]) -> None:
        stop(ctx.params.at_the_end)


def make_items(path: Path, count: int, *, clips: int = 1) -> list[str]:
    """Write a shard of ``count`` rows, ``clips`` of each video; returns the clips' names."""
    names = [f"video{n // clips:06d}_{n % clips * 10:06d}_{n % clips * 10 + 10:06d}" for n in range(count)]
    rows = (
        {
            "item_id": f"train/a/{name}", "video_id": name[:11], "clip_id": name, "split": "train", "label": "a",
            "class_dir": "a", "label_index": 0, "start": 0, "end": of(10), "row": number,
        }
        for number, name in enumerate(names, 2)
    )  # fmt: skip
    write_rows(path, schema_of(ITEM_FIELDS, "shard"), rows)
    return names


if __name__ == "__main__":
    root = Path(sys.argv[1])
    done = run_step(
        Toy(), items=root / "items.parquet", params=json.dumps({"sleep": float(sys.argv[2])}),
        out=root / "out/part.parquet", data=root, jobs=2,
    )  # fmt: skip
    sys.exit(int(done.exit))
