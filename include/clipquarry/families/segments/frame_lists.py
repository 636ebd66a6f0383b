"""Lists of raw frames of videos and of their intervals, with the numbers of the frames that are here.

A video without frames is left out, as is an interval that lies behind the last frame; a table says so of each. The reference counts
all files of a folder, which are three times as many with optical flow (Q4; ``frame_count_rule=all_files`` does the same), and writes
intervals of no frames (Q6).
"""

from __future__ import annotations

import csv
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from clipquarry.annotations.activitynet import SUBSETS, Video, database_of, read_database, read_object
from clipquarry.annotations.file_list import ListEntry, write_list
from clipquarry.annotations.offset_lists import window_in_frames
from clipquarry.families.segments.frames_here import (
    NOT_ANNOTATED,
    Results,
    count_files,
    counted_prefix,
    frames_folder,
    has_frames,
)
from clipquarry.families.segments.intervals import video_item
from clipquarry.families.segments.options import FrameLists, segments_options
from clipquarry.families.segments.params import SegmentsParams
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.families.segments.videos import WHAT
from clipquarry.files import sha256_of, write_json, writing
from clipquarry.layout import placing
from clipquarry.manifest import ManifestWriter, schema_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_made, needs_plan

log = logging.getLogger(__name__)

KIND = "frame_lists"
FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),  # {split}/{video}#{position}
    pa.field("video_item", pa.string(), nullable=False),  # of the video in the catalog
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),  # 0-based, among the video's intervals that can be used
    pa.field("label_index", pa.int32(), nullable=False),
    pa.field("frames", pa.int64(), nullable=False),  # of the video, that are here
    pa.field("first", pa.int64(), nullable=False),  # frame of the interval, from 0
    pa.field("count", pa.int64(), nullable=False),  # its frames; below 1: it has none
    pa.field("written", pa.bool_(), nullable=False),  # whether it has a line
    pa.field("reason", pa.string(), nullable=False),  # why it has none; empty
    pa.field("evidence", pa.string(), nullable=False),
)


class _Row(NamedTuple):
    """One row of the table, in the order of :data:`FIELDS`."""

    item_id: str
    video_item: str
    video_id: str
    position: int
    label_index: int
    frames: int
    first: int
    span: int  # the column "count", which is the name of a method of tuples
    written: bool
    reason: str
    evidence: str


MISSING = ("interval", "reason", "evidence")
"""Columns of the csv of intervals without a line."""
BEHIND, BACKWARDS = "behind_the_end", "ends_before_it_starts"
"""Reasons of an interval without frames in a video that has some."""


def list_names(lists: FrameLists, split: str) -> tuple[str, str]:
    """Paths of the lists of videos and of clips, below the data set's folder."""
    return lists.videos.replace("{split}", split), lists.clips.replace("{split}", split)


def frame_lists(ctx: RunContext) -> dict[str, Any]:
    """Write the lists of the run's splits with labels; returns the numbers by split. Raises NothingToDo where no video has frames."""
    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    options, place = segments_options(ctx.spec), SegmentFiles(ctx.folder)
    assert options.frame_lists is not None
    shutil.rmtree(place.lists, ignore_errors=True)  # of an earlier try of this run
    splits = [one for one in ctx.splits if one not in options.unlabelled and has_frames(ctx, one)]
    if not splits:
        raise NothingToDo("No video has frames, which lists count: run with frames=true.")
    path = ctx.data.dataset(ctx.spec.root, options.frame_lists.annotation)
    names, videos = tuple(options.numbered()), dict[str, list[Video]]()
    for one in read_database(database_of(read_object(path, WHAT), path), names):
        if isinstance(one, Video):  # the catalog has the rejected ones
            videos.setdefault(SUBSETS[one.subset], []).append(one)
    known = Results(ctx)
    return {split: _one(ctx, split, videos.get(split, []), known, options.frame_lists) for split in splits}


def _one(
    ctx: RunContext, split: str, videos: list[Video], known: Results, lists: FrameLists
) -> dict[str, Any]:  # fmt: skip
    """Write the two lists of a split, and the tables about them; returns its numbers."""
    place, options = SegmentFiles(ctx.folder), segments_options(ctx.spec)
    index = {name: number for number, name in enumerate(options.numbered())}
    entries: tuple[list[ListEntry], list[ListEntry]] = ([], [])
    folder, rule = frames_folder(ctx, split), ctx.chosen(SegmentsParams).frame_count_rule
    prefix = counted_prefix(ctx.spec, rule)
    left: list[tuple[str, str, str]] = []
    rows: list[_Row] = []
    for video in videos:
        name = f"{options.name_prefix}{video.video_id}"
        frames = count_files(f"{folder}/{name}", prefix)
        if frames:
            entries[0].append(ListEntry(name, (index[video.segments[0].label],), frames))
        for row in _rows(split, name, video, frames, known, index):
            rows.append(row)
            if row.written:
                entries[1].append(ListEntry(name, (row.label_index,), row.span, row.first))
            else:
                left.append((row.item_id, row.reason, row.evidence))
    _write_rows(place.list_rows(split), rows)
    with writing(place.missing_frames(split)) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(MISSING)
        writer.writerows(left)
    files = {}
    for path, found in zip(list_names(lists, split), entries, strict=True):
        target = ctx.data.dataset(ctx.spec.root, path)
        with placing(ctx.data, target) as new:
            write_list(new.path, found, final_newline=False)
        if new.told:
            log.info(f"{target.name}: {new.told}")
        files[str(target.relative_to(ctx.data.root))] = sha256_of(target)
    told = {
        "files": files, "videos": len(entries[0]), "intervals": len(entries[1]), "left_out": len(left),
        "annotated_videos": len(videos), "reasons": Counter(reason for _, reason, _ in left),
        "reasons_of_videos": Counter({row.video_item: row.reason for row in rows if not row.frames}.values()),
        "frame_count_rule": rule,
    }  # fmt: skip
    write_json(place.list_facts(split), told)
    log.info(f"{split}: {told['videos']} videos, {told['intervals']} intervals; {len(left)} intervals are left out")
    return told


def _rows(
    split: str, name: str, video: Video, frames: int, known: Results, index: Mapping[str, int]
) -> Iterator[_Row]:  # fmt: skip
    """The row of each interval of a video."""
    item = video_item(split, name)
    for position, one in enumerate(video.segments):
        first, count = window_in_frames(one.start, one.end, video.duration, frames) if frames else (0, 0)
        reason, evidence = "", ""
        if not frames:
            reason, evidence = known.why_no_frames(item)
            if reason == NOT_ANNOTATED:
                evidence = "the run's annotation has no such video, and it has no frames"
        elif count < 1:
            reason = BACKWARDS if one.end < one.start else BEHIND
            evidence = f"{one.start} to {one.end} s of a video of {video.duration} s and {frames} frames"
        label = index[one.label]
        yield _Row(
            f"{item}#{position}", item, video.video_id, position, label, frames, first, count, not reason, reason, evidence
        )  # fmt: skip


def _write_rows(target: Path, rows: list[_Row]) -> None:
    schema = schema_of(FIELDS, KIND)
    columns = list(zip(*rows, strict=True)) or [()] * len(FIELDS)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, FIELDS, strict=True)]
    with ManifestWriter(target, schema) as writer:
        writer.write_table(pa.table(arrays, schema=schema))
