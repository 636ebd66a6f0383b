"""Near copies: clips of one split that are re-encodes of clips of another split, or of another data set.

Fingerprints are compared with their neighbours in sorted order, once for each of their frames and each third of its
bits. So the work grows with the number of clips, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry import fingerprint
from clipquarry.datasets.splits import number_of, ranks
from clipquarry.fingerprint import FRAMES, Prints
from clipquarry.manifest import column_names, read_table, scalar
from clipquarry.quality.content import NOBODY_LOOKED, said
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams, share_of_several
from clipquarry.quality.tables import PRESENT, in_seconds

COLUMNS: Final = ("item_id", "video_id", "split", "start", "end", "status", "fingerprint")

_TURNS: Final = (0, 21, 42)
"""Bits by which hashes are rotated: neighbours have the same first twenty or so in each order."""
_NEIGHBOURS: Final = 4
"""On either side."""
_CHUNK: Final = 1 << 16
_FIRST_LOOK: Final = 20
"""Bits in which one frame may differ before the rest is compared."""

Ints = npt.NDArray[np.int64]


def load(path: Path) -> pd.DataFrame | None:
    """The present clips of a manifest; None if it has no fingerprints."""
    if not path.is_file() or not set(COLUMNS) <= column_names(path):
        return None
    table = read_table(path, COLUMNS)
    table = table.filter(pc.is_in(table["status"], pa.array(PRESENT)))
    clips: pd.DataFrame = scalar(in_seconds(table)).to_pandas()
    return clips


def candidates(ours: Prints, theirs: Prints) -> tuple[Ints, Ints]:
    """Pairs that may show the same, as positions in both, each once."""
    found: list[npt.NDArray[np.int64]] = []
    if len(ours) and len(theirs):
        for frame in range(FRAMES):
            for turn in _TURNS:
                found += _neighbours(_turned(ours.frames[:, frame], turn), _turned(theirs.frames[:, frame], turn))
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]


def _turned(hashes: npt.NDArray[np.uint64], turn: int) -> npt.NDArray[np.uint64]:
    bits = np.uint64(turn)
    return hashes if not turn else (hashes << bits) | (hashes >> np.uint64(64 - turn))


def _neighbours(mine: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs of positions, (N, 2), in chunks: each hash (but zeros) with the next ones, if they differ little."""
    order = np.argsort(theirs, kind="stable")
    ordered = theirs[order]
    asked = np.flatnonzero(mine)
    around = np.arange(-_NEIGHBOURS, _NEIGHBOURS)
    for begin in range(0, len(asked), _CHUNK):
        part = asked[begin : begin + _CHUNK]
        near = np.searchsorted(ordered, mine[part])[:, None] + around[None, :]
        inside = (near >= 0) & (near < len(ordered))
        there = ordered[np.clip(near, 0, len(ordered) - 1)]
        little = inside & (there != 0) & (np.bitwise_count(there ^ mine[part][:, None]) <= _FIRST_LOOK)
        row, column = np.nonzero(little)
        if len(row):
            yield np.stack([part[row], order[near[row, column]]], axis=1)


class Other(NamedTuple):
    """Another data set's clips (:data:`COLUMNS`), and whether its ids mean the same videos as ours."""

    name: str
    clips: pd.DataFrame
    same_ids: bool


def _pairs(ours: pd.DataFrame, theirs: pd.DataFrame, same_ids: bool) -> tuple[Ints, Ints]:
    """Rows of ``ours`` and of ``theirs`` that show the same and are not from one video. Ids decide that, if they
    mean the same.
    """
    mine, others = (fingerprint.read(table["fingerprint"].fillna("")) for table in (ours, theirs))
    one, other = candidates(mine, others)
    alike = fingerprint.alike(mine, one, others, other)
    first, second = mine.rows[one[alike]], others.rows[other[alike]]
    if not same_ids:
        return first, second
    differ = ours["video_id"].to_numpy()[first] != theirs["video_id"].to_numpy()[second]
    return first[differ], second[differ]


def suite(check: str, clips: pd.DataFrame | None, params: GateParams, others: Sequence[Other] = ()) -> Suite:
    """One row for each measured clip of a later split (all of them if other data sets are compared), with the first
    clip of an earlier split or another data set that shows the same. ``annotations.window_overlap`` reports
    windows of one video.

    ``clips`` has :data:`COLUMNS`.
    """
    if clips is None or (len(clips) and not clips["fingerprint"].fillna("").ne("").any()):
        return Suite("near_copies", pd.DataFrame(), skipped=[(check, NOBODY_LOOKED)])
    clips = clips.reset_index(drop=True)
    places = ranks(clips["split"].unique())
    rank = clips["split"].map(places).to_numpy(dtype=np.int64)
    number = clips["split"].map(number_of)
    if not any(places.values()) and not others:
        return Suite("near_copies", pd.DataFrame(), skipped=[(check, "the clips are of one split")])
    copy_of = pd.Series("", index=clips.index, dtype=object)
    for one in number.unique():  # the splits of one number divide the same clips
        here = (number == one).to_numpy()
        for later in range(1, int(rank[here].max()) + 1):
            ours, theirs = (clips[here & mask] for mask in (rank == later, rank < later))
            _tell(copy_of, ours, theirs, "")
    for other in others:
        _tell(copy_of, clips, other.clips.reset_index(drop=True), f"{other.name}: ", same_ids=other.same_ids)
    looked = clips["fingerprint"].fillna("").ne("") & ((rank > 0) | bool(others))
    table = clips.loc[looked, ["item_id", "video_id", "start", "end"]]
    table["copy_of"] = copy_of[looked].astype(str)
    table = table.reset_index(drop=True)
    there = len(clips) if others else int((rank > 0).sum())
    rule = Rule(check, IN_SET, {"column": "copy_of", "value_set": [""]}, show=("start", "end", "copy_of"),
                max_share=share_of_several(params.near_copy_warn, len(table)),
                note=said(len(table), there).replace("were not measured", "have no fingerprint"))  # fmt: skip
    return Suite("near_copies", table, [rule])


def _tell(
    copy_of: pd.Series[str], ours: pd.DataFrame, theirs: pd.DataFrame, prefix: str, *, same_ids: bool = True
) -> None:
    """Write the first copy of each row of ``ours`` that has one."""
    first, second = _pairs(ours, theirs, same_ids)
    names = theirs["item_id"].to_numpy()
    windows = theirs[["start", "end"]].to_numpy()
    for mine, other in zip(first[::-1], second[::-1], strict=True):
        begin, end = windows[other]
        window = "" if pd.isna(begin) else f" ({begin:g} to {end:g} s)"
        copy_of[ours.index[mine]] = f"{prefix}{names[other]}{window}"
