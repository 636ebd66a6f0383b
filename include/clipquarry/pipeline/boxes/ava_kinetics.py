"""The stages of AVA-Kinetics: the annotated windows of Kinetics-700, people's boxes in them, and the merge with AVA."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.datasets.load import find_spec
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.manifest import Row
from clipquarry.pipeline.boxes import ava_files, common, prepare, proposals
from clipquarry.pipeline.boxes.detection import window_key_frames
from clipquarry.pipeline.boxes.jobs import ava_kinetics_jobs
from clipquarry.pipeline.boxes.merge import CHECKED, TRAIN_CSV, check_ava, checked_ava, merge
from clipquarry.pipeline.boxes.tables import write_tables
from clipquarry.pipeline.boxes.windows import (
    TRAIN,
    flat_rows,
    kinetics_clips,
    listed_clips,
    window_rows,
    write_catalog,
)
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import AvaKineticsParams
from clipquarry.pipeline.stage import NothingToDo, Say, Stage, needs_plan, plan, tell_ledger
from clipquarry.pipeline.step_params import Job

AVA, KINETICS = "ava", "kinetics700"
"""The data sets that this one is made of."""
AVA_VERSION = "v2.2"


def _merges(ctx: RunContext) -> bool:
    """AVA joins the train split; in the flat layout, and in val and test, the Kinetics part stays alone."""
    return isinstance(ctx.params, AvaKineticsParams) and ctx.params.merge and TRAIN in ctx.splits


def obtain(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Obtain all annotation files, choose the windows, begin the run in the ledger."""
    common.begin(ctx, say)
    known = _known_splits(ctx)
    files = ava_files.obtain_kinetics_part(ctx.spec, ctx.data, known, say, run=ctx)
    if _merges(ctx):
        ava = find_spec(AVA, ctx.settings.dataset_folders)
        ava_files.obtain(ava, ctx.data, AVA_VERSION, ["train", "val"], say)
        ava_files.obtain_proposals(ava, ctx.data, ["train", "val"], say)
    splits = write_tables(ctx.folder, files.splits, "ava_kinetics", files.actions, files.evaluated)
    rows = {split: _windows(ctx, split, say) for split in known}
    count = write_catalog(ctx.folder, known, rows, ctx.catalog)
    told = {"splits": splits, "obtained": files.obtained, "files": common.pins(ctx, files.obtained)}
    write_json(ctx.folder / "catalog.json", told)
    tell_ledger(ctx, say)
    say("%s", f"{count} rows in the catalog")
    return {"rows": count}


def _known_splits(ctx: RunContext) -> list[str]:
    """The chosen splits and those whose files are there already: the catalog must not forget what an earlier run made."""
    root, kinetics = ctx.data.dataset(ctx.spec.root), find_spec(KINETICS, ctx.settings.dataset_folders)

    def is_there(split: str) -> bool:
        windows = ctx.spec.arrangement == "flat" or ctx.data.dataset(kinetics.root, kinetics.parts[split]).is_file()
        return windows and (root / ctx.spec.parts[split]).is_file()

    return [split for split in ctx.spec.parts if split in ctx.splits or is_there(split)]


def _windows(ctx: RunContext, split: str, say: Say) -> Iterable[Row]:
    if ctx.spec.arrangement == "flat":
        return flat_rows(ctx.folder, split)
    if chosen := ctx.chosen(AvaKineticsParams).kinetics_list:
        return window_rows(ctx.folder, split, listed_clips(Path(chosen)))
    kinetics = find_spec(KINETICS, ctx.settings.dataset_folders)
    csv = ava_files.obtain_kinetics_csv(kinetics, ctx.data, split, say)
    return window_rows(ctx.folder, split, kinetics_clips(csv, split))


def boxes(ctx: RunContext, say: Say) -> dict[str, Any]:
    """The annotations of the clips that are there."""
    needs_plan(ctx)
    told = {}
    for split in ctx.splits:
        images = prepare.count_images(ctx, split)
        if ctx.spec.arrangement == "flat":
            raw = Path(ctx.spec.parts[split]).name
            told[split] = prepare.prepare_flat(ctx, split, images, raw)
        else:
            told[split] = prepare.prepare(ctx, split, images)
        numbers = told[split]
        say("%s", f"{split}: {numbers['rows']} rows for {len(images)} clips, {numbers['dropped']} rows without a clip")
        common.say_moved(say, split, numbers)
    if ctx.spec.arrangement == "flat":
        common.say_moved(say, "videos_to_download.csv", {"moved": prepare.write_list(ctx, ctx.splits)})
    return told


def detect_shards(ctx: RunContext, say: Say) -> list[Job]:
    """The images to look at, in shards."""
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked to detect people in frames.")
    images: dict[str, int] = {}
    rows: dict[str, pa.Table] = {}
    for split in ctx.splits:
        images |= prepare.counted_images(ctx, split)
        rows[split] = prepare.annotated(ctx, split)
    return common.detect_shards(ctx, say, window_key_frames(ctx, rows, images), None)


def _proposal_file(ctx: RunContext, split: str) -> Path:
    name = "kinetics_proposal.pkl" if split == TRAIN else f"kinetics_{split}_proposal.pkl"
    return ctx.data.dataset(ctx.spec.root, name)


def make_proposals(ctx: RunContext, say: Say) -> dict[str, Any]:
    """The proposals of the people that were detected."""
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked for proposals.")
    chosen = ctx.chosen(AvaKineticsParams)
    found = common.detections(ctx)
    told = {}
    for split in ctx.splits:
        path = _proposal_file(ctx, split)
        numbers = proposals.publish(ctx, split, found, chosen.score, path, common.detector_name(ctx))
        say("%s", f"{split}: {numbers['boxes']} proposals for {numbers['keys']} key frames ({numbers['source']})")
        common.say_moved(say, split, numbers)
        told[split] = numbers
    return told


def merge_with_ava(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Merge with AVA, and link its frames."""
    needs_plan(ctx)
    if not _merges(ctx):
        raise NothingToDo("Nothing is merged with AVA: not asked for, or not the train split.")
    ava = find_spec(AVA, ctx.settings.dataset_folders)
    own = _proposal_file(ctx, TRAIN)
    made = (ctx.folder / "proposals" / f"{TRAIN}.json").exists()
    theirs = ctx.data.dataset(ava.root)
    actions = theirs / ava_files.FOLDER / ava_files.action_lists(AVA_VERSION)[0]
    rejected = check_ava(theirs, actions, ctx.folder).rejected.num_rows
    numbers = merge(
        ctx.data,
        ctx.data.dataset(ctx.spec.root),
        theirs,
        ctx.folder / CHECKED / TRAIN_CSV,
        kinetics_proposals=own if made else None,
    )
    numbers["ava_rejected"] = rejected
    if rejected:
        say("%s", f"{rejected} rows of AVA's csv cannot be used and are not merged; left_out_of_{TRAIN_CSV} says why")
    told = {key: _told(ctx, value) for key, value in numbers.items()}
    told["sha256"] = {_told(ctx, value): sha256_of(value) for value in numbers.values() if isinstance(value, Path)}
    write_json(ctx.folder / "merged.json", told)
    for sentence in numbers["told"]:
        say("%s", sentence)
    say("%s", f"{numbers['kinetics_rows']} + {numbers['ava_rows']} rows, {numbers['links']} videos of AVA linked")
    return told


def _told(ctx: RunContext, value: Any) -> Any:
    return str(value.relative_to(ctx.data.root)) if isinstance(value, Path) else value


def release(ctx: RunContext, say: Say) -> str:
    """Publish the lock, what is missing, the annotations with the exact times beside them, and the proposals."""
    from clipquarry.annotations.ava_kinetics import row_lines, write_times

    root = ctx.data.dataset(ctx.spec.root)
    files: dict[str, Path] = {}
    for split in ctx.splits:
        files |= {
            f"kinetics_{split}.csv": root / f"kinetics_{split}.csv",
            _proposal_file(ctx, split).name: _proposal_file(ctx, split),
        }
        files[f"missing_key_frames_{split}.csv"] = ctx.folder / prepare.FOLDER / f"{split}.left.csv"
        if (ctx.folder / prepare.FOLDER / f"{split}.boxes.parquet").exists():
            times = ctx.folder / prepare.FOLDER / f"{split}.times.csv"
            write_times(prepare.annotated(ctx, split), times)
            files[f"kinetics_{split}_times.csv"] = times
    if (ctx.folder / "merged.json").exists():
        merged = read_json(ctx.folder / "merged.json")
        files |= {Path(merged[key]).name: ctx.data.root / merged[key] for key in ("proposals",) if key in merged}
        # frame_folders passes over links, which AVA's films are here: they are counted where they lie.
        ava = find_spec(AVA, ctx.settings.dataset_folders)
        frames = ctx.data.dataset(ava.root, ava.layout["rawframes"])
        clips = (bytes(text) for text in row_lines(prepare.prepared_boxes(ctx, TRAIN)))
        files |= common.readable(ctx, say, TRAIN_CSV, checked_ava(ctx.folder), frames, before=clips)
    if ctx.spec.arrangement == "flat":
        for split in ctx.splits:
            name = Path(ctx.spec.parts[split]).name
            files[name] = root / prepare.UPDATED / name
        files["videos_to_download.csv"] = root / "ava_kinetics_csv" / "videos_to_download.csv"
    return common.release(ctx, say, files)


_GATES = ("annotations", "clips", "frames", "boxes", "proposals", "merged")

STAGES: dict[str, Stage] = {
    "annotations": obtain,
    "plan": partial(plan, write_jobs=ava_kinetics_jobs),
    **{f"gate_{name}": partial(common.run_gate, name=name) for name in _GATES},
    "boxes": boxes,
    "detect_shards": detect_shards,
    "proposals": make_proposals,
    "merge": merge_with_ava,
    "release": release,
}
