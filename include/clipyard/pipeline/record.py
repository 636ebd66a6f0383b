"""After the shards: one row per item that was asked for, the ledger, and the data set's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from clipyard.files import read_json
from clipyard.manifest import Row, read_rows, read_table
from clipyard.pipeline.context import RunContext
from clipyard.pipeline.state import (
    PRESENT,
    STATE_SCHEMA,
    check_files,
    locked,
    merged,
    read_state,
    write_results,
    write_table,
)
from clipyard.reasons import Reason, Status

BRINGING = ("fetch", "download")
"""The steps whose results say what is there."""


def _part(job: dict[str, str], root: Path) -> Iterator[Row]:
    """The manifest of one shard; without one (the task failed for good) its items are failed, each by name."""
    out = root / job["out"]
    if out.exists():
        yield from read_rows(out)
        return
    for row in read_rows(root / job["items"]):
        yield {
            **row,
            "status": str(Status.FAILED),
            "reason": str(Reason.TASK_FAILED),
            "evidence": f"the task of {job['name']} ended without a result; its log says why",
            "key": "",
        }


def result_rows(ctx: RunContext, jobs: list[dict[str, str]]) -> Iterator[Row]:
    """All rows of this run: fetched shards, then what was left alone (or found in a local folder after all)."""
    found: set[str] = set()
    for job in jobs:
        local = (ctx.data.root / job["items"]).parent == ctx.place.found
        for row in _part(job, ctx.data.root):
            if local and not Status(row["status"]).is_present:
                continue  # the ledger's reason says more than 'not in the local folder'
            if local:
                found.add(row["item_id"])
            yield row
    for row in read_rows(ctx.place.held):
        if row["item_id"] not in found:
            yield {**row, "key": ""}
    if ctx.place.absent.exists():  # a run that an earlier version planned has none
        for row in read_rows(ctx.place.absent):
            yield {**row, "key": ""}


def record(ctx: RunContext) -> dict[str, int]:
    """Write ``results.parquet`` and ``recorded.parquet``, tell the ledger, merge into the state; counts by status."""
    planned = read_json(ctx.plan_file)["jobs"]
    jobs = next(planned[step] for step in BRINGING if step in planned)
    write_results(ctx.results, result_rows(ctx, jobs))
    # The way out that the shards were told to take when the run was planned, whatever this worker's own is called.
    egress = next((str(read_json(ctx.data.root / job["params"])["egress"]) for job in jobs), ctx.settings.egress)
    with ctx.ledger() as ledger:
        ledger.record(ctx.spec.name, ctx.run, egress, [ctx.results], ctx.now())
    results = read_table(ctx.results, STATE_SCHEMA.names)
    catalog_ids = read_table(ctx.catalog, ["item_id"])["item_id"].combine_chunks()
    with locked(ctx.state):
        state = check_files(merged(read_state(ctx.state), results, catalog_ids), ctx.data.root)
        write_table(ctx.state, state, STATE_SCHEMA)
    # A refresh asks about the dead only; it is judged by the whole data set.
    judged = state if ctx.kind == "refresh" else results
    write_table(ctx.recorded, judged, STATE_SCHEMA)
    return dict(Counter(judged["status"].to_pylist()))


def counts_of(path: Path) -> dict[str, Any]:
    """Counts by status, by reason and by split of a results or recorded manifest."""
    table = read_table(path, ["split", "status", "reason"])
    by_split: dict[str, Counter[str]] = {}
    for split, status in zip(table["split"].to_pylist(), table["status"].to_pylist(), strict=True):
        by_split.setdefault(split, Counter())[status] += 1
    gone = table.filter(pc.invert(pc.is_in(table["status"], value_set=PRESENT)))
    return {
        "rows": table.num_rows,
        "status": dict(Counter(table["status"].to_pylist())),
        "reasons": dict(Counter(gone["reason"].to_pylist())),
        "by_split": {split: dict(counter) for split, counter in by_split.items()},
    }
