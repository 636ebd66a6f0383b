"""Reads a run's folder: only the columns that a check looks at, with nulls filled so that no row escapes a check."""

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
from clipquarry.manifest import CATALOG_FIELDS, RESULT_FIELDS, read_table
from clipquarry.reasons import Status
from clipquarry.run_folder import RunFolder

PRESENT = tuple(str(status) for status in Status if status.is_present)
REJECTED = str(Status.REJECTED)

_FILL: tuple[tuple[Callable[[pa.DataType], bool], Any], ...] = (
    (pa.types.is_integer, -1),
    (pa.types.is_floating, -1.0),
    (pa.types.is_boolean, True),  # has_audio: unknown counts as having it
    (pa.types.is_string, ""),
)


def _filled(table: pa.Table, keep_null: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count and name not in keep_null:
            value = next((fill for test, fill in _FILL if test(column.type)), None)
            if value is not None:
                column = column.fill_null(value)
        columns[name] = column
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame


def parts(run_dir: Path, step: str) -> list[Path]:
    """The manifests of a step's shards, in order, or the items of ``plan``; unfinished ones are not there."""
    place = RunFolder(run_dir)
    return place.planned() if step == "plan" else place.parts(step)


@dataclass
class RunTables:
    """The tables of one run. ``read`` counts the rows of each table, for the result."""

    run_dir: Path
    read: dict[str, int] = field(default_factory=dict)

    @property
    def seed(self) -> str:
        """What samples are drawn by: other runs of a data set look at other files."""
        return f"{self.run_dir.parent.name}/{self.run_dir.name}"

    def load(self, name: str, columns: Iterable[str], *, keep_null: Sequence[str] = ()) -> pd.DataFrame:
        """A table of one file, such as ``catalog``. Text becomes ``""``, numbers -1 and bools True where null.

        Columns in ``keep_null`` keep their nulls. Raises :class:`ManifestError` for an absent or damaged file.
        """
        return self._load(name, [self.run_dir / f"{name}.parquet"], list(columns), keep_null)

    def optional(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """As :meth:`load`; None when the table has not all of the columns, as those of earlier versions."""
        path = self.run_dir / f"{name}.parquet"
        known = set(pq.read_schema(path).names) if path.is_file() else set()
        return self.load(name, columns) if set(columns) <= known else None

    def shards(self, step: str, columns: Iterable[str]) -> pd.DataFrame:
        """The shards of a step (or of ``plan``) as one table, empty when there are none; nulls as in :meth:`load`."""
        return self._load(step, parts(self.run_dir, step), list(columns), ())

    def optional_shards(self, step: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """As :meth:`shards`; None when one of them has not all of the columns, as those of earlier versions."""
        whole = all(set(columns) <= set(pq.read_schema(path).names) for path in parts(self.run_dir, step))
        return self.shards(step, columns) if whole else None

    def _load(self, name: str, paths: list[Path], columns: list[str], keep_null: Sequence[str]) -> pd.DataFrame:
        pieces: list[pa.Table] = []
        for path in paths:
            try:
                pieces.append(read_table(path, columns))
            except (KeyError, pa.ArrowInvalid) as error:
                raise ManifestError(f"{path} is not a whole {name} manifest ({error}); run its step again.") from error
        table = pa.concat_tables(pieces) if pieces else _empty(columns)
        self.read[name] = table.num_rows
        return _filled(table, keep_null)

    def plain(self, name: str, columns: Iterable[str]) -> pd.DataFrame:
        """A parquet table that is no manifest, such as ``annotations/val.boxes``; nulls and errors as in :meth:`load`."""
        path = self.run_dir / f"{name}.parquet"
        try:
            table = pq.read_table(path, columns=list(columns)).select(list(columns))
        except FileNotFoundError as error:
            raise ManifestError(f"There is no table {path}: run the stage that writes it first.") from error
        except (KeyError, OSError, pa.ArrowException) as error:
            raise ManifestError(f"{path} is not a whole table ({error}); run its stage again.") from error
        self.read[name] = table.num_rows
        return _filled(table, ())

    def count(self, name: str) -> int:
        """Rows of a table as :meth:`plain` reads it, which its end says. Raises :class:`ManifestError` alike."""
        path = self.run_dir / f"{name}.parquet"
        try:
            return int(pq.read_metadata(path).num_rows)
        except FileNotFoundError as error:
            raise ManifestError(f"There is no table {path}: run the stage that writes it first.") from error
        except (OSError, pa.ArrowException) as error:
            raise ManifestError(f"{path} is not a whole table ({error}); run its stage again.") from error

    def splits(self, folder: str, suffix: str) -> list[str]:
        """Splits that have a file ``{folder}/{split}{suffix}``, sorted."""
        return sorted(path.name.removesuffix(suffix) for path in (self.run_dir / folder).glob(f"[!.]*{suffix}"))

    def json(self, name: str) -> dict[str, Any]:
        """An object that a stage wrote, such as ``annotations/actions``. Raises :class:`ManifestError` when it is not there or none."""
        path = self.run_dir / f"{name}.json"
        if not path.is_file():
            raise ManifestError(f"There is no {path}: run the stage that writes it first.")
        value = read_json(path)
        if not isinstance(value, dict):
            raise ManifestError(f"{path} holds a {type(value).__name__}, not an object: run its stage again.")
        return value

    def optional_json(self, name: str) -> dict[str, Any]:
        """As :meth:`json`; empty when the run has no such object."""
        return self.json(name) if (self.run_dir / f"{name}.json").is_file() else {}

    def has(self, step: str) -> bool:
        """True when the step's folder holds a finished shard."""
        return bool(parts(self.run_dir, step))

    def ids(self, *steps: str) -> pd.Series[str]:
        """The item ids in the shards of several steps together, repeated ones included, as far as the steps ran."""
        ids: pd.Series[str] = pd.concat([self.shards(step, ["item_id"])["item_id"] for step in steps])
        return ids


_TYPES: Mapping[str, pa.DataType] = {
    **{f.name: f.type for f in (*CATALOG_FIELDS, *RESULT_FIELDS)},
    **dict.fromkeys(("path", "sha256", "source", "image_path"), pa.string()),
    "has_audio": pa.bool_(),
}
"""Of columns that are not numbers, for a step without any shard."""


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.schema([pa.field(name, _TYPES.get(name, pa.float64())) for name in columns]).empty_table()


def present(table: pd.DataFrame) -> pd.Series[bool]:
    """Rows whose file is there."""
    return table["status"].isin(PRESENT)


def among(values: pd.Series[str], others: pd.Series[str] | Iterable[str]) -> pd.Series[bool]:
    """``values.isin(others)`` for hundreds of thousands of ids: both sides stay in arrow."""
    other = pa.array(others if isinstance(others, pd.Series) else list(others), pa.string(), from_pandas=True)
    if isinstance(other, pa.ChunkedArray):
        other = other.combine_chunks()
    found = pc.is_in(pa.array(values, pa.string(), from_pandas=True), value_set=other)
    return pd.Series(found.to_numpy(zero_copy_only=False), index=values.index, dtype="bool")


def extract(texts: pd.Series[str], regex: str) -> pd.DataFrame:
    """The named groups of an RE2 expression, null where it does not match; in arrow, which takes a tenth of pandas' time."""
    found = pc.extract_regex(pa.array(texts, pa.large_string(), from_pandas=True), regex)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    names = [found.type.field(at).name for at in range(found.type.num_fields)]
    frame: pd.DataFrame = pa.table(found.flatten(), names=names).to_pandas()
    frame.index = texts.index
    return frame


def numbered(*columns: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """A number for each row: the same for rows that are equal in all columns. No name is made for the groups, as pandas does."""
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
    """``values.map(by)`` for many values of which few differ; None where ``by`` does not have one."""
    codes, names = pd.factorize(values)
    found = pd.Series([by.get(name) for name in names])
    result: pd.Series[Any] = found.reindex(codes)
    result.index = values.index
    return result


def distinct(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The first row of each group that is equal in ``columns``, numbered afresh."""
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
    """The rows of a mask (and only some columns), numbered afresh."""
    kept = table[list(columns)] if columns else table
    chosen = kept if mask.all() else kept.loc[mask]  # all of them are not copied
    return chosen.reset_index(drop=True)
