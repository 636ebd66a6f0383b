"""Lists of proposals with the numbers of the local frames, from published ones with fractions of the videos.

A video without frames is left out and told in a table, where the reference stops (Q27). A list that would not change stays untouched.
"""

from __future__ import annotations

import csv
import logging
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.acquire.annotation_files import AnnotationFile, download_annotations
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.annotations.proposal_list import read_blocks, write_block
from clipquarry.errors import UserError
from clipquarry.families.segments.frames_here import Results, count_files, frames_folder, has_frames
from clipquarry.families.segments.intervals import video_item
from clipquarry.families.segments.places import list_file, list_link, published_list
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import sha256_of, write_json, writing
from clipquarry.layout import place_link, placing
from clipquarry.manifest import ManifestWriter, schema_of
from clipquarry.pipeline.annotation_choice import annotation_spec, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.stage import needs_made, needs_plan

log = logging.getLogger(__name__)

KIND = "proposal_blocks"
FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),  # of the video in the catalog
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("line", pa.int64(), nullable=False),  # of its block in the published list; 1 is the first
    pa.field("written", pa.bool_(), nullable=False),  # whether it has a block in the list with frames
    pa.field("frames", pa.int64(), nullable=False),  # that are here
    pa.field("intervals", pa.int64(), nullable=False),
    pa.field("proposals", pa.int64(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),  # why it has none; empty
    pa.field("evidence", pa.string(), nullable=False),
)
MISSING = ("video", "reason", "evidence")
"""Columns of the csv of videos without a block."""


def proposals(ctx: RunContext) -> dict[str, Any]:
    """Fetch the published lists of the run's splits, and write the lists for the frames that are here; returns the numbers by split.

    Raises NothingToDo where no video has frames; UserError for a published list that leaves the form, with its line.
    """
    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    place = SegmentFiles(ctx.folder)
    shutil.rmtree(place.proposals, ignore_errors=True)  # of an earlier try of this run
    splits = [split for split in ctx.splits if has_frames(ctx, split)]
    if not splits:
        raise NothingToDo("No video has frames, which proposals are counted in: run with frames=true.")
    wanted = [FileWanted(published_list(ctx.spec, split), split, separator="") for split in splits]
    files = download_annotations(annotation_spec(ctx), ctx.data, wanted)
    remember(ctx, files)
    known = Results(ctx)
    told = {}
    for split, file in zip(splits, files, strict=True):
        told[split] = _one(ctx, split, file, known)
    return told


def _one(ctx: RunContext, split: str, file: AnnotationFile, known: Results) -> dict[str, Any]:
    """Write the list of a split, its link, and the tables about it; returns its numbers."""
    place, target = SegmentFiles(ctx.folder), list_file(ctx.spec, ctx.data, split)
    written = intervals = count = 0
    folder = frames_folder(ctx, split)
    left: list[tuple[str, str, str]] = []
    with (
        ManifestWriter(place.blocks(split), schema_of(FIELDS, KIND)) as table,
        placing(ctx.data, target) as new,
        open(new.path, "w", encoding="utf-8", newline="\n") as handle,
    ):
        for block in read_blocks(file.path, normalised=True):
            item, reason, evidence = video_item(split, block.video), "", ""
            frames = count_files(f"{folder}/{block.video}", ctx.spec.item.rgb_prefix)
            if frames:
                write_block(handle, written, block, frames)
                written += 1
                intervals += len(block.truths)
                count += len(block.proposals)
            else:
                reason, evidence = known.why_no_frames(item)
                left.append((block.video, reason, evidence))
            table.write({
                "item_id": item, "video_id": block.video, "line": block.line, "written": bool(frames), "frames": frames,
                "intervals": len(block.truths), "proposals": len(block.proposals), "reason": reason, "evidence": evidence,
            })  # fmt: skip
        if not written:  # an empty list would be a whole one to its readers
            raise UserError(f"{file.path}: none of its videos has frames in {folder}: get the list of this data set.")
    with writing(place.missing_proposals(split)) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(MISSING)
        writer.writerows(left)
    moved = [text for text in (new.told, _link(ctx, split, target)) if text]
    told = {
        "path": str(target.relative_to(ctx.data.root)), "sha256": sha256_of(target), "videos": written, "intervals": intervals,
        "proposals": count, "left_out": len(left), "source": file.source, "published": pin(ctx, [file.path])[0],
    }  # fmt: skip
    write_json(place.proposal_facts(split), told)
    log.info(f"{target.name}: {written} videos, {count} proposals; {len(left)} videos have no frames and are left out")
    for text in moved:
        log.info(f"{target.name}: {text}")
    return told


def _link(ctx: RunContext, split: str, target: Path) -> str:
    """Make the list's second place, a relative link; returns a sentence if something else lay there and was moved away."""
    link = list_link(ctx.spec, ctx.data, split)
    if link is None:
        return ""
    return place_link(ctx.data, link, target)
