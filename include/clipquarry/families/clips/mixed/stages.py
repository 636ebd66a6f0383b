"""The stages of a run whose splits hold different things, which it does not share with other runs of the family."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from clipquarry.families.clips.mixed.params import MixedParams
from clipquarry.families.clips.mixed.run_files import MixedFiles
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import (
    needs_of_gate,
    publish,
)
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.pipeline.step_params import Job, extract_jobs, fetch_jobs
from clipquarry.quality.params import GateParams

log = logging.getLogger(__name__)


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """As for all labelled clips; says which sources the run leaves out."""
    from clipquarry.families.clips.stages import read_annotations as read

    found = read(ctx)
    if left := [split for split in ctx.spec.splits if split not in ctx.splits]:
        log.info(f"Not chosen in this run: {', '.join(left)}. Nothing of them is unpacked, checked or listed.")
    return found


def _jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
    options, chosen = clips_options(ctx.spec), ctx.chosen(MixedParams)
    suffixes = [f".{suffix}" for suffix in ctx.spec.item.ext]
    return {
        "extract": extract_jobs(ctx, plan),
        "collect_mixed": fetch_jobs(
            ctx, plan, "collect_mixed", suffixes=suffixes, holds=dict(options.holds), seconds=options.part_seconds,
            delete_source=chosen.delete_source,
        ),
    }  # fmt: skip


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`. Says what becomes of long videos."""
    if "parts" in {clips_options(ctx.spec).holds[split] for split in ctx.splits}:
        deletes = ctx.chosen(MixedParams).delete_source
        stays = "it stays beside them, and both need disk (delete_source=true deletes it)"
        told = "it is deleted once they are verified" if deletes else stays
        log.info(f"A long video is cut into parts of {clips_options(ctx.spec).part_seconds:g} s; {told}.")
    return make_plan(ctx, write_jobs=_jobs)


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates."""
    needs_of_gate(ctx, name)
    chosen = ctx.chosen(MixedParams)
    params = GateParams(
        annotation_counts=chosen.annotation_counts, rejected_error=ctx.spec.rejected.error, splits=tuple(ctx.splits)
    )
    return run_gate(ctx, name, params)


def release(ctx: RunContext) -> str:
    """Publish the lists, the entries that are in none, the classes and the lock."""
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.release.verify import verify_copies
    from clipquarry.run_documents import read_label_maps

    place = MixedFiles(ctx.folder)

    def fill(folder: Path) -> None:
        sums: dict[str, str] = {}
        for one in place.read_checked():
            for path in filter(None, (one["path"], one["also"])):
                shutil.copy2(ctx.data.root / path, folder)
            sums[Path(one["path"]).name] = one["sha256"]
        verify_copies(folder, sums, f"{ctx.spec.name}, run {ctx.run},")
        # Its name begins with "missing": other words in it make no other release.
        shutil.copy2(place.problems_csv, folder / f"missing_{place.problems_csv.name}")
        for names in read_label_maps(ctx.place).values():
            write_label_map(LabelIndex(tuple(names)), folder / "label_map.txt")

    return publish(ctx, fill, (place.checked, "lists"))
