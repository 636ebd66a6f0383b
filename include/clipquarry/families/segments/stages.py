"""The stages of labelled intervals that the families do not share."""

from __future__ import annotations

import csv
import logging
import shutil
from pathlib import Path
from typing import Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.families.segments.intervals import write_csv
from clipquarry.families.segments.options import segments_options
from clipquarry.families.segments.params import SegmentsParams
from clipquarry.families.segments.readers import reader_of
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.files import read_json, write_json, writing
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import (
    begin,
    needs_of_gate,
    publish,
    tell_ledger,
)
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.quality.params import GateParams

log = logging.getLogger(__name__)

INTERVALS, CLASSES = "intervals.csv", "classes.csv"
"""Files of a release: the labelled intervals, and the numbers of the classes."""


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Get the annotation files, write the catalog and the intervals, begin the run in the ledger."""
    begin(ctx)
    told = reader_of(ctx.spec).write_catalog(ctx)
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    return {"rows": told["rows"]}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    from clipquarry.families.segments.jobs import write_jobs

    return make_plan(ctx, write_jobs=write_jobs)


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates; it is skipped if its subject was not requested."""
    chosen = ctx.chosen(SegmentsParams)
    needs_of_gate(ctx, name)
    if name == "frames" and not chosen.frames:
        raise NothingToDo("No frames were asked for.")
    if name == "features" and not chosen.pool_features:
        raise NothingToDo("No features were to be pooled.")
    if name == "lists" and not SegmentFiles(ctx.folder).list_splits():
        raise NothingToDo("There are no lists of frames.")
    if name == "proposals" and not SegmentFiles(ctx.folder).block_splits():
        raise NothingToDo("There are no lists of proposals.")
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        splits=tuple(ctx.splits),
        resize=False,
        frames=chosen.frames,
        frame_short_edge=segments_options(ctx.spec).frame_short_edge or None,
        flow=chosen.flow,
    )
    return run_gate(ctx, name, params)


def release(ctx: RunContext) -> str:
    """Publish intervals, classes, lists, files made of the annotation, missing videos and the lock."""
    from clipquarry.annotations.download_report import write_download_report
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.release.verify import verify_copies
    from clipquarry.report.missing import write_missing
    from clipquarry.run_folder import REPORT_MISSING

    place = SegmentFiles(ctx.folder)
    options = segments_options(ctx.spec)
    classes = options.numbered()

    def fill(folder: Path) -> None:
        if left := write_csv(place.intervals, ctx.splits, folder / INTERVALS):
            log.info(f"{INTERVALS}: {left} intervals are left out, because they end before or where they start")
        write_label_map(LabelIndex(tuple(classes)), folder / "label_map.txt")
        if options.classes:
            _write_classes(classes, folder / CLASSES)
        write_missing(folder / REPORT_MISSING, ctx.recorded, ctx.catalog, namespace_of(ctx.spec))
        sums = _copy_files(ctx, folder)
        if any(source.kind == "youtube" for source in ctx.spec.item_sources):
            for split in ctx.splits:
                write_download_report(ctx.recorded, split, folder)
        for split in (one for one in place.block_splits() if one in ctx.splits):
            told = read_json(place.proposal_facts(split))
            shutil.copy2(ctx.data.root / told["path"], folder)
            shutil.copy2(place.missing_proposals(split), folder)
            sums[Path(told["path"]).name] = told["sha256"]
        verify_copies(folder, sums, f"{ctx.spec.name}, run {ctx.run},")

    return publish(ctx, fill)


def _copy_files(ctx: RunContext, folder: Path) -> dict[str, str]:
    """Copy lists of frames, their missing intervals, and what was made of the annotation; returns name to sha256 as they were written."""
    place = SegmentFiles(ctx.folder)
    written = {one["path"]: one["sha256"] for one in (read_json(place.copies) if place.copies.exists() else ())}
    for split in (one for one in place.list_splits() if one in ctx.splits):
        written |= read_json(place.list_facts(split))["files"]
        shutil.copy2(place.missing_frames(split), folder)
    for path in written:
        shutil.copy2(ctx.data.root / path, folder)
    return {Path(path).name: digest for path, digest in written.items()}


def _write_classes(classes: dict[str, int], target: Path) -> None:
    """The numbers of each class: its index from 0, its label in lists of proposals (0 is the background), its published one."""
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("index", "proposal_label", "published_number", "name"))
        writer.writerows((index, index + 1, number, name) for index, (name, number) in enumerate(classes.items()))
