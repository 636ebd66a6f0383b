"""The plan of a run: its items, their shards, and the items that are not due yet.

All clips of one video, of whatever split, meet in one shard, so that the video is fetched and decoded once. Where YouTube
is asked, shards are in the order of the questions, the best first; else they are made by hash of the video's id.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.manifest import ITEM_FIELDS, read_table, scalar, schema_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.crawl import Crawl, answers_param, ask_ledger, gives_way, ranked, write_others
from clipquarry.pipeline.estimate import estimate
from clipquarry.pipeline.family import brings
from clipquarry.pipeline.fetch_params import fetch_params
from clipquarry.pipeline.nearby import Nearby
from clipquarry.pipeline.params import MAX_SHARDS, Only
from clipquarry.pipeline.plan_files import digests, remove
from clipquarry.pipeline.sources import NEAR, Askers, askers, enabled_sources, new_archives
from clipquarry.pipeline.state import PRESENT, check_files, read_state, write_table
from clipquarry.pipeline.tally import Tally, count_asked, count_held
from clipquarry.reasons import Status
from clipquarry.run_documents import PlanFacts
from clipquarry.run_folder import shard

log = logging.getLogger(__name__)

VIDEOS_PER_SHARD = 400
"""Large enough that a task's start does not matter, small enough that a retry loses little."""

_ITEMS = [f.name for f in ITEM_FIELDS]
SHARD_SCHEMA = schema_of(ITEM_FIELDS, "shard")
HELD_SCHEMA = schema_of(
    (*ITEM_FIELDS, pa.field("status", pa.string()), pa.field("reason", pa.string()), pa.field("evidence", pa.string())),
    "held",
)


LOCAL = "local"
"""Prefix of shards whose items are only searched locally: folders, other data sets, the store."""


@dataclass(frozen=True)
class Group:
    """Shards of items with the same allowed sources. ``sources``: their ids; None: all of the run."""

    prefix: str
    shards: list[Path]
    sources: frozenset[str] | None = None


@dataclass(frozen=True)
class Plan:
    """Shard files by group, and the numbers for ``plan.json``. ``archives``: splits to read, by source."""

    groups: list[Group]
    counts: dict[str, Any]
    archives: dict[str, list[str]]
    who: Askers
    estimate: dict[str, Any]
    answers: dict[str, Any] | None = None
    """Parameter of the steps that ask YouTube, see :func:`clipquarry.pipeline.crawl.answers_param`."""

    @property
    def shards(self) -> list[Path]:
        """All shards, in the order of the jobs."""
        return [shard for group in self.groups for shard in group.shards]


def select(ctx: RunContext, catalog: pa.Table) -> pa.Table:
    """The usable catalog rows that the run's parameters choose."""
    table = catalog.filter(pc.equal(catalog["status"], str(Status.DONE)))
    table = table.filter(pc.is_in(table["split"], value_set=pa.array(ctx.splits, pa.string())))
    for only in ctx.params.only():
        table = _chosen(ctx, table, catalog, only)
    if ctx.params.limit is not None:
        table = pa.concat_tables(
            table.filter(pc.equal(table["split"], split)).slice(0, ctx.params.limit) for split in ctx.splits
        )
    table = table.select(_ITEMS)
    if ctx.spec.item.level == 1:  # the classes stay in the catalog; steps see clips without a folder
        table = table.set_column(_ITEMS.index("class_dir"), "class_dir", pa.nulls(table.num_rows, pa.string()))
    return table


def _chosen(ctx: RunContext, table: pa.Table, catalog: pa.Table, only: Only) -> pa.Table:
    """The rows with one of the chosen values. A value that no row of the catalog has is a person's mistake."""
    if unknown := only.values - set(pc.unique(catalog[only.column]).to_pylist()):
        raise UserError(f"{ctx.spec.name} has no {only.noun} '{sorted(unknown)[0]}'; {only.advice}.")
    return table.filter(pc.is_in(table[only.column], value_set=pa.array(sorted(only.values), pa.string())))


def shard_count(videos: int, asked: int | None) -> int:
    """Number of shards: the requested one, else by size; at least one, at most 1,000."""
    return min(MAX_SHARDS, asked or max(1, -(-videos // VIDEOS_PER_SHARD)))


def write_shards(
    folder: Path, prefix: str, table: pa.Table, count: int, order: pa.Table | None = None
) -> list[Path]:  # fmt: skip
    """Write the rows into at most ``count`` files, with neighbours of one video together; empty shards are left out.

    ``order``: the videos in the order of their questions (:attr:`clipquarry.pipeline.crawl.Crawl.order`), in which the shards
    and their rows are then. Without one, each shard has a like share of all videos.
    """
    if table.num_rows == 0:
        return []
    if order is None:
        number = pa.array(
            [zlib.crc32(str(video).encode()) % count for video in table["video_id"].to_pylist()], pa.int32()
        )
        within = ("video_id", "ascending")
    else:
        videos = ranked(table, order)["video_id"].combine_chunks()
        place = pc.index_in(table["video_id"], value_set=videos)
        number = pc.divide(pc.multiply(pc.cast(place, pa.int64()), min(count, len(videos))), len(videos))
        table = table.append_column("place", place)
        within = ("place", "ascending")
    table = table.append_column("shard", number).sort_by(
        [("shard", "ascending"), within, ("start", "ascending"), ("item_id", "ascending")]
    )
    sizes = pc.value_counts(table["shard"]).to_pylist()
    paths, begin = [], 0
    for entry in sorted(sizes, key=lambda e: e["values"]):
        path = shard(folder, prefix, entry["values"])
        write_table(path, table.slice(begin, entry["counts"]).select(_ITEMS), SHARD_SCHEMA)
        begin += entry["counts"]
        paths.append(path)
    return paths


def _in(table: pa.Table, ids: pa.Array) -> pa.Array:
    return pc.is_in(table["item_id"], value_set=ids)


def _missing(table: pa.Table) -> pa.Array:
    return pc.invert(pc.is_in(table["status"], value_set=PRESENT))


def _candidates(ctx: RunContext, selected: pa.Table, known: pa.Table) -> pa.Table:
    """The items that the run would request if everything were due.

    A refresh: of all items ever requested, those that are missing, or have gone from the disk. A full run: the
    selected ones.
    """
    if ctx.kind != "refresh":
        return selected
    state = read_state(ctx.state)
    there = _there(ctx, state)
    ever = known.filter(known["asked"])["item_id"].combine_chunks()
    before = state["item_id"].combine_chunks()
    asked = pc.or_(_in(selected, ever), _in(selected, before))
    return selected.filter(pc.and_(asked, pc.invert(_in(selected, there))))


def _there(ctx: RunContext, state: pa.Table) -> pa.Array:
    """Items whose files are on the disk."""
    return state.filter(pc.invert(_missing(check_files(state, ctx.data.root))))["item_id"].combine_chunks()


@dataclass(frozen=True)
class _Choice:
    """``groups``: source ids (None: all) to the items that may be requested from them, with the mask ``open`` of the
    sources; ``held``: items that are not due.
    """

    groups: list[tuple[frozenset[str] | None, pa.Table]]
    held: pa.Table
    archives: dict[str, list[str]]
    from_archives: pa.Table
    """Those of ``held`` that archives may contain that this run reads."""
    gave_way: int
    """Items whose question to YouTube is due and left to a later refresh."""


def _choose(
    ctx: RunContext, candidates: pa.Table, known: pa.Table, who: Askers, by_split: dict[str, int], nearby: Nearby,
    crawl: Crawl,
) -> _Choice:  # fmt: skip
    every, clocked = (1 << len(who.ids)) - 1, (1 << len(who.clocked)) - 1
    absent = known.filter(pc.invert(pc.is_in(known["status"], value_set=PRESENT))).select(["item_id", "open"])
    masks = dict(zip(absent["item_id"].to_pylist(), absent["open"].to_pylist(), strict=True))
    there = set(_there(ctx, read_state(ctx.state)).to_pylist()) if who.archives else set()
    names = candidates["item_id"].to_pylist()
    new = new_archives(ctx, who)
    fresh = sum(1 << place for place, name in enumerate(who.ids) if name in new)
    going_on = frozenset(_going_on(ctx, new))
    # Items that are present by the ledger are verified, or have gone from the disk: then every source may be asked.
    open_ = [
        (clocked | fresh if split in going_on else clocked) if name in there
        else every if ctx.params.retry_all else masks.get(name, every) | fresh
        for name, split in zip(names, candidates["split"].to_pylist(), strict=True)
    ]  # fmt: skip
    gave_way = 0
    if crawl.asker and gives_way(ctx):
        late, others = crawl.second_looks, ~(1 << who.ids.index(crawl.asker))
        videos = candidates["video_id"].to_pylist()
        waits = [video in late and name not in there for name, video in zip(names, videos, strict=True)]
        open_ = [mask & others if wait else mask for mask, wait in zip(open_, waits, strict=True)]
        gave_way = sum(waits)
    masked = candidates.append_column("open", pa.array(open_, pa.int64()))
    asks_nobody = not who.ids  # folders have no clock
    due = pa.array(
        [
            asks_nobody or name in there or bool(mask & (clocked or every))
            for name, mask in zip(names, open_, strict=True)
        ],
        pa.bool_(),
    )
    asked, held = masked.filter(due), masked.filter(pc.invert(due))
    # Files that lie there are only verified: no archive is downloaded for them.
    wanting = asked
    if brings(ctx.spec) in ("files", "folders", "mixed"):
        more = pc.is_in(asked["split"], value_set=pa.array(sorted(going_on), pa.string()))
        wanting = asked.filter(pc.or_(pc.invert(nearby.may_lie(asked)), more))
    archives, lookups = _archives(ctx, wanting, held, who, by_split)
    groups = []
    for mask in sorted(set(pc.bit_wise_and(asked["open"], clocked).to_pylist()), reverse=True):
        rows = asked.filter(pc.equal(pc.bit_wise_and(asked["open"], clocked), mask)).select([*_ITEMS, "open"])
        chosen = frozenset(name for place, name in enumerate(who.clocked) if mask >> place & 1)
        groups.append((None if len(chosen) == len(who.clocked) else chosen, rows))
    return _Choice(groups, held.select(_ITEMS), archives, lookups.select(_ITEMS), gave_way)


def _going_on(ctx: RunContext, new: Collection[str]) -> list[str]:
    """Splits whose items may be there in part: a volume that was never read has more of their files."""
    sources = [one for one in ctx.spec.item_sources if one.id in new and one.archive and one.archive.each == "files"]
    return [split for split in ctx.splits if any(ctx.spec.unpacks(source, split) for source in sources)]


def _archives(
    ctx: RunContext, asked: pa.Table, held: pa.Table, who: Askers, by_split: dict[str, int]
) -> tuple[dict[str, list[str]], pa.Table]:
    """Archives hold thousands of clips each, so they are read only if a good share of a split is wanted from them."""
    found: dict[str, list[str]] = {}
    take = pa.array([False] * held.num_rows, pa.bool_())
    shares = {source.id: 0.0 if source.has_files else source.archive_min_share for source in ctx.spec.item_sources}
    by_id = {source.id: source for source in ctx.spec.item_sources}
    for place, name in enumerate(who.ids):
        if name not in who.archives:
            continue
        source = by_id[name]
        bit = 1 << place
        wanted = {
            split: [pc.and_(pc.not_equal(pc.bit_wise_and(t["open"], bit), 0), pc.equal(t["split"], split)) for t in (asked, held)]
            for split in ctx.splits if not source.has_files or ctx.spec.unpacks(source, split)
        }  # fmt: skip
        for split, (of_asked, of_held) in wanted.items():
            count = (pc.sum(of_asked).as_py() or 0) + (pc.sum(of_held).as_py() or 0)
            if count and count >= shares[name] * by_split[split]:
                found.setdefault(name, []).append(split)
                take = pc.or_(take, of_held)
    return found, held.filter(take)


def _allotted(sizes: list[int], asked: int | None) -> list[int]:
    """Number of shards for each group: together at most what Airflow maps."""
    counts = [shard_count(size, asked) if size else 0 for size in sizes]
    total = sum(counts)
    if total <= MAX_SHARDS:
        return counts
    spare = MAX_SHARDS - len(counts)
    return [1 + count * spare // total if count else 0 for count in counts]


def make_plan(ctx: RunContext) -> Plan:
    """Choose the items, write the shards, and record which items are left out and why."""
    catalog = read_table(ctx.catalog, [*_ITEMS, "status"])
    selected = select(ctx, catalog)
    place = ctx.place
    remove(place.plan)  # from an unfinished plan
    by_split = _counted(catalog["split"])
    who = askers(ctx)
    with ctx.ledger() as ledger:
        known = ledger.plan_refresh(ctx.spec.name, ctx.now(), ctx.settings.egress, sources=who.ledger_keys)
        crawl = ask_ledger(ctx, ledger, who)
    nearby = Nearby(ctx, fetch_params(ctx, only=frozenset()))
    candidates = _candidates(ctx, selected, known)
    choice = _choose(ctx, candidates, known, who, by_split, nearby, crawl)
    asked_by_split = _counted(_joined(selected, choice)["split"])
    # With a remote source every item gets a task; without one, only items that lie on disk do.
    askable = set(ctx.splits) if who.clocked else {split for splits in choice.archives.values() for split in splits}
    divided = [(sources, *nearby.divide(rows, askable)) for sources, rows in choice.groups]
    absent = pa.concat_tables([selected.slice(0, 0), *(rows.select(_ITEMS) for *_, rows in divided)])
    tally = Tally(ctx, selected)
    count_asked(tally, [rows for _, rows, _ in divided], who, choice.archives, nearby, askable)
    tally.add("nowhere", "", absent)
    choice = replace(choice, groups=[(sources, rows.select(_ITEMS)) for sources, rows, _ in divided])
    asked = _joined(selected, choice)
    held = HELD_SCHEMA.empty_table() if ctx.kind == "refresh" else _told(choice.held, known)
    near = choice.from_archives
    if ctx.kind != "refresh" and _has_local(ctx):
        from_archives = _in(choice.held, near["item_id"].combine_chunks())
        near = choice.held.filter(pc.or_(from_archives, nearby.may_lie(choice.held)))
    count_held(tally, choice.held, _told(choice.held, known), near, choice.from_archives, choice.archives)
    if ctx.kind == "refresh":
        others = selected.filter(pc.invert(_in(selected, candidates["item_id"].combine_chunks())))
        tally.add("later", "", tally.take_here(others, planned=False))
    partial = [rows for sources, rows in choice.groups if sources is not None]
    write_table(place.held, held, HELD_SCHEMA)
    write_table(place.absent, nearby.told(absent), HELD_SCHEMA)
    write_table(place.known, _told(pa.concat_tables([selected.slice(0, 0), *partial]), known), HELD_SCHEMA)
    write_table(place.wanted, pa.concat_tables([asked, choice.from_archives]), SHARD_SCHEMA)
    videos = [pc.count_distinct(rows["video_id"]).as_py() for _, rows in choice.groups]
    sizes = [*videos, pc.count_distinct(near["video_id"]).as_py()]
    *counts, local = _allotted(sizes, ctx.params.shards)
    groups = []
    for number, ((sources, rows), count) in enumerate(zip(choice.groups, counts, strict=True)):
        prefix = "shard" if sources is None else f"some{number}"
        groups.append(Group(prefix, write_shards(place.items, prefix, rows, count, crawl.order), sources))
    groups.append(Group(LOCAL, write_shards(place.found, LOCAL, near, local), frozenset()))
    counted = {
        "catalog": catalog.num_rows,
        "selected": selected.num_rows,
        "asked": asked.num_rows,
        "absent": absent.num_rows,
        "videos": sum(videos),
        "held": _counted(held["reason"]),
        "gave_way": choice.gave_way,
        "shards": sum(len(group.shards) for group in groups),
        "catalog_by_split": by_split,
        "by_split": asked_by_split,
    }
    others = write_others(ctx, asked, crawl)
    told = estimate(ctx, tally, catalog, choice.archives, crawl, asked, others)
    groups = [group for group in groups if group.shards]
    return Plan(groups, counted, choice.archives, who, told, answers_param(ctx))


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def _joined(selected: pa.Table, choice: _Choice) -> pa.Table:
    """The items of all groups."""
    return pa.concat_tables([selected.slice(0, 0), *(rows.select(_ITEMS) for _, rows in choice.groups)])


def _told(items: pa.Table, known: pa.Table) -> pa.Table:
    """The items with the ledger's knowledge of them."""
    known = known.filter(_missing(known)).select(["item_id", "reason", "evidence"])
    joined = scalar(items).join(scalar(known), "item_id", join_type="inner")
    status = pa.array([str(Status.MISSING)] * joined.num_rows, pa.string())
    return joined.append_column("status", status).select(HELD_SCHEMA.names)


def _has_local(ctx: RunContext) -> bool:
    return any(source.kind in NEAR for source in enabled_sources(ctx))


def write_plan(ctx: RunContext, plan: Plan, jobs: dict[str, list[dict[str, str]]]) -> PlanFacts:
    """Write ``plan.json``."""
    content = {
        **ctx.as_json(), "counts": plan.counts, "jobs": jobs, "dry_run": ctx.params.dry_run, "archives": plan.archives,
        "planned": datetime.now(UTC).isoformat(), "automatic": ctx.automatic, "estimate": plan.estimate, "sources": {"keys": plan.who.keys, "for_good": plan.who.archives},
        "files": digests(ctx.place),
    }  # fmt: skip
    write_json(ctx.plan_file, content)
    return cast(PlanFacts, content)
