"""Who is who in a crop: the jobs of the step ``track``, and the people whom it saw at the labelled seconds."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from clipquarry.annotations.own_ava.key_frames import frame_of
from clipquarry.annotations.own_ava.person_ids import Track
from clipquarry.errors import UserError
from clipquarry.families.boxes.detection import detector_params
from clipquarry.families.boxes.own.key_frames import FOLDER_FIELDS, present_crops
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.files import sha256_of
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, read_table
from clipquarry.microseconds import SECOND
from clipquarry.people.rates import rate_of
from clipquarry.people.tracking.track_file import Seen, read_tracks
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.plan import SHARD_SCHEMA, Plan, shard_count, write_shards
from clipquarry.pipeline.stage import needs_made, needs_plan
from clipquarry.pipeline.step_params import Job, make_jobs
from clipquarry.report.text import plural
from clipquarry.store import Store

TRACKS = "tracks"
"""Folder of the csv files below the data set's."""
CROPS_PER_SHARD = 20
"""A crop of ten seconds takes half a minute: a task that is stopped loses little."""


def track_shards(ctx: RunContext) -> list[Job]:
    """The crops whose frames are there, in shards."""
    needs_plan(ctx)
    chosen = ctx.chosen(CropsParams)
    if not chosen.tracks:
        raise NothingToDo("Nobody asked for tracks of people.")
    place = OwnFiles(ctx.folder)
    needs_made(place.frames, "key_frames")
    made = set(read_table(place.frames, [FOLDER_FIELDS[0].name])["item_id"].to_pylist())
    empty: Row = {field.name: None for field in ITEM_FIELDS} | {"label_index": -1}
    rows = [empty | crop for crop in present_crops(ctx) if crop["item_id"] in made]
    shutil.rmtree(place.track_items, ignore_errors=True)  # of an earlier try of this task
    table = pa.Table.from_pylist(rows, schema=SHARD_SCHEMA)
    count = shard_count(len(rows), ctx.params.shards or -(-len(rows) // CROPS_PER_SHARD))
    step = {
        "root": ctx.spec.root, "frames": ctx.spec.layout["rawframes"], "out": TRACKS, "fps": chosen.fps,
        "every": chosen.track_every, **detector_params(ctx),
    }  # fmt: skip
    return make_jobs(ctx, "track", write_shards(place.track_items, "track", table, count), step)


def track_file(ctx: RunContext, crop: str) -> Path:
    """The csv of a crop's tracks."""
    return ctx.data.dataset(ctx.spec.root, TRACKS, f"{crop}.csv")


def untracked(ctx: RunContext, crops: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The ``crops`` without tracks of this run, and why. Nothing where nobody asked for tracks."""
    if not ctx.chosen(CropsParams).tracks:
        return
    why: dict[str, str | None] = {}
    tracked = set()
    for row in _results(ctx):
        why[row["clip_id"]] = row["evidence"]
        if row["path"]:
            tracked.add(row["clip_id"])
    for crop in crops:
        if crop not in tracked:
            yield crop, why.get(crop) or "The task 'track' ended without a result for it; its log says why."


def tracked_crops(ctx: RunContext) -> dict[str, str]:
    """The crops that this run's tasks tracked, with the sha256 of the csv of each."""
    return {row["clip_id"]: row["sha256"] for row in _results(ctx) if row["path"]}


def _results(ctx: RunContext) -> Iterator[Row]:
    """One row a crop, of all tasks that tracked."""
    for path in ctx.place.manifests("track"):
        yield from read_rows(path)


def seen_at(
    ctx: RunContext, wanted: Mapping[str, Collection[int]], tracked: Mapping[str, str] | None = None
) -> Iterator[Track]:
    """Who is seen at the ``wanted`` seconds (from 0) of each crop; nobody in crops without tracks.
    ``tracked``: :func:`tracked_crops`, for many calls. Raises :class:`UserError` for a file of tracks that is not the one that this run made.
    """
    chosen = ctx.chosen(CropsParams)
    if not chosen.tracks:
        return
    if tracked is None:
        tracked = tracked_crops(ctx)
    for crop, seconds in wanted.items():
        if crop in tracked:
            of_frame = {frame_of(second, chosen.fps): second for second in seconds}
            for one in _read(track_file(ctx, crop), tracked[crop], of_frame):
                yield Track(crop, of_frame[one.frame], one.box, one.person)


def _read(path: Path, sha256: str, frames: Collection[int]) -> Iterator[Seen]:
    if not path.is_file() or sha256_of(path) != sha256:
        raise UserError(f"The tracks {path} were deleted or changed since this run made them: start a new run.")
    yield from read_tracks(path, frames)


def how_long(ctx: RunContext, plan: Plan) -> Iterator[str]:
    """A sentence about the time that looking for people takes."""
    chosen = ctx.chosen(CropsParams)
    if not chosen.detects or not plan.shards:
        return
    tables = [read_table(path, ["start", "end"]) for path in plan.shards]
    seconds = [
        (end - start) / SECOND
        for table in tables
        for start, end in zip(table["start"].to_pylist(), table["end"].to_pylist(), strict=True)
        if end is not None
    ]
    keys = sum(int(one) for one in seconds)
    tracked = sum(int(one * chosen.fps) // chosen.track_every + 1 for one in seconds) if chosen.tracks else 0
    rate = rate_of(Store(ctx.data.store), chosen.detector)
    basis = "as measured here" if rate.measured else "a guess until some were looked at here"
    minutes = (keys + tracked) * rate.seconds / 60
    what = f"{plural(keys, 'key frame')}" + (f" and, for tracks, {plural(tracked, 'frame')}" if tracked else "")
    told = f"{minutes:,.0f} minutes" if minutes >= 1.5 else "a minute" if minutes > 0.5 else "less than a minute"
    yield f"The detector {chosen.detector} looks at {what}: {told} of one core at {rate.seconds:.2g} s a frame, {basis}."
