"""Reader of the tables of boxes in a run's folder, as arrays.

They are plain parquet. A table that lacks columns is unreadable, which is reported. Rows with nulls or impossible
numbers are left out: the gates judge them, and a report only has to survive them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry.errors import UserError

ID_LENGTH = 11
"""Characters of a YouTube id; a clip's name begins with it."""
_SECONDS = 1 << 31
_NUMBERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Rows:
    """N rows of boxes, or of key frames without boxes (then ``boxes`` and ``action`` are empty).

    ``name[i]`` is a position in ``names`` (videos or clips), ``time[i]`` one in ``times`` (decimal texts).
    """

    names: list[str]
    name: npt.NDArray[np.int32]
    times: list[str]
    time: npt.NDArray[np.int32]
    second: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    action: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.second)

    @property
    def fractions(self) -> npt.NDArray[np.float64]:
        """The fraction of a second that each row's whole second loses, 0 to 1."""
        values = np.array([_fraction(text) for text in self.times], dtype=np.float64)
        return values[self.time] if len(self) else np.empty(0)


@dataclass(frozen=True)
class ProposalRows:
    """M proposed boxes. ``video[i]`` is a position in ``videos`` (YouTube ids); a score below 0 means none."""

    videos: list[str]
    video: npt.NDArray[np.int32]
    second: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.second)


def as_flat_clips(rows: Rows) -> Rows:
    """The same rows under the names of the six-second clips around their key frames: ``{video}_{second:06d}``."""
    pairs, name = np.unique(rows.name * np.int64(_SECONDS) + rows.second, return_inverse=True)
    names = [f"{rows.names[pair // _SECONDS]}_{pair % _SECONDS:06d}" for pair in pairs.tolist()]
    return replace(rows, names=names, name=name.astype(np.int32))


class Ids:
    """Numbers for YouTube ids, so that a key frame is one integer."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def keys(
        self, names: Iterable[str], name: npt.NDArray[np.int32], second: npt.NDArray[np.int64], *, known: bool = False
    ) -> npt.NDArray[np.int64]:
        """One integer for each row's video and whole second. Clips count as their video. ``known``: -1 for an id
        that was not seen.
        """
        numbers = self._numbers
        if known:
            codes = [numbers.get(text[:ID_LENGTH], -1) for text in names]
        else:
            codes = [numbers.setdefault(text[:ID_LENGTH], len(numbers)) for text in names]
        if not codes:
            return np.empty(0, dtype=np.int64)
        code = np.array(codes, dtype=np.int64)[name]
        return np.where(code < 0, -1, code * _SECONDS + second)

    @staticmethod
    def video(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The video's number of each key."""
        return keys // _SECONDS


def read_box_rows(path: Path) -> Rows:
    """A table ``*.boxes.parquet``. Raises :class:`UserError` if it is damaged, OSError if it is absent."""
    table = _read(path, ("video_id", "time", "second", *_NUMBERS, "action_id"), ("video_id", "time"))
    boxes = _matrix(table)
    good = np.asarray(np.isfinite(boxes).all(axis=1))
    return _rows(table, boxes, _numpy(table, "action_id", pa.int32()), good)


def read_key_frame_rows(path: Path) -> Rows:
    """A table of two columns, such as ``*.key_frames.parquet`` and ``*.excluded.parquet``. Raises as :func:`read_box_rows`."""
    table = _read(path, ("video_id", "time", "second"), ("video_id", "time"))
    empty = np.empty((table.num_rows, 0))
    return _rows(table, empty, np.zeros(table.num_rows, np.int32), np.ones(table.num_rows, dtype=bool))


def read_proposal_rows(path: Path) -> ProposalRows:
    """A table ``proposals/{split}.parquet``. Raises as :func:`read_box_rows`."""
    table = _read(path, ("video_id", "second", *_NUMBERS, "score"), ("video_id",))
    names, name = _codes(table["video_id"])
    second, score, boxes = _numpy(table, "second", pa.int64()), _numpy(table, "score", pa.float64()), _matrix(table)
    good = np.isfinite(boxes).all(axis=1) & np.isfinite(score) & (second >= 0) & (second < _SECONDS)
    if not good.all():
        name, second, boxes, score = name[good], second[good], boxes[good], score[good]
    return ProposalRows(names, name, second, boxes, score)


def count_table(path: Path) -> int:
    """Rows of a parquet file. Raises as :func:`read_box_rows`."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowException as error:
        raise _damaged(path, error) from error


def distinct_boxes(
    keys: npt.NDArray[np.int64], boxes: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Each box of a key once (equal in all four numbers, as the readers group them), by ascending key."""
    bits = np.ascontiguousarray(boxes + 0.0).view(np.int64)  # + 0.0 makes -0.0 equal to 0.0
    columns = {"key": keys, **{name: bits[:, at] for at, name in enumerate(_NUMBERS)}}
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    groups = (
        table.group_by(["key", *_NUMBERS]).aggregate([]).sort_by([(name, "ascending") for name in ("key", *_NUMBERS)])
    )
    found = np.column_stack([groups[name].to_numpy() for name in _NUMBERS]).view(np.float64)
    return groups["key"].to_numpy(), found


def _read(path: Path, columns: tuple[str, ...], texts: tuple[str, ...]) -> pa.Table:
    try:
        with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
            absent = [name for name in columns if name not in file.schema_arrow.names]
            if absent:
                raise UserError(f"{path.name} has no column “{absent[0]}”.")
            table = file.read(columns=list(columns))
    except pa.ArrowException as error:
        raise _damaged(path, error) from error
    return table.drop_null() if any(column.null_count for column in table.columns) else table


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path.name} is damaged ({type(error).__name__}).")


def _rows(
    table: pa.Table, boxes: npt.NDArray[np.float64], action: npt.NDArray[np.int32], good: npt.NDArray[np.bool_]
) -> Rows:
    names, name = _codes(table["video_id"])
    times, time = _codes(table["time"])
    second = _numpy(table, "second", pa.int64())
    good = good & (second >= 0) & (second < _SECONDS)
    if good.all():
        return Rows(names, name, times, time, second, boxes, action)
    return Rows(names, name[good], times, time[good], second[good], boxes[good], action[good])


def _codes(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The distinct texts, and the position of each row's text among them."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.DictionaryArray.from_arrays([], pa.array([], pa.string()))
    texts = [str(text) for text in whole.dictionary.to_pylist()]
    return texts, np.asarray(whole.indices.to_numpy(zero_copy_only=False), dtype=np.int32)


def _numpy(table: pa.Table, name: str, kind: pa.DataType) -> npt.NDArray[Any]:
    try:
        return np.asarray(table[name].cast(kind).to_numpy())
    except pa.ArrowException as error:
        raise UserError(f"The column “{name}” holds something else than numbers.") from error


def _matrix(table: pa.Table) -> npt.NDArray[np.float64]:
    return np.column_stack([_numpy(table, name, pa.float64()) for name in _NUMBERS])


def _fraction(text: str) -> float:
    """``22.070270`` gives 0.07027; 0 for any text that is no time."""
    tail = text.partition(".")[2]
    return float(f"0.{tail}") if tail.isascii() and tail.isdigit() else 0.0
