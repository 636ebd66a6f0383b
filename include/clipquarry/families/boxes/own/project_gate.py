"""What was labelled as finished projects, read again as they lie on the disk (C-I3), and the labels in them (C-I4); one project at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from clipquarry.annotations.own_ava.key_frames import frame_name
from clipquarry.annotations.own_ava.label_rows import rows_of
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel, labelled_as_via
from clipquarry.quality.engine import EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

_TABLE = {
    "item_id": "str",
    "views": "int64",
    "wanted_views": "int64",
    "fault": "str",
    "chosen": "int64",
    "rows": "int64",
}


def of_projects(spec: DatasetSpec, run: RunTables, data: DataRoot, rows: pd.DataFrame) -> Suite:
    """One row for each finished project. ``rows``: all rows of labels."""
    counted = rows.groupby("name").size()
    found = [_row(one, int(counted.get(one.crop, 0))) for one in _crops(spec, run, data)]
    table = pd.DataFrame(found, columns=list(_TABLE)).astype(_TABLE)
    table["whole"] = (table["views"] == table["wanted_views"]) & (table["fault"] == "")
    return Suite(
        "projects",
        table,
        [
            Rule("labels.project", IN_SET, {"column": "whole", "value_set": [True]}, show=("views", "wanted_views", "fault")),
            Rule("labels.rows", EQUAL, {"column_A": "chosen", "column_B": "rows"}, "projects", show=("chosen", "rows")),
        ],
    )  # fmt: skip


def _crops(spec: DatasetSpec, run: RunTables, data: DataRoot) -> Iterator[ToLabel]:
    """The crops with key frames to label, as the tables of the run name them."""
    keys = run.load(OwnFiles(run.run_dir).key_frames, ("clip_id", "split", "second", "frame", "labelled"))
    frames = run.shards("frames", ("clip_id", "width", "height")).drop_duplicates("clip_id", keep="last")
    sizes = dict(zip(frames["clip_id"], zip(frames["width"], frames["height"], strict=True), strict=True))
    for (split, crop), part in keys[keys["labelled"]].groupby(["split", "clip_id"], sort=False):
        names = tuple(frame_name(str(crop), number) for number in part["frame"])
        size = Size(*map(int, sizes.get(crop, (0, 0))))
        folder = labelled_as_via(spec, data, str(crop)).parent
        yield ToLabel(str(crop), str(split), tuple(part["second"]), names, size, folder)


def _row(one: ToLabel, rows: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "item_id": f"{one.split}/{one.crop}", "views": 0, "wanted_views": len(one.frames), "fault": "", "chosen": 0, "rows": rows,
    }  # fmt: skip
    try:
        found = read_project(one.finish, frames=one.frames, sizes=dict.fromkeys(one.frames, one.size))
    except (UserError, OSError) as error:
        return row | {"fault": str(error)}
    project = found.project
    faults: Iterable[str] = (f"{fault.where}: {fault.why}" for fault in found.refused)
    chosen = sum(1 for _ in rows_of(project, one.size)) if one.size.width > 0 else 0
    return row | {"views": len(project.views), "fault": next(iter(faults), ""), "chosen": chosen}
