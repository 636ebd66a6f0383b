"""The stages of AVA-Kinetics: the annotated windows of Kinetics-700, person boxes in them, and the merge with AVA."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes import files as ava_files
from clipquarry.families.boxes import prepare, proposals
from clipquarry.families.boxes import stages as common
from clipquarry.families.boxes.detection import window_key_frames
from clipquarry.families.boxes.merge import TRAIN_CSV, check_ava, checked_ava, merge
from clipquarry.families.boxes.options import BoxesOptions, boxes_options, updated_folder
from clipquarry.families.boxes.params import WindowsParams
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import write_tables
from clipquarry.families.boxes.windows import (
    TRAIN,
    cut_rows,
    flat_rows,
    kinetics_clips,
    listed_clips,
    window_rows,
    write_catalog,
)
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.manifest import Row
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_plan, tell_ledger
from clipquarry.pipeline.step_params import Job

log = logging.getLogger(__name__)


def _options(ctx: RunContext) -> BoxesOptions:
    return boxes_options(ctx.spec)


def _merged_with(ctx: RunContext) -> DatasetSpec | None:
    """The data set that joins the train split; None in the other splits, and if no merge is wanted or named."""
    name = _options(ctx).merge_with
    wanted = isinstance(ctx.params, WindowsParams) and ctx.params.merge and TRAIN in ctx.splits
    return find_spec(name, ctx.settings.dataset_folders) if wanted and name else None


def _source(ctx: RunContext) -> DatasetSpec | None:
    """The data set whose clips contain the windows; None for six seconds around key frames."""
    name = _options(ctx).windows_of
    return find_spec(name, ctx.settings.dataset_folders) if name else None


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Download all annotation files, choose the windows, begin the run in the ledger."""
    common.begin(ctx)
    known = _known_splits(ctx)
    files = ava_files.download_ava_kinetics(ctx.spec, ctx.data, known, run=ctx)
    if (other := _merged_with(ctx)) is not None:
        ava_files.download(other, ctx.data, _options(ctx).merge_version, ["train", "val"])
        ava_files.download_proposals(other, ctx.data, ["train", "val"])
    splits = write_tables(ctx.folder, files.splits, "ava_kinetics", files.actions, files.evaluated)
    rows = {split: _windows(ctx, split) for split in known}
    count = write_catalog(ctx.folder, known, rows, ctx.catalog)
    told = {"splits": splits, "obtained": files.obtained, "files": common.pins(ctx, files.obtained)}
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    log.info(f"{count} rows in the catalog")
    return {"rows": count}


def _known_splits(ctx: RunContext) -> list[str]:
    """The chosen splits, and those whose files are there already: the catalog must not forget those of an earlier
    run.
    """
    root, source = ctx.data.dataset(ctx.spec.root), _source(ctx)

    def is_there(split: str) -> bool:
        windows = source is None or ctx.data.dataset(source.root, source.splits[split]).is_file()
        return windows and (root / ctx.spec.splits[split]).is_file()

    return [split for split in ctx.spec.splits if split in ctx.splits or is_there(split)]


def _windows(ctx: RunContext, split: str) -> Iterable[Row]:
    source = _source(ctx)
    if source is None:
        return flat_rows(ctx.folder, split)
    if isinstance(ctx.params, WindowsParams) and (chosen := ctx.params.kinetics_list):
        return window_rows(ctx.folder, split, listed_clips(Path(chosen)))
    clips = kinetics_clips(ava_files.download_kinetics_csv(source, ctx.data, split), split)
    make = cut_rows if _options(ctx).items == "key_frames" else window_rows
    return make(ctx.folder, split, clips)


def boxes(ctx: RunContext) -> dict[str, Any]:
    """The annotations of the clips that are there."""
    needs_plan(ctx)
    told = {}
    for split in ctx.splits:
        counts = prepare.count_frames(ctx, split)
        if _options(ctx).items == "key_frames":
            raw = Path(ctx.spec.splits[split]).name
            told[split] = prepare.prepare_flat(ctx, split, counts, raw)
        else:
            told[split] = prepare.prepare(ctx, split, counts)
        numbers = told[split]
        log.info(f"{split}: {numbers['rows']} rows for {len(counts)} clips, {numbers['dropped']} rows without a clip")
        common.log_moved(split, numbers)
    if _options(ctx).items == "key_frames" and _source(ctx) is None:
        common.log_moved("videos_to_download.csv", {"moved": prepare.write_list(ctx, ctx.splits)})
    return told


def detect_shards(ctx: RunContext) -> list[Job]:
    """The frames to detect people in, in shards."""
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked to detect people in frames.")
    counts: dict[str, int] = {}
    rows: dict[str, pa.Table] = {}
    for split in ctx.splits:
        counts |= prepare.counted_frames(ctx, split)
        rows[split] = prepare.annotated(ctx, split)
    return common.detect_shards(ctx, window_key_frames(ctx, rows, counts), None)


def _proposal_file(ctx: RunContext, split: str) -> Path:
    name = "kinetics_proposal.pkl" if split == TRAIN else f"kinetics_{split}_proposal.pkl"
    return ctx.data.dataset(ctx.spec.root, name)


def make_proposals(ctx: RunContext) -> dict[str, Any]:
    """The proposals of the people that were detected."""
    needs_plan(ctx)
    if not common.detects(ctx):
        raise NothingToDo("Nobody asked for proposals.")
    chosen = ctx.chosen(WindowsParams)
    found = common.detections(ctx)
    told = {}
    for split in ctx.splits:
        path = _proposal_file(ctx, split)
        numbers = proposals.publish(ctx, split, found, chosen.score, path, common.detector_name(ctx))
        log.info(f"{split}: {numbers['boxes']} proposals for {numbers['keys']} key frames ({numbers['source']})")
        common.log_moved(split, numbers)
        told[split] = numbers
    return told


def merge_with(ctx: RunContext) -> dict[str, Any]:
    """Merge with the other data set, and link its frames."""
    needs_plan(ctx)
    ava = _merged_with(ctx)
    if ava is None:
        raise NothingToDo("Nothing is merged: not asked for, not the train split, or no data set to merge with.")
    own, place = _proposal_file(ctx, TRAIN), BoxFiles(ctx.folder)
    made = place.proposal_facts(TRAIN).exists()
    theirs = ctx.data.dataset(ava.root)
    actions = theirs / ava_files.FOLDER / ava_files.action_lists(_options(ctx).merge_version)[0]
    rejected = check_ava(theirs, actions, ctx.folder).rejected.num_rows
    numbers = merge(
        ctx.data,
        ctx.data.dataset(ctx.spec.root),
        theirs,
        place.checked(TRAIN_CSV),
        kinetics_proposals=own if made else None,
    )
    numbers["ava_rejected"] = rejected
    if rejected:
        log.info(f"{rejected} rows of AVA's csv cannot be used and are not merged; left_out_of_{TRAIN_CSV} says why")
    told = {key: _told(ctx, value) for key, value in numbers.items()}
    told["sha256"] = {_told(ctx, value): sha256_of(value) for value in numbers.values() if isinstance(value, Path)}
    write_json(place.merged, told)
    for sentence in numbers["told"]:
        log.info(sentence)
    log.info(f"{numbers['kinetics_rows']} + {numbers['ava_rows']} rows, {numbers['links']} videos of AVA linked")
    return told


def _told(ctx: RunContext, value: Any) -> Any:
    return str(value.relative_to(ctx.data.root)) if isinstance(value, Path) else value


def release(ctx: RunContext) -> str:
    """Publish the lock, the missing items, the annotations with their exact times, and the proposals."""
    from clipquarry.annotations.ava_kinetics import row_lines, write_times

    root, place = ctx.data.dataset(ctx.spec.root), BoxFiles(ctx.folder)
    files: dict[str, Path] = {}
    for split in ctx.splits:
        files |= {
            f"kinetics_{split}.csv": root / f"kinetics_{split}.csv",
            _proposal_file(ctx, split).name: _proposal_file(ctx, split),
        }
        files[f"missing_key_frames_{split}.csv"] = place.left(split)
        if place.prepared(split).exists():
            times = place.times(split)
            write_times(prepare.annotated(ctx, split), times)
            files[f"kinetics_{split}_times.csv"] = times
    if place.merged.exists():
        merged = read_json(place.merged)
        files |= {Path(merged[key]).name: ctx.data.root / merged[key] for key in ("proposals",) if key in merged}
        # frame_folders skips links, such as those to AVA's videos: these are counted in AVA's own folder.
        other = find_spec(str(_options(ctx).merge_with), ctx.settings.dataset_folders)
        frames = ctx.data.dataset(other.root, other.layout["rawframes"])
        clips = (bytes(text) for text in row_lines(prepare.prepared_boxes(ctx, TRAIN)))
        files |= common.readable(ctx, TRAIN_CSV, checked_ava(ctx.folder), frames, before=clips)
    if _options(ctx).items == "key_frames":
        for split in ctx.splits:
            name = Path(ctx.spec.splits[split]).name
            files[name] = root / updated_folder(ctx.spec) / name
        files["videos_to_download.csv"] = root / "ava_kinetics_csv" / "videos_to_download.csv"
    return common.release(ctx, files)
