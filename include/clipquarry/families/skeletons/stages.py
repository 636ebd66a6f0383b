"""The stages of packages of skeletons that the families do not share."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.families.skeletons.options import skeletons_options
from clipquarry.families.skeletons.params import SkeletonsParams
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.files import read_json, write_json, writing
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.plan import Plan
from clipquarry.pipeline.stage import (
    begin,
    needs_made,
    needs_of_gate,
    publish,
    tell_ledger,
)
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.pipeline.step_params import Job, fetch_jobs
from clipquarry.quality.params import GateParams
from clipquarry.store import content_key

log = logging.getLogger(__name__)

PACKAGES, SPLITS, FAULTS = "packages.csv", "splits.csv", "faults.csv"
"""Files of a release."""
_PACKAGE_COLUMNS = ("package", "path", "sha256", "content", "samples", "frames", "classes", "points", "faults")
_SPLIT_COLUMNS = ("package", "split", "names", "published", "classes", "unknown", "twice")
_FAULT_COLUMNS = ("package", "place", "name", "reason")


def list_packages(ctx: RunContext) -> dict[str, Any]:
    """Write the catalog, a row for each package of the data set; begin the run in the ledger."""
    from clipquarry.annotations.catalog import write_catalog
    from clipquarry.annotations.items import Item
    from clipquarry.annotations.labels import LabelIndex

    begin(ctx)
    packages = skeletons_options(ctx.spec).packages
    numbers = {name: number for number, name in enumerate(ctx.spec.splits, 1)}

    def row(split: str, path: Path) -> Iterator[Item]:
        yield Item(numbers[split], split, split, None, None, None)

    def digest(path: Path) -> str:
        """A package has no annotation file: what is published of it stands for one."""
        return content_key(package=packages[path.stem].model_dump(mode="json"))

    files = {split: ctx.data.dataset(ctx.spec.root, path) for split, path in ctx.spec.splits.items()}
    summary = write_catalog(
        files, ctx.catalog, row, LabelIndex((), "packages have classes of their own"), digest=digest
    )
    write_json(
        ctx.place.catalog_file,
        {"rows": summary.rows, **summary.as_json(), "label_names": [], "obtained": [], "files": []},
    )
    tell_ledger(ctx)
    return {"rows": summary.rows}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""

    def write_jobs(ctx: RunContext, plan: Plan) -> dict[str, list[Job]]:
        return {"collect_packages": fetch_jobs(ctx, plan, "collect_packages", suffixes=[".pkl"])}

    return make_plan(ctx, write_jobs=write_jobs)


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates."""
    chosen = ctx.chosen(SkeletonsParams)
    needs_of_gate(ctx, name)
    if name == "packages":
        needs_made(ctx.recorded, "record")
    params = GateParams(
        annotation_counts=chosen.annotation_counts, splits=tuple(ctx.splits), resize=False, frames=False
    )
    return run_gate(ctx, name, params)


def release(ctx: RunContext) -> str:
    """Publish the tables of packages, of their splits and of what is wrong, the missing packages, and the lock."""
    from clipquarry.report.missing import write_missing
    from clipquarry.run_folder import REPORT_MISSING

    place = SkeletonFiles(ctx.folder)

    def fill(folder: Path) -> None:
        facts = [read_json(place.facts(name)) for name in ctx.splits if place.facts(name).exists()]
        _write(folder / PACKAGES, _PACKAGE_COLUMNS, ({**dict.fromkeys(_PACKAGE_COLUMNS, ""), **one} for one in facts))
        _write(
            folder / SPLITS,
            _SPLIT_COLUMNS,
            ({**split, "package": one["package"]} for one in facts for split in one["splits"]),
        )
        _write(folder / FAULTS, _FAULT_COLUMNS, (row for one in facts for row in _faults(place, one["package"])))
        write_missing(folder / REPORT_MISSING, ctx.recorded, ctx.catalog, namespace_of(ctx.spec))

    return publish(ctx, fill)


def _faults(place: SkeletonFiles, package: str) -> Iterator[dict[str, Any]]:
    """Files that were left out of a package, then what is wrong in it."""
    if place.made(package).exists():
        for row in read_rows(place.made(package)):
            if row["evidence"]:
                yield {"package": package, "place": "made of", "name": row["name"], "reason": row["evidence"]}
    if place.faults(package).exists():
        yield from read_rows(place.faults(package))


def _write(target: Path, columns: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> None:
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[name] for name in columns] for row in rows)
