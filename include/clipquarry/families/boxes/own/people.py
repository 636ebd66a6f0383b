"""People in the key frames of crops: detections, and the proposals made of those on the key frames to label."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.splits import TRAIN
from clipquarry.families.boxes import proposals
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.detection import KeyFrame
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_made, needs_plan
from clipquarry.pipeline.step_params import Job

log = logging.getLogger(__name__)


def detect_shards(ctx: RunContext) -> list[Job]:
    """All key frames, in shards; the first and the last ones too, because a tracker looks at all of them."""
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked to detect people in frames.")
    needs_made(OwnFiles(ctx.folder).key_frames, "key_frames")
    wanted = (_key_frame(row) for row in read_rows(OwnFiles(ctx.folder).key_frames))
    return common.detect_shards(ctx, wanted, 0, fps=ctx.chosen(CropsParams).fps)


def _key_frame(row: Row) -> KeyFrame:
    """Seconds count from the crop's beginning, so that a crop stands for a video."""
    return KeyFrame(row["split"], row["clip_id"], row["second"], row["clip_id"], 0)


def make_proposals(ctx: RunContext) -> dict[str, Any]:
    """``annotations/dense_proposals_{split}.pkl``; a key frame in which nobody was found has no key, because readers stop at an
    empty one.
    """
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked for proposals.")
    chosen = ctx.chosen(CropsParams)
    found = common.detections(ctx)
    found = found.filter(pc.is_in(found["item_id"], value_set=pa.array(_labelled(ctx), pa.string())))
    told = {}
    for split in ctx.splits:
        if chosen.val_is_train and split != TRAIN:
            continue  # a copy of train, which the task of labels makes
        path = proposal_file(ctx, split)
        numbers = proposals.publish(ctx, split, found, chosen.score, path, common.detector_name(ctx))
        log.info(f"{split}: {numbers['boxes']} proposals for {numbers['keys']} key frames ({numbers['source']})")
        common.log_moved(split, numbers)
        told[split] = numbers
    return told


def _labelled(ctx: RunContext) -> Iterator[str]:
    for row in read_rows(OwnFiles(ctx.folder).key_frames):
        if row["labelled"]:
            yield _key_frame(row).item_id


def proposal_file(ctx: RunContext, split: str) -> Path:
    """The reference's name of a split's proposals."""
    return ctx.data.dataset(ctx.spec.root, "annotations", f"dense_proposals_{split}.pkl")
