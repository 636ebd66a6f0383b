"""Videos and clips whose frames do not fit their window: another rate than 30 a second, or another number of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.annotations.ava_time import FPS
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.report.data import CountDifference, FrameCounts
from clipquarry.manifest import Row, read_table
from clipquarry.microseconds import SECOND
from clipquarry.reasons import Status
from clipquarry.report.reason_texts import reason_text
from clipquarry.run_folder import RunFolder

"""Frames of a second in both data sets, as the readers compute."""
MAX_ROWS = 100
"""Differences that are listed; all are counted."""
_SAME_RATE = 0.01  # 29.97 is another rate than 30
STEPS = {"excerpt": ("images", 3), "frames": ("frames", 1)}
"""Step to the column with its number of frames, and the allowed difference."""
_COLUMNS = ("video_id", "clip_id", "split", "start", "end", "status", "reason", "evidence", "fps")


def read_frame_counts(folder: Path) -> tuple[FrameCounts | None, list[str]]:
    """What the run in ``folder`` says about its frames, and a sentence for each unreadable table. None without any
    table.
    """
    for step, (column, tolerance) in STEPS.items():
        tables, problems = [], []
        for path in RunFolder(folder).manifests(step):
            try:
                tables.append(_read(path, column))
            except (ClipquarryError, OSError, pa.ArrowException) as error:
                problems.append(f"{step}/{path.name} cannot be read ({type(error).__name__}).")
        if tables or problems:
            table = pa.concat_tables(tables) if tables else None
            return (None if table is None else _judge(step, table, tolerance)), problems
    return None, []


def frame_folders(folder: Path) -> dict[str, str]:
    """Frame folders that the run made, relative to the data root, by the name under which the boxes know them."""
    found: dict[str, str] = {}
    for step, (name, column) in {"excerpt": ("video_id", "image_path"), "frames": ("clip_id", "path")}.items():
        for path in RunFolder(folder).manifests(step):
            try:
                table = read_table(path, (name, column, "status"))
            except (ClipquarryError, OSError, KeyError, pa.ArrowException):
                continue  # read_frame_counts reports it
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


def _judge(step: str, table: pa.Table, tolerance: int) -> FrameCounts:
    length = pc.divide(pc.cast(pc.subtract(table["end"], table["start"]), pa.float64()), float(SECOND))
    expected = pc.cast(pc.round(pc.multiply(length, float(FPS))), pa.int64())
    gap = pc.abs(pc.subtract(table["images"], expected))
    here = _present(table)  # null frames or rate of a present one: not requested
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
    return FrameCounts(
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


def _misfit(row: Row) -> CountDifference:
    said = str(row["evidence"] or "")
    if row["status"] not in (Status.DONE, Status.KEPT):
        said = f"{reason_text(str(row['reason'])).title}: {said}" if said else reason_text(str(row["reason"])).title
    return CountDifference(
        name=str(row["clip_id"] or row["video_id"] or "(no name)"),
        split=str(row["split"] or ""),
        expected=int(row["expected"] or 0),
        found=row["images"],
        fps=row["fps"],
        said=said,
    )
