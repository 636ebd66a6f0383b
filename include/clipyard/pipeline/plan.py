"""What a run will do: which items, in which shard, and which are left alone because their time has not come.

Shards are made by hash of the source video's id, so that all clips of one video, of whatever split, meet in one task and the
video is fetched and decoded once.
"""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipyard.errors import UserError
from clipyard.files import read_json, write_json
from clipyard.ids import normalise_label
from clipyard.manifest import ITEM_FIELDS, read_table, schema_of
from clipyard.pipeline.context import RunContext
from clipyard.pipeline.graph import steps_of
from clipyard.pipeline.nearby import Nearby
from clipyard.pipeline.params import MAX_SHARDS, BoxParams, KineticsParams
from clipyard.pipeline.state import PRESENT, check_files, read_state, write_table
from clipyard.reasons import Status

VIDEOS_PER_SHARD = 400
"""Big enough that a task's start does not matter, small enough that a retry loses little."""

_ITEMS = [f.name for f in ITEM_FIELDS]
SHARD_SCHEMA = schema_of(ITEM_FIELDS, "shard")
HELD_SCHEMA = schema_of(
    (*ITEM_FIELDS, pa.field("status", pa.string()), pa.field("reason", pa.string()), pa.field("evidence", pa.string())),
    "held",
)


@dataclass(frozen=True)
class Plan:
    """Shard files (relative to the data root) and the numbers for ``plan.json``."""

    shards: list[Path]
    local_shards: list[Path]
    counts: dict[str, Any]


def select(ctx: RunContext, catalog: pa.Table) -> pa.Table:
    """The usable catalog rows that the run's parameters choose."""
    table = catalog.filter(pc.equal(catalog["status"], str(Status.DONE)))
    table = table.filter(pc.is_in(table["split"], value_set=pa.array(ctx.splits, pa.string())))
    if isinstance(ctx.params, KineticsParams) and ctx.params.classes:
        wanted = {normalise_label(label) for label in ctx.params.classes}
        table = _only(ctx, table, catalog, "class_dir", wanted, "class", "write it as in the csv or as its folder")
    if isinstance(ctx.params, BoxParams) and ctx.params.videos:
        wanted = set(ctx.params.videos)
        table = _only(ctx, table, catalog, "video_id", wanted, "video", "ids are those of the annotations")
    if ctx.params.limit is not None:
        table = pa.concat_tables(
            table.filter(pc.equal(table["split"], split)).slice(0, ctx.params.limit) for split in ctx.splits
        )
    table = table.select(_ITEMS)
    if ctx.spec.arrangement == "flat":  # the classes stay in the catalog; steps see clips of no folder
        table = table.set_column(_ITEMS.index("class_dir"), "class_dir", pa.nulls(table.num_rows, pa.string()))
    return table


def _only(
    ctx: RunContext, table: pa.Table, catalog: pa.Table, column: str, wanted: set[str], what: str, advice: str
) -> pa.Table:
    """The rows with one of the ``wanted`` values; one that no row of the catalog has is a person's mistake."""
    if unknown := wanted - set(pc.unique(catalog[column]).to_pylist()):
        raise UserError(f"{ctx.spec.name} has no {what} '{sorted(unknown)[0]}'; {advice}.")
    return table.filter(pc.is_in(table[column], value_set=pa.array(sorted(wanted), pa.string())))


def shard_count(videos: int, asked: int | None) -> int:
    """How many shards: what was asked for, else by size; at least one, at most 1,000."""
    return min(MAX_SHARDS, asked or max(1, -(-videos // VIDEOS_PER_SHARD)))


def write_shards(folder: Path, prefix: str, table: pa.Table, count: int) -> list[Path]:
    """Write the rows into at most ``count`` files, neighbours of one video together; empty shards are left out."""
    if table.num_rows == 0:
        return []
    number = pa.array([zlib.crc32(str(video).encode()) % count for video in table["video_id"].to_pylist()], pa.int32())
    table = table.append_column("shard", number).sort_by(
        [("shard", "ascending"), ("video_id", "ascending"), ("start", "ascending"), ("item_id", "ascending")]
    )
    sizes = pc.value_counts(table["shard"]).to_pylist()
    paths, begin = [], 0
    for entry in sorted(sizes, key=lambda e: e["values"]):
        path = folder / f"{prefix}-{entry['values']:05d}.parquet"
        write_table(path, table.slice(begin, entry["counts"]).select(_ITEMS), SHARD_SCHEMA)
        begin += entry["counts"]
        paths.append(path)
    return paths


def _in(table: pa.Table, ids: pa.Array) -> pa.Array:
    return pc.is_in(table["item_id"], value_set=ids)


def _standing(ctx: RunContext) -> pa.Table:
    with ctx.ledger() as ledger:
        return ledger.plan_refresh(ctx.spec.name, ctx.now(), ctx.settings.egress)


def _held(ctx: RunContext, selected: pa.Table) -> pa.Table:
    """Selected items that are missing and whose time has not come, with the ledger's reason."""
    if ctx.params.retry_all:
        return HELD_SCHEMA.empty_table()
    known = _standing(ctx)
    missing = pc.and_(pc.invert(known["due"]), pc.invert(pc.is_in(known["status"], value_set=PRESENT)))
    known = known.filter(missing).select(["item_id", "reason", "evidence"])
    joined = selected.join(known, "item_id", join_type="inner")
    status = pa.array([str(Status.MISSING)] * joined.num_rows, pa.string())
    return joined.append_column("status", status).select(HELD_SCHEMA.names)


def _due(ctx: RunContext, selected: pa.Table, state: pa.Table) -> pa.Table:
    """For a refresh, of what was ever asked for: what the ledger says is due, and what has gone from the disk."""
    now_missing = check_files(state, ctx.data.root)
    now_missing = now_missing.filter(_missing(now_missing))["item_id"].combine_chunks()
    if not ctx.params.retry_all:
        known = _standing(ctx)
        vanished = state.filter(pc.invert(_missing(state)))["item_id"].combine_chunks()
        due = pc.or_(_in(selected, known.filter(known["due"])["item_id"].combine_chunks()), _in(selected, vanished))
        selected = selected.filter(due)
    return selected.filter(_in(selected, now_missing))


def _missing(table: pa.Table) -> pa.Array:
    return pc.invert(pc.is_in(table["status"], value_set=PRESENT))


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def _allotted(sizes: list[int], asked: int | None) -> list[int]:
    """Into how many shards each group is cut: together at most what Airflow maps."""
    counts = [shard_count(size, asked) if size else 0 for size in sizes]
    total = sum(counts)
    if total <= MAX_SHARDS:
        return counts
    spare = MAX_SHARDS - len(counts)
    return [1 + count * spare // total if count else 0 for count in counts]


def make_plan(ctx: RunContext) -> Plan:
    """Choose the items, write the shards, say what is left alone and why."""
    from clipyard.pipeline.step_params import askable_splits, fetch_params

    catalog = read_table(ctx.catalog, [*_ITEMS, "status"])
    selected = select(ctx, catalog)
    place = ctx.place
    shutil.rmtree(place.plan, ignore_errors=True)  # of a plan that was not finished, or of other parameters
    if ctx.kind == "refresh":
        asked, held = _due(ctx, selected, read_state(ctx.state)), HELD_SCHEMA.empty_table()
    else:
        held = _held(ctx, selected)
        asked = selected.filter(pc.invert(_in(selected, held["item_id"].combine_chunks())))
    catalog_by_split, by_split = _counted(catalog["split"]), _counted(asked["split"])
    nearby = Nearby(ctx, fetch_params(ctx, local_only=True))
    asked, absent = nearby.divide(asked, askable_splits(ctx, by_split, catalog_by_split))
    found = held.select(_ITEMS)
    found = found.filter(nearby.may_lie(found)) if _has_local(ctx) else found.slice(0, 0)
    write_table(place.held, held, HELD_SCHEMA)
    write_table(place.absent, nearby.told(absent), HELD_SCHEMA)
    write_table(place.wanted, asked, SHARD_SCHEMA)
    videos = pc.count_distinct(asked["video_id"]).as_py()
    for_asked, for_found = _allotted([videos, pc.count_distinct(found["video_id"]).as_py()], ctx.params.shards)
    shards = write_shards(place.items, "shard", asked, for_asked)
    local = write_shards(place.found, "local", found, for_found)
    counts = {
        "catalog": catalog.num_rows,
        "selected": selected.num_rows,
        "asked": asked.num_rows,
        "absent": absent.num_rows,
        "videos": videos,
        "held": _counted(held["reason"]),
        "shards": len(shards) + len(local),
        "catalog_by_split": catalog_by_split,
        "by_split": by_split,
    }
    return Plan(shards, local, counts)


def _has_local(ctx: RunContext) -> bool:
    from clipyard.pipeline.step_params import NEAR, enabled_sources

    return any(source.kind in NEAR for source in enabled_sources(ctx))


def existing_plan(ctx: RunContext) -> dict[str, Any] | None:
    """The counts of the run's plan when it was made with the same parameters.

    A run that is started again must meet the same shards, or its finished parts would belong to other items. With other
    parameters the old parts are removed.
    """
    if not ctx.plan_file.exists():
        return None
    plan: dict[str, Any] = read_json(ctx.plan_file)
    same = {key: plan.get(key) for key in ("params", "kind")} == {key: ctx.as_json()[key] for key in ("params", "kind")}
    if same:
        return dict(plan["counts"])
    ctx.plan_file.unlink()
    for step in ("plan", *steps_of(ctx.spec.annotation_format)):
        shutil.rmtree(ctx.folder / step, ignore_errors=True)
    return None


def write_plan(ctx: RunContext, plan: Plan, jobs: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """Write ``plan.json``."""
    content = {**ctx.as_json(), "counts": plan.counts, "jobs": jobs, "dry_run": ctx.params.dry_run}
    write_json(ctx.plan_file, content)
    return content
