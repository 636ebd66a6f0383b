"""Videos and clips whose images do not fit their window: another rate than 30 a second, or another number of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.errors import ClipquarryError
from clipquarry.manifest import Row, read_table
from clipquarry.reasons import Status
from clipquarry.report.box_data import Images, Misfit
from clipquarry.report.words import words
from clipquarry.run_folder import RunFolder

FPS = 30
"""Images of a second, of both data sets: what the readers compute with."""
MAX_ROWS = 100
"""Misfits that are kept; all are counted."""
_SAME_RATE = 0.01  # 29.97 is another rate than 30
STEPS = {"excerpt": ("images", 3), "frames": ("frames", 1)}
"""Step to the column with its number of images, and how many images more or less are no fault."""
_COLUMNS = ("video_id", "clip_id", "split", "start", "end", "status", "reason", "evidence", "fps")


def read_images(folder: Path) -> tuple[Images | None, list[str]]:
    """What the run in ``folder`` says about its images, and a sentence for each part that cannot be read. None without any part."""
    for step, (column, tolerance) in STEPS.items():
        tables, problems = [], []
        for path in RunFolder(folder).parts(step):
            try:
                tables.append(_read(path, column))
            except (ClipquarryError, OSError, pa.ArrowException) as error:
                problems.append(f"{step}/{path.name} cannot be read ({type(error).__name__}).")
        if tables or problems:
            table = pa.concat_tables(tables) if tables else None
            return (None if table is None else _judge(step, table, tolerance)), problems
    return None, []


def image_folders(folder: Path) -> dict[str, str]:
    """Frame folders that the run made, relative to the data root, by the name under which the boxes know them."""
    found: dict[str, str] = {}
    for step, (name, column) in {"excerpt": ("video_id", "image_path"), "frames": ("clip_id", "path")}.items():
        for path in RunFolder(folder).parts(step):
            try:
                table = read_table(path, (name, column, "status"))
            except (ClipquarryError, OSError, KeyError, pa.ArrowException):
                continue  # read_images says so
            table = table.filter(_present(table)).drop_null()
            found.update(zip(table[name].to_pylist(), table[column].to_pylist(), strict=True))
    return found


def _present(table: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(table["status"], pa.array([str(Status.DONE), str(Status.KEPT)]))


def _read(path: Path, column: str) -> pa.Table:
    names = set(pq.read_schema(path).names)
    table = read_table(path, [name for name in (*_COLUMNS, column) if name in names])
    kinds = {"start": pa.int64(), "end": pa.int64(), "fps": pa.float64(), column: pa.int64()}
    return pa.table({
        name: table[name].cast(kinds.get(name, pa.string())) if name in names
        else pa.nulls(table.num_rows, kinds.get(name, pa.string()))
        for name in (*_COLUMNS, column)
    }).rename_columns([*_COLUMNS, "images"])  # fmt: skip


def _judge(step: str, table: pa.Table, tolerance: int) -> Images:
    expected = pc.multiply(pc.subtract(table["end"], table["start"]), FPS)
    gap = pc.abs(pc.subtract(table["images"], expected))
    here = _present(table)  # null images or rate of one that is here: nobody asked for them
    count = _numpy(pc.and_(here, pc.fill_null(pc.greater(gap, tolerance), False)))
    rate = _numpy(
        pc.and_(here, pc.fill_null(pc.greater(pc.abs(pc.subtract(table["fps"], float(FPS))), _SAME_RATE), False))
    )
    failed = ~_numpy(here)
    odd = np.flatnonzero(count | rate | failed)
    silent = _numpy(pc.equal(pc.fill_null(table["evidence"], ""), "")) & ~failed
    size = pc.fill_null(gap, 1 << 30).to_numpy()
    worst = odd[np.lexsort((odd, -size[odd], ~silent[odd]))][:MAX_ROWS]
    rows = table.append_column("expected", expected).take(pa.array(worst, pa.int64())).to_pylist()
    return Images(
        step=step,
        checked=table.num_rows,
        tolerance=tolerance,
        wrong_count=int(count.sum()),
        wrong_rate=int(rate.sum()),
        failed=int(failed.sum()),
        unexplained=int(silent[odd].sum()),
        rows=tuple(map(_misfit, rows)),
    )


def _numpy(mask: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(mask.to_numpy(), dtype=bool)


def _misfit(row: Row) -> Misfit:
    said = str(row["evidence"] or "")
    if row["status"] not in (Status.DONE, Status.KEPT):
        said = f"{words(str(row['reason'])).title}: {said}" if said else words(str(row["reason"])).title
    return Misfit(
        name=str(row["clip_id"] or row["video_id"] or "(no name)"),
        split=str(row["split"] or ""),
        expected=int(row["expected"] or 0),
        found=row["images"],
        fps=row["fps"],
        said=said,
    )
