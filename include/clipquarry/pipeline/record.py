"""Collection of the shards' results: one row per requested item, the ledger, and the data set's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from clipquarry.errors import ManifestError, UserError
from clipquarry.files import as_object
from clipquarry.ledger.policy import RULES, is_telling
from clipquarry.manifest import Row, read_rows, read_table, read_tuples
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import bringing_step
from clipquarry.pipeline.plan_files import advice
from clipquarry.pipeline.state import (
    GONE,
    PRESENT,
    STATE_SCHEMA,
    check_files,
    locked,
    merged,
    read_state,
    write_results,
    write_table,
)
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.run_documents import PlanFacts, read_plan, read_step_params
from clipquarry.steps.answers import Answer, decisive
from clipquarry.steps.registry import ARCHIVES


def _part(job: dict[str, str], root: Path) -> Iterator[Row]:
    """The manifest of one shard. Without one (the task failed for good) its items are failed, each by name.

    Raises :class:`ManifestError` for one that is of other items.
    """
    out, items = root / job["out"], root / job["items"]
    if out.exists():
        rows = read_rows(out)
        for (wanted,), row in zip_longest(read_tuples(items, ["item_id"]), rows, fillvalue=(None,)):
            if not isinstance(row, dict) or row.get("item_id") != wanted or not _is_known(row):
                raise ManifestError(f"{out} is not what the step made of {items}: delete it, then run the step again.")
            yield row
        return
    for row in read_rows(items):
        yield {
            **row,
            "status": str(Status.FAILED),
            "reason": str(Reason.TASK_FAILED),
            "evidence": f"the task of {job['name']} ended without a result; its log says why",
            "key": "",
        }


def _is_known(row: Row) -> bool:
    return row.get("status") in frozenset(Status) and row.get("reason") in frozenset(Reason)


def result_rows(ctx: RunContext, plan: PlanFacts, jobs: list[dict[str, str]]) -> Iterator[Row]:
    """All rows of this run: fetched shards, then items without a request (or found in a local folder after all)."""
    found: set[str] = set()
    said = {row["item_id"]: row for row in read_rows(ctx.place.known)}
    lacks = _Archives(ctx, plan)
    for job in jobs:
        local = (ctx.data.root / job["items"]).parent == ctx.place.found
        for row in _part(job, ctx.data.root):
            if local and not Status(row["status"]).is_present:
                continue  # the ledger's reason says more than 'not in the local folder'
            if local:
                found.add(row["item_id"])
            yield lacks.told(_weighed(row, said.get(row["item_id"])))
    for row in read_rows(ctx.place.held):
        if row["item_id"] not in found:
            yield lacks.told({**row, "key": ""})
    if ctx.place.absent.exists():  # a run that an earlier version planned has none
        for row in read_rows(ctx.place.absent):
            yield {**row, "key": ""}


def _weighed(row: Row, said: Row | None) -> Row:
    """A row for which only some sources were asked: the others have answered before."""
    if said is None or row["status"] not in (Status.MISSING, Status.FAILED) or not row.get("attempts"):
        return row
    before, now = (Reason(one["reason"]) for one in (said, row))
    if not is_telling(before):
        return row
    answers = [
        Answer("before", before, said["evidence"], RULES[before].subject == "video"),
        Answer("now", now, row["evidence"], RULES[now].subject == "video"),
    ]
    if decisive(answers).source == "now":
        return row
    return {**row, "status": str(Status.MISSING), "reason": str(before), "evidence": said["evidence"]}


class _Archives:
    """Items that the archives lack which this run read to their ends; each is an answer, kept as an attempt."""

    def __init__(self, ctx: RunContext, plan: PlanFacts) -> None:
        self._at = plan.get("planned", "")
        self._splits: dict[str, set[str]] = {}
        self._unread: dict[str, tuple[set[str], str]] = {}
        volumes: Counter[str] = Counter()
        unread: dict[str, str] = {}
        for job in (job for step in ARCHIVES for job in plan["jobs"].get(step, [])):
            planned = str(read_step_params(ctx.data.root / job["params"], source=str)["source"])
            for row in _part(job, ctx.data.root):
                source = row.get("source") or planned  # a person may have placed another's archive instead
                volumes[source] += 1
                # An archive that was read to its end without any wanted clip is 'missing' by 'no_source'.
                if not Status(row["status"]).is_present and row["reason"] != Reason.NO_SOURCE:
                    unread.setdefault(source, row["evidence"])
        self._volumes = volumes
        if ctx.spec.has_files:  # else an archive is one source among others
            unread = {**_unplaced(ctx, [one for one in plan.get("archives", {}) if not volumes[one]]), **unread}
            self._unread = {source: (set(plan["archives"][source]), why) for source, why in unread.items()}
        for source, splits in plan.get("archives", {}).items():
            problems = as_object(as_object(plan["counts"].get("archives")).get(source)).get("problems")
            if volumes[source] and source not in unread and not problems:
                self._splits[source] = set(splits)
        asked = self._splits or self._unread
        self._wanted = {row["item_id"] for row in read_rows(ctx.place.wanted, ["item_id"])} if asked else set()

    def told(self, row: Row) -> Row:
        if Status(row["status"]) is not Status.MISSING or row["item_id"] not in self._wanted:
            return row
        row = self._without(row)
        asked = [source for source, splits in self._splits.items() if row["split"] in splits]
        if not asked:
            return row
        others, reason, evidence = row.get("attempts") or [], Reason.NOT_FOUND, ""
        if not others and Trait.UNUSABLE in Reason(row["reason"]).traits:
            # It was in the archive, and nobody else has it.
            reason, evidence = Reason(row["reason"]), row["evidence"]
        more = [
            {
                "source": source, "at": self._at, "reason": str(reason), "seconds": 0.0, "bytes": 0,
                "evidence": evidence or self._lacking(source),
            }
            for source in asked
        ]  # fmt: skip
        if not others and row["reason"] == Reason.NO_SOURCE:
            row = {**row, "reason": str(reason), "evidence": "; ".join(f"{one}: {self._lacking(one)}" for one in asked)}
        return {**row, "attempts": [*more, *others]}

    def _without(self, row: Row) -> Row:
        """The row with why its archives could not be read, where nobody else was asked."""
        whys = [f"{source}: {why}" for source, (splits, why) in self._unread.items() if row["split"] in splits]
        if not whys or row["reason"] != Reason.NO_SOURCE or row.get("attempts"):
            return row
        return {**row, "evidence": "; ".join(whys)}

    def _lacking(self, source: str) -> str:
        count = self._volumes[source]
        return f"not in the {f'{count} volumes of the ' if count > 1 else ''}archive"


def _unplaced(ctx: RunContext, sources: Iterable[str]) -> dict[str, str]:
    """What a person should do for archives that have no address and were not placed, by source."""
    by_id = {source.id: source for source in ctx.spec.item_sources}
    place = ctx.data.dataset(ctx.spec.root)
    return {
        name: f"no {' or '.join(by_id[name].files)} lies in {place}; {by_id[name].howto}"
        for name in sources
        if name in by_id and by_id[name].files
    }


def record(ctx: RunContext) -> dict[str, int]:
    """Write ``results.parquet`` and ``recorded.parquet``, tell the ledger, merge into the state; returns counts by
    status.
    """
    plan = read_plan(ctx.place)
    jobs = plan["jobs"].get(bringing_step(ctx.spec))
    if jobs is None or "sources" not in plan:
        raise UserError(f"{ctx.plan_file} lacks the jobs or the sources of the run. {advice(ctx.place)}")
    write_results(ctx.results, result_rows(ctx, plan, jobs))
    # The egress of the shards as planned, whatever this worker's own is.
    told = (read_step_params(ctx.data.root / job["params"], egress=str) for job in jobs)
    egress = next((str(params["egress"]) for params in told), ctx.settings.egress)
    results = read_table(ctx.results, STATE_SCHEMA.names)
    catalog_ids = read_table(ctx.catalog, ["item_id"])["item_id"].combine_chunks()
    who = plan["sources"]  # as planned, whatever this worker's environment says
    with ctx.ledger() as ledger:
        ledger.record(
            ctx.spec.name, ctx.run, egress, [ctx.results], ctx.now(), sources=who["keys"], for_good=who["for_good"]
        )
        with locked(ctx.state):
            state = check_files(merged(read_state(ctx.state), results, catalog_ids), ctx.data.root)
            write_table(ctx.state, state, STATE_SCHEMA)
        gone = state.filter(pc.equal(state["evidence"], GONE))["item_id"].to_pylist()
        ledger.record_gone(ctx.spec.name, ctx.run, gone, GONE, datetime.now(UTC))
    # A refresh requests dead items only, but the gates judge the whole data set.
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
