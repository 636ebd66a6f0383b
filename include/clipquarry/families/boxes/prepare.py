"""The annotations of the present clips: ``kinetics_{split}.csv``, and each key frame outside them with its reason."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.annotations.ava_kinetics import assign_clips, frame_folders, prepare_rows, write_rows
from clipquarry.annotations.ava_kinetics_cut import CutClips
from clipquarry.annotations.ava_kinetics_flat import (
    Clips,
    SixSeconds,
    assign_flat_clips,
    flat_clips,
    write_download_list,
    write_updated_csv,
)
from clipquarry.families.boxes.options import is_cut, updated_folder
from clipquarry.families.boxes.params import BoxParams
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import load, save
from clipquarry.families.boxes.windows import TRAIN, key_item, wanted_frames
from clipquarry.files import write_json, writing
from clipquarry.layout import placing
from clipquarry.manifest import read_table, scalar
from clipquarry.microseconds import seconds
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import PRESENT, read_state

LEFT_COLUMNS = ("video_id", "time", "reason", "evidence")


def count_frames(ctx: RunContext, split: str) -> dict[str, int]:
    """Number of frames by clip, of the split's present clips; if there are no frames, of the clips themselves.

    Folders are listed once a run: :func:`counted_frames` remembers.
    """
    counts = _frames_of(ctx, split)
    clips = pa.table({"clip_id": pa.array(counts.keys(), pa.string()), "images": pa.array(counts.values(), pa.int64())})
    save(clips, BoxFiles(ctx.folder).frame_counts(split))
    return counts


def counted_frames(ctx: RunContext, split: str) -> dict[str, int]:
    """The result of :func:`count_frames` in this run."""
    clips = pq.read_table(BoxFiles(ctx.folder).frame_counts(split))
    return dict(zip(clips["clip_id"].to_pylist(), clips["images"].to_pylist(), strict=True))


def _frames_of(ctx: RunContext, split: str) -> dict[str, int]:
    state = read_state(ctx.state)
    state = state.filter(pc.and_(pc.is_in(state["status"], value_set=PRESENT), pc.equal(state["split"], split)))
    clips = state["clip_id"].to_pylist()
    if not ctx.chosen(BoxParams).frames:
        return dict(zip(clips, state["frames"].to_pylist(), strict=True))
    folder = ctx.data.dataset(ctx.spec.root, ctx.spec.layout["rawframes"])
    there = frame_folders(folder, clips) if folder.is_dir() else {}
    return {clip: there[clip] for clip in clips if there.get(clip)}


def prepare(ctx: RunContext, split: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Write a split's csv and tables; returns its numbers."""
    boxes, frames = load(ctx.folder, split, "boxes"), load(ctx.folder, split, "key_frames")
    prepared = prepare_rows(boxes, counts)
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, f"kinetics_{split}.csv")) as new:
        write_rows(prepared.rows, new.path)
    save(prepared.rows, BoxFiles(ctx.folder).prepared(split))
    left = prepared.left.select(["video_id", "time", "second"])
    if split != TRAIN:  # the reference ignores these; readers of val and test score detections in them
        times = pc.cast(frames["time"].combine_chunks(), pa.float64())
        chosen = assign_clips(frames["video_id"].combine_chunks(), times, counts)
        empty = frames.set_column(0, "video_id", chosen).filter(pc.is_valid(chosen))
        save(empty, BoxFiles(ctx.folder).prepared(split, "key_frames"))
        left = pa.concat_tables([left, frames.filter(pc.is_null(chosen)).select(left.column_names)])
    gone = _write_left(ctx, split, left)
    numbers = {"rows": prepared.rows.num_rows, "dropped": prepared.dropped, "no_clip": gone, "moved": new.told}
    write_json(BoxFiles(ctx.folder).prepared_facts(split), numbers)
    return numbers


def prepare_flat(ctx: RunContext, split: str, counts: dict[str, int], raw_name: str) -> dict[str, Any]:
    """The same for the flat layout. ``raw_name`` is the name of the file with the annotations in the clips' own
    times.
    """
    kept, left, flat = [], [], _flat_clips(ctx, split)
    for table in (load(ctx.folder, split, "boxes"), load(ctx.folder, split, "key_frames")):
        clips = assign_flat_clips(table, counts, flat)
        kept.append(table.set_column(0, "video_id", clips).filter(pc.is_valid(clips)))
        left.append(table.filter(pc.is_null(clips)))
    boxes, frames = kept
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, updated_folder(ctx.spec), raw_name)) as new:
        write_updated_csv(boxes, frames, counts, new.path, flat)
    save(boxes, BoxFiles(ctx.folder).prepared(split))
    save(frames, BoxFiles(ctx.folder).prepared(split, "key_frames"))
    names = ["video_id", "time", "second"]
    gone = _write_left(ctx, split, pa.concat_tables([table.select(names) for table in left]))
    rows, dropped = boxes.num_rows + frames.num_rows, sum(map(len, left))
    numbers = {"rows": rows, "dropped": dropped, "no_clip": gone, "moved": new.told}
    write_json(BoxFiles(ctx.folder).prepared_facts(split), numbers)
    return numbers


def _flat_clips(ctx: RunContext, split: str) -> Clips:
    if not is_cut(ctx.spec):
        return SixSeconds()
    catalog = read_table(ctx.catalog, ["clip_id", "split", "start", "status"])
    catalog = catalog.filter(pc.and_(pc.equal(catalog["split"], split), pc.equal(catalog["status"], "done")))
    return CutClips(dict(zip(catalog["clip_id"].to_pylist(), catalog["start"].to_pylist(), strict=True)))


def write_list(ctx: RunContext, splits: list[str]) -> str:
    """Write the download list of the flat layout; returns where a file in its place that was not ours was moved."""
    clips = flat_clips([wanted_frames(ctx.folder, split) for split in splits])
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, "ava_kinetics_csv", "videos_to_download.csv")) as new:
        write_download_list(clips, new.path)
    return new.told


def _write_left(ctx: RunContext, split: str, left: pa.Table) -> int:
    """Write the table of key frames without a clip, each with its clip's reason; returns their number."""
    left = left.group_by(["video_id", "time", "second"], use_threads=False).aggregate([])
    windows: dict[str, list[tuple[float, float, str, str]]] = {}
    columns = ["item_id", "video_id", "split", "start", "end", "status", "reason", "evidence"]
    catalog = read_table(ctx.catalog, columns)
    catalog = catalog.filter(pc.equal(catalog["split"], split))
    without = catalog.filter(pc.equal(catalog["status"], "rejected"))
    rejected = {row["item_id"]: (row["reason"], row["evidence"]) for row in without.to_pylist()}
    catalog = catalog.filter(pc.equal(catalog["status"], "done"))
    state = read_state(ctx.state).select(["item_id", "status", "reason", "evidence"])
    missing = state.filter(pc.invert(pc.is_in(state["status"], value_set=PRESENT)))
    times = catalog.select(["item_id", "video_id", "start", "end"])
    joined = scalar(times).join(scalar(missing), "item_id", join_type="inner")
    for row in joined.to_pylist():
        windows.setdefault(row["video_id"], []).append(
            (seconds(row["start"]), seconds(row["end"]), row["reason"], row["evidence"])
        )
    with writing(BoxFiles(ctx.folder).left(split)) as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(LEFT_COLUMNS)
        for video, time, second in zip(*(left[name].to_pylist() for name in left.column_names), strict=True):
            why = next((w[2:] for w in windows.get(video, ()) if w[0] <= second < w[1]), None)
            why = why or rejected.get(key_item(split, video, second), _NO_CLIP)
            out.writerow((video, time, *why))
    return int(left.num_rows)


_NO_CLIP = ("no_clip", "no clip that is there reaches beyond this time on both sides")


def prepared_boxes(ctx: RunContext, split: str) -> pa.Table:
    """The prepared rows of a split's csv."""
    return pq.read_table(BoxFiles(ctx.folder).prepared(split))


def annotated(ctx: RunContext, split: str) -> pa.Table:
    """``video_id`` (the clip), ``second`` and ``time`` of all prepared rows: boxes, and outside train key frames without any."""
    names = ["video_id", "second", "time"]
    found = [pq.read_table(BoxFiles(ctx.folder).prepared(split), columns=names)]
    empty = BoxFiles(ctx.folder).prepared(split, "key_frames")
    if empty.exists():
        found.append(pq.read_table(empty, columns=names))
    return pa.concat_tables(found)
