"""The suites of a gate for plain Great Expectations: ``gx/{gate}/{suite}.json`` as the library writes a suite, and
``{suite}.parquet``, the columns that it ran on.

Whoever reads both with Great Expectations alone gets the verdicts of the gate.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clipquarry.files import disk_errors, owned_beside, remove_abandoned, sync_file, sync_folder
from clipquarry.run_folder import table_of_suite

Keep = Callable[[dict[str, Any], pd.DataFrame], None]
"""Stores a suite (the library's own JSON) with the table that it ran on."""

_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_NULL: Final = "expect_column_values_to_not_be_null"
_NAMED: Final = ("column", "column_A", "column_B")
_ROWS: Final = 1 << 17
"""Rows of a row group."""
_DAY: Final = 86_400


@contextmanager
def stored_suites(folder: Path) -> Iterator[Keep]:
    """Write the suites of one gate into ``folder``, all or none; those of an earlier try are replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".*-{folder.name}"):
        remove_abandoned(left, _DAY)
    made = owned_beside(folder)
    try:
        with disk_errors(folder):
            made.mkdir()
            yield lambda suite, table: _store(made, suite, table)
            sync_folder(made)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _store(folder: Path, suite: dict[str, Any], table: pd.DataFrame) -> None:
    name = base = _ODD.sub("_", suite["name"])
    number = 1
    while (path := folder / f"{name}.json").exists():
        number += 1
        name = f"{base}-{number}"
    columns = pa.Table.from_pandas(table, preserve_index=False)
    beside = table_of_suite(path)
    pq.write_table(columns, beside, row_group_size=_ROWS, compression="zstd", compression_level=1)
    empty = [field.name for field in columns.schema if columns[field.name].null_count]
    told = {**suite, "name": name, "expectations": [*suite["expectations"], *_never_null(suite, empty)]}
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for each in (beside, path):
        sync_file(each)


def _never_null(suite: dict[str, Any], empty: list[str]) -> Iterator[dict[str, Any]]:
    """Great Expectations leaves out rows without a value; a rule of ours that meets one counts as broken."""
    for expectation in suite["expectations"]:
        if not expectation["meta"].get("nulls"):
            names = {expectation["kwargs"].get(key) for key in _NAMED}
            for column in (name for name in empty if name in names):
                yield {
                    "type": _NOT_NULL,
                    "kwargs": {"column": column},
                    "meta": expectation["meta"],
                    "severity": "critical",
                }
