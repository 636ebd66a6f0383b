"""Reader of a run's tables: only the columns that a check uses, with nulls filled so that no row escapes a check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.errors import ManifestError
from clipquarry.files import read_json
from clipquarry.manifest import CATALOG_FIELDS, RESULT_FIELDS, column_of_seconds, read_table, scalar
from clipquarry.reasons import Status
from clipquarry.run_folder import RunFolder, Table

PRESENT = tuple(str(status) for status in Status if status.is_present)
REJECTED = str(Status.REJECTED)

_FILL: tuple[tuple[Callable[[pa.DataType], bool], Any], ...] = (
    (pa.types.is_integer, -1),
    (pa.types.is_floating, -1.0),
    (pa.types.is_boolean, True),  # unknown counts as having sound
    (pa.types.is_string, ""),
)


MOMENTS = ("start", "end")
"""Microseconds in a manifest, seconds here: checks compare them with durations, and people read them."""


def in_seconds(table: pa.Table) -> pa.Table:
    """A table of a manifest, with its :data:`MOMENTS` in seconds."""
    for at, name in enumerate(table.column_names):
        if name in MOMENTS:
            table = table.set_column(at, name, column_of_seconds(table.column(at)))
    return table


def _filled(table: pa.Table, keep_null: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count and name not in keep_null:
            value = next((fill for test, fill in _FILL if test(column.type)), None)
            if value is not None:
                column = column.fill_null(value)
        columns[name] = column
    frame: pd.DataFrame = scalar(pa.table(columns)).to_pandas()
    return frame


def manifests(run_dir: Path, step: str) -> list[Path]:
    """The manifests of a step's shards, in order, or the items of ``plan``; unfinished ones are left out."""
    place = RunFolder(run_dir)
    return place.planned() if step == "plan" else place.manifests(step)


@dataclass
class RunTables:
    """The tables of one run. ``read`` counts the rows of each table, for the result."""

    run_dir: Path
    read: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.run_dir)

    @property
    def seed(self) -> str:
        """Seed of samples: other runs of a data set read other files."""
        return f"{self.run_dir.parent.name}/{self.run_dir.name}"

    def _file(self, table: Table | Path) -> tuple[str, Path]:
        """A table's name, which is its path in the run's folder without ``.parquet``, and the path."""
        path = table if isinstance(table, Path) else self.place.table(table)
        return path.relative_to(self.run_dir).with_suffix("").as_posix(), path

    def load(
        self, table: Table | Path, columns: Iterable[str], *, keep_null: Sequence[str] = (), split: str | None = None
    ) -> pd.DataFrame:
        """A manifest of one file, such as ``catalog``; ``start`` and ``end`` in seconds. Text becomes ``""``, numbers -1 and bools
        True where null.

        Columns in ``keep_null`` keep their nulls. ``split``: only its rows. Raises :class:`ManifestError` for an absent
        or damaged file.
        """
        name, path = self._file(table)
        return self._load(name, [path], list(columns), keep_null, split)

    def optional(self, table: Table, columns: Sequence[str]) -> pd.DataFrame | None:
        """As :meth:`load`; None if the table lacks one of the columns, as those of earlier versions do."""
        path = self.place.table(table)
        known = set(pq.read_schema(path).names) if path.is_file() else set()
        return self.load(table, columns) if set(columns) <= known else None

    def shards(self, step: str, columns: Iterable[str]) -> pd.DataFrame:
        """The shards of a step (or of ``plan``) as one table, empty if there are none; nulls as in :meth:`load`."""
        return self._load(step, manifests(self.run_dir, step), list(columns), ())

    def optional_shards(self, step: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """As :meth:`shards`; None if one of them lacks one of the columns, as those of earlier versions do."""
        whole = all(set(columns) <= set(pq.read_schema(path).names) for path in manifests(self.run_dir, step))
        return self.shards(step, columns) if whole else None

    def _load(
        self, name: str, paths: list[Path], columns: list[str], keep_null: Sequence[str], split: str | None = None
    ) -> pd.DataFrame:
        pieces: list[pa.Table] = []
        for path in paths:
            try:
                pieces.append(read_table(path, columns))
            except (KeyError, pa.ArrowInvalid) as error:
                raise ManifestError(f"{path} is not a whole {name} manifest ({error}); run its step again.") from error
        table = pa.concat_tables(pieces) if pieces else _empty(columns)
        self.read[name] = table.num_rows
        if split is not None:
            table = table.filter(pc.equal(table["split"], split))
        return _filled(in_seconds(table), keep_null)

    def plain(self, path: Path, columns: Iterable[str]) -> pd.DataFrame:
        """A parquet table of the run that is no manifest; nulls and errors as in :meth:`load`."""
        name, _ = self._file(path)
        try:
            table = pq.read_table(path, columns=list(columns)).select(list(columns))
        except FileNotFoundError as error:
            raise ManifestError(f"There is no table {path}: run the stage that writes it first.") from error
        except (KeyError, OSError, pa.ArrowException) as error:
            raise ManifestError(f"{path} is not a whole table ({error}); run its stage again.") from error
        self.read[name] = table.num_rows
        return _filled(table, ())

    def count(self, path: Path) -> int:
        """Rows of a table as :meth:`plain` reads it, from its footer. Raises :class:`ManifestError` alike."""
        try:
            return int(pq.read_metadata(path).num_rows)
        except FileNotFoundError as error:
            raise ManifestError(f"There is no table {path}: run the stage that writes it first.") from error
        except (OSError, pa.ArrowException) as error:
            raise ManifestError(f"{path} is not a whole table ({error}); run its stage again.") from error

    def json(self, path: Path) -> dict[str, Any]:
        """An object that a stage wrote. Raises :class:`ManifestError` if it is absent or no object."""
        if not path.is_file():
            raise ManifestError(f"There is no {path}: run the stage that writes it first.")
        value = read_json(path)
        if not isinstance(value, dict):
            raise ManifestError(f"{path} holds a {type(value).__name__}, not an object: run its stage again.")
        return value

    def optional_json(self, path: Path) -> dict[str, Any]:
        """As :meth:`json`; empty if the run has no such object."""
        return self.json(path) if path.is_file() else {}

    def has(self, step: str) -> bool:
        """True if the step's folder holds a finished shard."""
        return bool(manifests(self.run_dir, step))

    def ids(self, *steps: str) -> pd.Series[str]:
        """The item ids in the shards of several steps together, including repeated ones, as far as the steps ran."""
        ids: pd.Series[str] = pd.concat([self.shards(step, ["item_id"])["item_id"] for step in steps])
        return ids


_TYPES: Mapping[str, pa.DataType] = {
    **{f.name: f.type for f in (*CATALOG_FIELDS, *RESULT_FIELDS)},
    **dict.fromkeys(("path", "sha256", "source", "image_path"), pa.string()),
    "has_audio": pa.bool_(),
}
"""Columns that are not numbers, for a step without any shard."""


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.schema([pa.field(name, _TYPES.get(name, pa.float64())) for name in columns]).empty_table()


def present(table: pd.DataFrame) -> pd.Series[bool]:
    """Rows whose file is there."""
    return table["status"].isin(PRESENT)


def among(values: pd.Series[str], others: pd.Series[str] | Iterable[str]) -> pd.Series[bool]:
    """``values.isin(others)`` for hundreds of thousands of ids, computed in Arrow."""
    other = pa.array(others if isinstance(others, pd.Series) else list(others), pa.large_string(), from_pandas=True)
    if isinstance(other, pa.ChunkedArray):
        other = other.combine_chunks()
    found = pc.is_in(pa.array(values, pa.large_string(), from_pandas=True), value_set=other)
    return pd.Series(found.to_numpy(zero_copy_only=False), index=values.index, dtype="bool")


def extract(texts: pd.Series[str], regex: str) -> pd.DataFrame:
    """The named groups of an RE2 expression, null without a match; in Arrow, which takes a tenth of pandas' time."""
    found = pc.extract_regex(pa.array(texts, pa.large_string(), from_pandas=True), regex)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    names = [found.type.field(at).name for at in range(found.type.num_fields)]
    frame: pd.DataFrame = scalar(pa.table(found.flatten(), names=names)).to_pandas()
    frame.index = texts.index
    return frame


def numbered(*columns: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """A number for each row, the same for rows that are equal in all columns. Unlike pandas, it makes no name for
    the groups.
    """
    numbers, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        codes, distinct = pd.factorize(column, use_na_sentinel=False)
        if size * max(1, len(distinct)) >= 1 << 63:
            numbers, seen = pd.factorize(numbers)
            size = len(seen)
        numbers = numbers * len(distinct) + codes
        size *= max(1, len(distinct))
    return numbers


def looked_up(values: pd.Series[str], by: Mapping[str, Any]) -> pd.Series[Any]:
    """``values.map(by)`` for many values with few distinct ones; None for values that ``by`` lacks."""
    codes, names = pd.factorize(values)
    found = pd.Series([by.get(name) for name in names])
    result: pd.Series[Any] = found.reindex(codes)
    result.index = values.index
    return result


def distinct(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The first row of each group that is equal in ``columns``, renumbered."""
    again = pd.Series(numbered(*(table[name] for name in columns))).duplicated().to_numpy()
    return table[~again].reset_index(drop=True)


def has(ascending: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which ``values`` are among ``ascending`` numbers; ``numpy.isin`` takes twenty times as long for a million."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    result: npt.NDArray[np.bool_] = ascending[at] == values
    return result


def pick(table: pd.DataFrame, mask: pd.Series[bool], *columns: str) -> pd.DataFrame:
    """The rows of a mask (and only some columns), renumbered."""
    kept = table[list(columns)] if columns else table
    chosen = kept if mask.all() else kept.loc[mask]  # avoids a copy of all columns
    return chosen.reset_index(drop=True)
