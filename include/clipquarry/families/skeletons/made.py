"""The stage ``make``: makes packages of files that a person has placed, NTU RGB+D's skeletons and BABEL's arrays.

A package is made again when its files have changed. One that a person put in its place is kept, and so is one whose files have gone.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.errors import UserError
from clipquarry.families.skeletons.options import MadeOf, skeletons_options
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.files import disk_errors, link_or_copy, publish, sha256_of, temporary_beside, write_json
from clipquarry.manifest import ManifestWriter, schema_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_catalog
from clipquarry.reasons import Status
from clipquarry.store import Facts, Store, content_key

log = logging.getLogger(__name__)

KIND, VERSION = "packages", 1
"""The store's kind of the notes, and a number that is raised whenever the same files would give another package."""
MADE_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
    pa.field("label", pa.int32()),
    pa.field("frames", pa.int32()),
    pa.field("persons", pa.int32()),
)
"""A row for each file of a folder, or each sample of an array: what became of it, and why."""

Note = Callable[[str, Any], None]


def make_packages(ctx: RunContext) -> dict[str, int]:
    """Make what is lacking; returns how many samples each chosen package has that is made here."""
    needs_catalog(ctx)
    packages = skeletons_options(ctx.spec).packages
    chosen = {name: made for name in ctx.splits if (made := packages[name].made_of) is not None}
    if not chosen:
        raise NothingToDo("No chosen package is made of files that a person places.")
    return {name: _make(ctx, name, made) for name, made in chosen.items()}


def _make(ctx: RunContext, name: str, made: MadeOf) -> int:
    source, target = ctx.data.dataset(ctx.spec.root, made.folder), ctx.data.dataset(ctx.spec.root, f"{name}.pkl")
    store, place = Store(ctx.data.store), SkeletonFiles(ctx.folder)
    there = target.is_file()  # before its note, which a run that makes it at this moment writes first
    known = _noted(store, name, target)
    if there and (known is None or not source.is_dir()):
        log.info(f"{name}: the package that lies there is kept" + ("" if known else ", because it was not made here"))
        return int((known or {}).get("samples", 0))
    if not source.is_dir():
        error = UserError(
            f"{name} is made of files that are not there: put {made.howto} into {source}, then run this again."
        )
        error.places = (source,)
        raise error
    key = content_key(
        version=VERSION, made=made.model_dump(mode="json"), files=_listing(source, made), place=ctx.spec.root
    )
    rows = store.path(KIND, name, key, ".parquet")
    facts = store.noted(KIND, name, key)
    if known is None or facts != known or not rows.is_file():
        log.info(f"{name}: made of {source}")
        facts = _write(store, name, key, made, source, target, rows)
    assert facts is not None
    link_or_copy(rows, place.made(name))
    write_json(place.made_facts(name), {"package": name, "samples": facts["samples"], "ended": facts["ended"]})
    log.info(f"{name}: {', '.join(f'{count:,} {status}' for status, count in sorted(facts['ended'].items()))}")
    return int(facts["samples"])


def _noted(store: Store, name: str, path: Path) -> Facts | None:
    """The noted facts of a package that was made here, while its size and time are the noted ones."""
    with suppress(OSError):  # it is not there
        there = path.stat()
        for facts in store.all_noted(KIND, name):
            if (facts.get("bytes"), facts.get("mtime_ns")) == (there.st_size, there.st_mtime_ns):
                return facts
    return None


def _write(store: Store, name: str, key: str, made: MadeOf, source: Path, target: Path, rows: Path) -> dict[str, Any]:
    """Write the package and its rows; the note is written before the package takes its place. Raises UserError where somebody
    has put another one there meanwhile.
    """
    beside = temporary_beside(target)
    try:
        with disk_errors(target):
            with ManifestWriter(rows, schema_of(MADE_FIELDS, "made")) as writer:
                ended = _convert(made, source, beside, lambda item, row: writer.write(_row(name, item, row)))
            stat = beside.stat()
            facts = {
                "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256_of(beside), "samples": ended[Status.DONE],
                "ended": {str(status): count for status, count in ended.items()}, "key": key,
            }  # fmt: skip
            if target.is_file() and _noted(store, name, target) is None:
                raise UserError(
                    f"{target} was placed while it was made here: it is left alone. Run this again, which takes it as it is."
                )
            store.note(KIND, name, key, facts)
            publish(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return facts


def _convert(made: MadeOf, source: Path, target: Path, note: Note) -> Counter[Status]:
    if made.kind == "ntu":
        from clipquarry.annotations.ntu_names import TASKS
        from clipquarry.annotations.ntu_package import write_package

        return write_package(source, target, TASKS[made.part], lambda row: note(row.name, row))
    from clipquarry.annotations.babel_skeletons import SUBSETS, write_subset

    subset = SUBSETS[made.part]
    return write_subset(source / subset.x, source / subset.y, target, subset, lambda row: note(f"{row.number}", row))


def _row(package: str, item: str, row: Any) -> dict[str, Any]:
    return {
        "item_id": f"{package}/{item}", "name": row.name, "status": str(row.status), "reason": str(row.reason), "evidence": row.sentence,
        "label": row.label, "frames": getattr(row, "frames", None), "persons": getattr(row, "persons", None),
    }  # fmt: skip


def _listing(source: Path, made: MadeOf) -> str:
    """A hash of the names, sizes and times of the files that a package is made of."""
    wanted = made.names
    try:
        with os.scandir(source) as entries:
            found = [
                (os.fsencode(entry.name).hex(), stat.st_size, stat.st_mtime_ns)
                for entry in entries
                if not wanted or entry.name in wanted
                for stat in (entry.stat(),)
            ]
    except OSError as error:
        raise UserError(f"The folder {source} cannot be read: {error.strerror}.") from error
    return content_key(files=sorted(found))
