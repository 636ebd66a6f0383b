"""The published optical flow: taken from a copy where the data set's folder lacks it, and counted. It is never made here."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import pyarrow as pa

from clipquarry.families.tubes.here import copy_of_tree
from clipquarry.families.tubes.options import tubes_options
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.files import disk_errors, inside, link_or_copy, owned_beside, sweep_unfinished, sync_folder
from clipquarry.frame_names import frame_number, pattern_of
from clipquarry.manifest import ManifestWriter, read_rows, schema_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stage import needs_made, needs_plan
from clipquarry.reasons import Status

log = logging.getLogger(__name__)

FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),  # of the folder, relative to the data root
    pa.field("images", pa.int32(), nullable=False),
    pa.field("problem", pa.string(), nullable=False),  # what is wrong with their numbers, "" for nothing
)


def flow_images(ctx: RunContext) -> dict[str, int]:
    """Write the table of the flow of each video that is there; returns the counts."""
    needs_plan(ctx)
    needs_made(ctx.recorded, "record")
    copy, counts = copy_of_tree(ctx), {"videos": 0, "taken": 0}
    pattern = pattern_of(tubes_options(ctx.spec).flow_pattern) or ""
    with ManifestWriter(TubeFiles(ctx.folder).flow, schema_of(FIELDS, "flow_images")) as writer:
        for row in read_rows(ctx.recorded, ("item_id", "class_dir", "clip_id", "status")):
            if not Status(row["status"]).is_present:
                continue
            names = (tubes_options(ctx.spec).flow, row["class_dir"], row["clip_id"])
            target = ctx.data.dataset(ctx.spec.root, *names)
            if copy is not None and not os.path.lexists(target):
                counts["taken"] += _take(inside(copy, *names), target)
            images, problem = count_images(target, pattern)
            counts["videos"] += 1
            path = target.relative_to(ctx.data.root).as_posix()
            writer.write({"item_id": row["item_id"], "path": path, "images": images, "problem": problem})
    log.info(
        f"Optical flow of {counts['videos']} videos counted, {counts['taken']} folders taken from {copy or 'nowhere'}."
    )
    return counts


def _take(theirs: Path, target: Path) -> bool:
    """Link a person's folder of flow into its place, whole or not at all; whether there was one."""
    if not theirs.is_dir():
        return False
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_unfinished(target.parent, depth=0)
        beside = owned_beside(target)
        try:
            beside.mkdir()
            for path in sorted(theirs.iterdir()):
                if path.is_file() and not path.name.startswith("."):
                    link_or_copy(path.resolve(), beside / path.name)
            beside.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            return False  # another run, or a person, has put one there
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return True


def count_images(folder: Path, pattern: str) -> tuple[int, str]:
    """The number of images whose names fit the pattern, from 1; and what is wrong with them, ``""`` for nothing."""
    try:
        with os.scandir(folder) as entries:
            found = [(number, entry) for entry in entries if (number := frame_number(entry.name, pattern)) is not None]
            empty = [entry.name for _, entry in found if entry.stat().st_size == 0]
    except FileNotFoundError:
        return 0, "there is no folder of flow"
    except OSError as error:
        return 0, f"the folder of flow cannot be read: {error.strerror}"
    numbers = sorted(number for number, _ in found)
    if empty:
        return len(numbers), f"{min(empty)} is empty"
    if numbers != list(range(1, len(numbers) + 1)):
        lacking = next((at for at, number in enumerate(numbers, 1) if number != at), len(numbers))
        return len(numbers), f"{pattern % lacking} is absent, or numbers do not begin at 1"
    return len(numbers), ""
