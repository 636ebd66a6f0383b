"""The annotations of the clips that are there: ``kinetics_{split}.csv``, and every key frame that lies in none of them, with the reason."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.annotations.ava_kinetics import assign_clips, frame_folders, prepare_rows, write_rows
from clipquarry.annotations.ava_kinetics_flat import (
    assign_flat_clips,
    flat_clips,
    write_download_list,
    write_updated_csv,
)
from clipquarry.files import write_json, writing
from clipquarry.layout import placing
from clipquarry.manifest import read_table
from clipquarry.pipeline.boxes.tables import load, save
from clipquarry.pipeline.boxes.windows import TRAIN, wanted_frames
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import BoxParams
from clipquarry.pipeline.state import PRESENT, read_state

FOLDER = "prepared"
UPDATED = "ava_kinetics_updated_csv"
"""Folder of the flat layout's annotations, by the raw files' names."""
LEFT_COLUMNS = ("video_id", "time", "reason", "evidence")


def count_images(ctx: RunContext, split: str) -> dict[str, int]:
    """Number of images by clip, of the split's clips that are there; without frames, of the clips themselves. Folders are listed
    once a run: :func:`counted_images` remembers.
    """
    images = _images_of(ctx, split)
    clips = pa.table({"clip_id": pa.array(images.keys(), pa.string()), "images": pa.array(images.values(), pa.int64())})
    save(clips, ctx.folder / FOLDER / f"{split}.images.parquet")
    return images


def counted_images(ctx: RunContext, split: str) -> dict[str, int]:
    """What :func:`count_images` found in this run."""
    clips = pq.read_table(ctx.folder / FOLDER / f"{split}.images.parquet")
    return dict(zip(clips["clip_id"].to_pylist(), clips["images"].to_pylist(), strict=True))


def _images_of(ctx: RunContext, split: str) -> dict[str, int]:
    state = read_state(ctx.state)
    state = state.filter(pc.and_(pc.is_in(state["status"], value_set=PRESENT), pc.equal(state["split"], split)))
    clips = state["clip_id"].to_pylist()
    if not ctx.chosen(BoxParams).frames:
        return dict(zip(clips, state["frames"].to_pylist(), strict=True))
    folder = ctx.data.dataset(ctx.spec.root, ctx.spec.layout["rawframes"])
    there = frame_folders(folder, clips) if folder.is_dir() else {}
    return {clip: there[clip] for clip in clips if there.get(clip)}


def prepare(ctx: RunContext, split: str, images: Mapping[str, int]) -> dict[str, Any]:
    """Write a split's csv and tables; returns its numbers."""
    boxes, frames = load(ctx.folder, split, "boxes"), load(ctx.folder, split, "key_frames")
    prepared = prepare_rows(boxes, images)
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, f"kinetics_{split}.csv")) as new:
        write_rows(prepared.rows, new.path)
    save(prepared.rows, ctx.folder / FOLDER / f"{split}.boxes.parquet")
    left = prepared.left.select(["video_id", "time", "second"])
    if split != TRAIN:  # the reference knows nothing of these; readers of val and test score detections in them
        times = pc.cast(frames["time"].combine_chunks(), pa.float64())
        chosen = assign_clips(frames["video_id"].combine_chunks(), times, images)
        empty = frames.set_column(0, "video_id", chosen).filter(pc.is_valid(chosen))
        save(empty, ctx.folder / FOLDER / f"{split}.key_frames.parquet")
        left = pa.concat_tables([left, frames.filter(pc.is_null(chosen)).select(left.column_names)])
    gone = _write_left(ctx, split, left)
    numbers = {"rows": prepared.rows.num_rows, "dropped": prepared.dropped, "no_clip": gone, "moved": new.told}
    write_json(ctx.folder / FOLDER / f"{split}.json", numbers)
    return numbers


def prepare_flat(ctx: RunContext, split: str, images: dict[str, int], raw_name: str) -> dict[str, Any]:
    """The same for the flat layout: ``raw_name`` is the file's, which has the annotations in the clips' own times."""
    kept, left = [], []
    for table in (load(ctx.folder, split, "boxes"), load(ctx.folder, split, "key_frames")):
        clips = assign_flat_clips(table, images)
        kept.append(table.set_column(0, "video_id", clips).filter(pc.is_valid(clips)))
        left.append(table.filter(pc.is_null(clips)))
    boxes, frames = kept
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, UPDATED, raw_name)) as new:
        write_updated_csv(boxes, frames, images, new.path)
    save(boxes, ctx.folder / FOLDER / f"{split}.boxes.parquet")
    save(frames, ctx.folder / FOLDER / f"{split}.key_frames.parquet")
    names = ["video_id", "time", "second"]
    gone = _write_left(ctx, split, pa.concat_tables([table.select(names) for table in left]))
    rows, dropped = boxes.num_rows + frames.num_rows, sum(map(len, left))
    numbers = {"rows": rows, "dropped": dropped, "no_clip": gone, "moved": new.told}
    write_json(ctx.folder / FOLDER / f"{split}.json", numbers)
    return numbers


def write_list(ctx: RunContext, splits: list[str]) -> str:
    """The download list of the flat layout; what became of a file in its place that was not ours."""
    clips = flat_clips([wanted_frames(ctx.folder, split) for split in splits])
    with placing(ctx.data, ctx.data.dataset(ctx.spec.root, "ava_kinetics_csv", "videos_to_download.csv")) as new:
        write_download_list(clips, new.path)
    return new.told


def _write_left(ctx: RunContext, split: str, left: pa.Table) -> int:
    """``prepared/{split}.left.csv``: key frames without a clip, each with its clip's reason; returns how many."""
    left = left.group_by(["video_id", "time", "second"], use_threads=False).aggregate([])
    windows: dict[str, list[tuple[int, int, str, str]]] = {}
    catalog = read_table(ctx.catalog, ["item_id", "video_id", "split", "start", "end", "status"])
    catalog = catalog.filter(pc.and_(pc.equal(catalog["split"], split), pc.equal(catalog["status"], "done")))
    state = read_state(ctx.state).select(["item_id", "status", "reason", "evidence"])
    missing = state.filter(pc.invert(pc.is_in(state["status"], value_set=PRESENT)))
    joined = catalog.select(["item_id", "video_id", "start", "end"]).join(missing, "item_id", join_type="inner")
    for row in joined.to_pylist():
        windows.setdefault(row["video_id"], []).append((row["start"], row["end"], row["reason"], row["evidence"]))
    with writing(ctx.folder / FOLDER / f"{split}.left.csv") as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(LEFT_COLUMNS)
        for video, time, second in zip(*(left[name].to_pylist() for name in left.column_names), strict=True):
            why = next((w[2:] for w in windows.get(video, ()) if w[0] <= second < w[1]), _NO_CLIP)
            out.writerow((video, time, *why))
    return int(left.num_rows)


_NO_CLIP = ("no_clip", "no clip that is there reaches beyond this time on both sides")


def prepared_boxes(ctx: RunContext, split: str) -> pa.Table:
    """The rows of a split's csv, as they were prepared."""
    return pq.read_table(ctx.folder / FOLDER / f"{split}.boxes.parquet")


def annotated(ctx: RunContext, split: str) -> pa.Table:
    """``video_id`` (the clip), ``second`` and ``time`` of all prepared rows: boxes, and outside train key frames without any."""
    names = ["video_id", "second", "time"]
    found = [pq.read_table(ctx.folder / FOLDER / f"{split}.boxes.parquet", columns=names)]
    empty = ctx.folder / FOLDER / f"{split}.key_frames.parquet"
    if empty.exists():
        found.append(pq.read_table(empty, columns=names))
    return pa.concat_tables(found)
