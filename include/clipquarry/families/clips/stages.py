"""The stages of labelled clips that the families do not share."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.families.clips.options import clips_options
from clipquarry.families.clips.params import ClipsParams
from clipquarry.families.clips.readers import write_catalog
from clipquarry.files import sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.ledgers import namespaces
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import (
    begin,
    needs_catalog,
    needs_made,
    needs_other_annotations,
    needs_plan,
    tell_ledger,
)
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.quality.params import GateParams
from clipquarry.run_documents import read_label_names, read_lists

log = logging.getLogger(__name__)


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Download the annotation files, write the catalog, begin the run in the ledger."""
    begin(ctx)
    told = write_catalog(ctx)
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    return {"rows": told["rows"]}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    from clipquarry.families.clips.jobs import write_jobs

    return make_plan(ctx, write_jobs=write_jobs)


def _same_ids(ctx: RunContext, others: Iterable[str]) -> tuple[str, ...]:
    """Data sets whose ids have the same meaning as this one's; without those whose YAML is gone."""
    if not (names := list(others)):
        return ()
    whose = namespaces(ctx.settings)
    return tuple(name for name in names if whose.get(name) == namespace_of(ctx.spec))


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates; it is skipped if its subject was not requested."""
    chosen = ctx.chosen(ClipsParams)
    if name == "annotations":
        needs_catalog(ctx)
        needs_other_annotations(ctx)
    else:
        needs_plan(ctx)
    if name == "frames" and not (chosen.resize or chosen.frames):
        raise NothingToDo("Neither resized copies nor frames were asked for.")
    frames = clips_options(ctx.spec).frames
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        splits=tuple(ctx.splits),
        label_map=bool(chosen.label_map),
        resize=chosen.resize,
        short_edge=chosen.short_edge,
        frames=chosen.frames,
        # Frames that are not enlarged may have a smaller short edge.
        frame_short_edge=None if chosen.frame_width or not frames.enlarge else chosen.short_edge,
        frame_size=(chosen.frame_width, chosen.frame_height) if chosen.frame_width else None,
        frame_fps=chosen.frame_rate or None,
        compare_with=tuple(chosen.compare_with),
        same_ids=_same_ids(ctx, chosen.compare_with),
    )
    return run_gate(ctx, name, params)


def lists(ctx: RunContext) -> list[dict[str, Any]]:
    """Write the list files from the catalog and what is on disk."""
    from clipquarry.release.lists import build_lists

    needs_plan(ctx)
    summaries = build_lists(
        ctx.spec,
        ctx.data,
        ctx.catalog,
        ctx.folder,
        recorded=ctx.state if ctx.state.exists() else None,
        splits=ctx.splits,
    )
    content = [{**summary.as_json(), "sha256": sha256_of(summary.path)} for summary in summaries]
    write_json(ctx.place.lists, content)
    for summary in summaries:
        log.info(f"{summary.path.name}: {summary.lines} lines, {summary.missing} missing of {summary.rows} rows")
        if summary.moved:
            log.info(f"{summary.path.name}: {summary.moved}")
    return content


def release(ctx: RunContext) -> str:
    """Publish lists, missing clips, label map and lock."""
    from clipquarry.annotations.download_report import write_download_report
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.pipeline.publish import publish_release
    from clipquarry.release.verify import verify_copies

    def fill(folder: Path) -> None:
        lists = read_lists(ctx.place)
        for summary in lists:
            shutil.copy2(summary["path"], folder)
        sums = {Path(one["path"]).name: one["sha256"] for one in lists if "sha256" in one}
        verify_copies(folder, sums, f"{ctx.spec.name}, run {ctx.run},")
        for form in sorted({summary["format"] for summary in lists}):
            # A copy, because edits of a release's table must not change the run's.
            shutil.copy2(ctx.place.missing_csv(form), folder)
        for split in ctx.splits:
            write_download_report(ctx.recorded, split, folder)
        write_label_map(LabelIndex(tuple(read_label_names(ctx.place))), folder / "label_map.txt")

    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    needs_made(ctx.place.lists, "lists")
    folder = publish_release(ctx, fill)
    log.info(f"Release: {folder}")
    return str(folder)
