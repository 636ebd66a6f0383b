"""The stages of tubes that the families do not share."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.families.tubes.params import TubesParams
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.files import write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stage import (
    begin,
    needs_of_gate,
    publish,
    tell_ledger,
)
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.quality.params import GateParams
from clipquarry.run_documents import read_catalog_facts

log = logging.getLogger(__name__)

TUBES = "tubes.csv"
"""A file of a release: every tube, with its class and its frames."""


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Get the ground truth, write the catalog and the tubes, begin the run in the ledger."""
    from clipquarry.families.tubes.catalog import write_catalog

    begin(ctx)
    told = write_catalog(ctx)
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    return {"rows": told["rows"]}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    from clipquarry.families.tubes.jobs import write_jobs

    return make_plan(ctx, write_jobs=write_jobs)


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates."""
    chosen = ctx.chosen(TubesParams)
    needs_of_gate(ctx, name)
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        splits=tuple(ctx.splits),
        resize=False,
        frames=False,
    )
    return run_gate(ctx, name, params)


def release(ctx: RunContext) -> str:
    """Publish tubes, classes, missing videos and the lock; the tree itself stays as it is."""
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.families.tubes.tables import write_csv
    from clipquarry.report.missing import write_missing
    from clipquarry.run_folder import REPORT_MISSING

    def fill(folder: Path) -> None:
        write_csv(TubeFiles(ctx.folder).tubes, ctx.splits, folder / TUBES)
        names = read_catalog_facts(ctx.place).get("label_names", [])
        write_label_map(LabelIndex(tuple(names)), folder / "label_map.txt")
        write_missing(folder / REPORT_MISSING, ctx.recorded, ctx.catalog, namespace_of(ctx.spec))

    return publish(ctx, fill)
