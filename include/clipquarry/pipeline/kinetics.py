"""The stages of a data set of labelled clips (``kinetics_csv``) that are its own."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from clipquarry.errors import RetryLater, UserError
from clipquarry.files import link_or_copy, read_json, sha256_of, write_json
from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import KineticsParams
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.stage import (
    NothingToDo,
    Say,
    Stage,
    begin,
    gate,
    needs_catalog,
    needs_made,
    needs_other_annotations,
    needs_plan,
    tell_ledger,
)
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.quality.params import GateParams


def obtain(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Obtain the annotation files, build the catalog, begin the run in the ledger."""
    from clipquarry.acquire.official import obtain_annotations
    from clipquarry.annotations.catalog import build_catalog

    begin(ctx, say)
    chosen = ctx.chosen(KineticsParams).label_map
    label_map = Path(chosen) if chosen else None
    spec = annotation_spec(ctx)
    check_kept(ctx, (spec.parts[split] for split in ctx.splits))
    obtained = obtain_annotations(spec, ctx.data, parts=ctx.splits)
    if "train" in ctx.spec.parts and "train" not in ctx.splits and label_map is None:
        # The label index comes from the train csv; without it the labels of the other csvs must be complete.
        try:
            obtained += obtain_annotations(spec, ctx.data, parts=["train"])
        except (UserError, RetryLater) as error:
            say("%s", f"Going on without the train csv: {error}")
    remember(ctx, obtained)
    for one in obtained:
        say("%s", f"{one.part}: {one.path} ({one.source}, sha256 {one.sha256[:12]}…)")
    summary = build_catalog(
        ctx.annotation_csvs(), ctx.catalog, label_map=label_map, expected_labels=ctx.spec.labels.count
    )
    content = {
        **summary.as_json(),
        "label_names": list(summary.label_names),
        "obtained": [{"part": one.part, "source": one.source, "sha256": one.sha256} for one in obtained],
        "files": pin(ctx, ctx.annotation_csvs().values()),
    }
    write_json(ctx.folder / "catalog.json", content)
    tell_ledger(ctx, say)
    return {"rows": summary.rows}


def plan(ctx: RunContext, say: Say) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    from clipquarry.pipeline.step_params import write_jobs

    return make_plan(ctx, say, write_jobs=write_jobs)


def _gate(ctx: RunContext, say: Say, *, name: str) -> str:
    chosen = ctx.chosen(KineticsParams)
    if name == "annotations":
        needs_catalog(ctx)
        needs_other_annotations(ctx)
    else:
        needs_plan(ctx)
    if name == "frames" and not (chosen.resize or chosen.frames):
        raise NothingToDo("Neither resized copies nor frames were asked for.")
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        splits=tuple(ctx.splits),
        label_map=bool(chosen.label_map),
        resize=chosen.resize,
        short_edge=chosen.short_edge,
        frames=chosen.frames,
        # Images of a flat layout are never enlarged, so that their short edge may be smaller.
        frame_short_edge=None if chosen.frame_width or ctx.spec.arrangement == "flat" else chosen.short_edge,
        frame_size=(chosen.frame_width, chosen.frame_height) if chosen.frame_width else None,
        frame_fps=chosen.frame_rate or None,
        compare_with=tuple(chosen.compare_with),
    )
    return gate(ctx, say, name, params)


def lists(ctx: RunContext, say: Say) -> list[dict[str, Any]]:
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
    write_json(ctx.folder / "lists.json", content)
    for summary in summaries:
        say("%s", f"{summary.path.name}: {summary.lines} lines, {summary.missing} missing of {summary.rows} rows")
        if summary.moved:
            say("%s", f"{summary.path.name}: {summary.moved}")
    return content


def release(ctx: RunContext, say: Say) -> str:
    """Publish lists, missing clips, label map and lock."""
    from clipquarry.annotations.download_report import write_download_report
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.pipeline.publish import publish_release
    from clipquarry.release.lists import missing_name
    from clipquarry.release.verify import verify_copies

    def fill(folder: Path) -> None:
        lists = read_json(ctx.folder / "lists.json")
        for summary in lists:
            shutil.copy2(summary["path"], folder)
        sums = {Path(one["path"]).name: one["sha256"] for one in lists if "sha256" in one}
        verify_copies(folder, sums, f"{ctx.spec.name}, run {ctx.run},")
        for name in sorted({missing_name(summary["format"]) for summary in lists}):
            # Half a million rows where nothing is there: the same file, which nobody edits and a later run replaces.
            link_or_copy(ctx.folder / f"{name}.csv", folder / f"{name}.csv")
        for split in ctx.splits:
            write_download_report(ctx.recorded, split, folder)
        names = read_json(ctx.folder / "catalog.json")["label_names"]
        write_label_map(LabelIndex(tuple(names)), folder / "label_map.txt")

    needs_plan(ctx)
    needs_made(ctx, "recorded.parquet", "record")
    needs_made(ctx, "lists.json", "lists")
    folder = publish_release(ctx, fill)
    say("%s", f"Release: {folder}")
    return str(folder)


STAGES: dict[str, Stage] = {
    "annotations": obtain,
    "plan": plan,
    **{f"gate_{name}": partial(_gate, name=name) for name in ("annotations", "clips", "frames", "lists")},
    "lists": lists,
    "release": release,
}
