"""Gates and release of a person's own AVA."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.compute as pc

from clipquarry.annotations.own_ava.key_frames import frame_name
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.own.final import final_files
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.people import proposal_file
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.files import writing
from clipquarry.manifest import read_rows, read_table
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import gate, needs_made, needs_of_gate
from clipquarry.reasons import Status


def run_gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates; it is skipped if its subject was not requested."""
    needs_of_gate(ctx, name)
    chosen = ctx.chosen(CropsParams)
    if name == "frames":
        if not chosen.frames:
            raise NothingToDo("Nobody asked for frames.")
        needs_made(OwnFiles(ctx.folder).frames, "key_frames")
    if name == "labels" and not OwnFiles(ctx.folder).labels.exists():
        raise NothingToDo("There are no labels.")
    if name == "proposals" and not BoxFiles(ctx.folder).proposal_splits():
        raise NothingToDo("There are no proposals.")
    of_run = {
        "splits": _splits(ctx),
        "frame_fps": float(chosen.fps) if chosen.frames else None,
        "imbalance_warn": chosen.imbalance,
    }
    # A person draws whom the detector did not find, so that few proposals stop nobody.
    params = common.gate_params(ctx).model_copy(update={**of_run, "proposal_coverage_error": 0.0})
    return gate(ctx, name, params)


def _splits(ctx: RunContext) -> tuple[str, ...]:
    """The chosen splits that have crops: crops of one raw video are all of train."""
    table = read_table(ctx.catalog, ["split", "status"])
    usable = pc.unique(table.filter(pc.equal(table["status"], str(Status.DONE)))["split"]).to_pylist()
    return tuple(split for split in ctx.splits if split in usable or split == ctx.splits[0])


def release(ctx: RunContext) -> str:
    """Publish the lock, the missing crops, the list of crops with their splits, that of the key frames, the proposals."""
    place = OwnFiles(ctx.folder)
    files: dict[str, Path] = {"crops.csv": place.crops}
    if place.key_frames.exists():
        files["key_frames.csv"] = place.key_frames.with_suffix(".csv")
        write_key_frames(place.key_frames, files["key_frames.csv"])
    if place.labels.exists():
        files |= {"labels.csv": place.labels, "people.csv": place.people, "via_projects.zip": place.via_projects}
        files["labels_per_action.csv"] = place.labels_per_action
        for file in (place.untracked, place.agreement):
            if file.exists():
                files[file.name] = file
        files |= {file.name: file for file in final_files(ctx)}
    for split in BoxFiles(ctx.folder).proposal_splits():
        files[proposal_file(ctx, split).name] = proposal_file(ctx, split)
    return common.release(ctx, files)


def write_key_frames(table: Path, out: Path) -> None:
    """The key frames as a csv: the crop, its second (from 0), the name of its frame, whether a person labels it (0 or 1), the
    split, the raw video.
    """
    with writing(out) as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow(("name", "second", "frame", "labelled", "split", "video"))
        for key in read_rows(table):
            name = frame_name(key["clip_id"], key["frame"])
            labelled = int(key["labelled"])
            rows.writerow((key["clip_id"], key["second"], name, labelled, key["split"], key["video_id"]))
