"""The stage ``samples``: reads the packages that are there to their ends, one after the other."""

from __future__ import annotations

import logging
from typing import Any

from clipquarry.errors import ClipquarryError, UserError
from clipquarry.families.skeletons.options import PackageOptions, skeletons_options
from clipquarry.families.skeletons.read_package import VERSION, read_package
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.files import known_object, write_json
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stage import needs_made, needs_plan
from clipquarry.reasons import Status
from clipquarry.store import content_key

log = logging.getLogger(__name__)


def present_packages(ctx: RunContext) -> list[Row]:
    """The rows of the chosen packages that are there, in the data set's order."""
    found = {
        str(row["split"]): row
        for row in read_rows(ctx.recorded, ["item_id", "split", "status", "path", "sha256"])
        if Status(row["status"]).is_present
    }
    return [found[name] for name in ctx.splits if name in found]


def samples(ctx: RunContext) -> dict[str, int]:
    """Write the tables of each package; returns their numbers of samples. A package that cannot be read has facts that say so."""
    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    place, packages = SkeletonFiles(ctx.folder), skeletons_options(ctx.spec).packages
    counts = {}
    for row in present_packages(ctx):
        name = str(row["split"])
        key = _key(row, packages[name])
        facts = known_object(place.facts(name))
        if facts.get("key") != key or not _complete(place, name):
            log.info(f"{name}: reads {row['path']}")
            for path in (place.facts(name), place.samples(name), place.faults(name)):  # of a file that has changed
                path.unlink(missing_ok=True)
            facts = {**_read(ctx, row, name, packages[name], place), "path": row["path"], "key": key}
            write_json(place.facts(name), facts)
        counts[name] = int(facts["samples"])
        log.info(f"{name}: {facts['samples']:,} samples, {facts['faults']:,} faults")
    return counts


def _complete(place: SkeletonFiles, name: str) -> bool:
    return place.samples(name).is_file() and place.faults(name).is_file()


def _key(row: Row, options: PackageOptions) -> str:
    return content_key(version=VERSION, sha256=row["sha256"], options=options.model_dump(mode="json"))


def _read(ctx: RunContext, row: Row, name: str, options: PackageOptions, place: SkeletonFiles) -> dict[str, Any]:
    try:
        return read_package(ctx.data.root / str(row["path"]), str(row["sha256"]), name, options, place)
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            raise ClipquarryError(str(error)) from error
        log.warning(f"{name}: {error}")
        unread = {"samples": 0, "frames": 0, "problem": str(error), "splits": [], "benchmarks": [], "faults": 1}
        return {"package": name, "content": options.content, "sha256": row["sha256"], "version": VERSION, **unread}
