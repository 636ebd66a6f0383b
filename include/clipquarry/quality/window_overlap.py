"""Windows of one video that overlap in time, in two splits: near copies that training and evaluation share."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from clipquarry.datasets.splits import TRAIN, is_train, release_of
from clipquarry.quality.engine import BETWEEN, Rule, Suite
from clipquarry.quality.tables import looked_up

_ORDER: Final = ("train", "val", "test")
_LONG: Final = 1 << 34
"""Milliseconds, more than a video has."""
CHECK: Final = "annotations.window_overlap"


def _place(split: str) -> str:
    """Releases evaluate on each other's videos, which is no fault: of these, only training is compared with the rest."""
    if not release_of(split):
        return split
    return TRAIN if is_train(split) else "val"


def suite(usable: pd.DataFrame) -> Suite:
    """One row for each window of a video in several splits, except those of the first of its splits (train, val,
    test, others; of several releases, training and then the evaluation).

    ``overlap``: seconds in common with a window of an earlier split (of those that begin before its end, the one
    that ends last). ``annotations.split_disjoint`` reports equal windows.
    """
    names = usable["split"].map(_place)
    splits = sorted(names.unique(), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    if len(splits) < 2:
        return Suite("window_overlap", pd.DataFrame(), skipped=[(CHECK, "the catalog has one split")])
    rank = looked_up(names, {name: at for at, name in enumerate(splits)}).to_numpy()
    video = pd.factorize(usable["video_id"])[0]
    least, most = (np.full(int(video.max()) + 1, start) for start in (len(splits), -1))
    np.minimum.at(least, video, rank)
    np.maximum.at(most, video, rank)
    shared = (least < most)[video]
    table = usable.loc[shared, ["item_id", "video_id", "split", "row", "start", "end"]].reset_index(drop=True)
    rank, video = rank[shared], video[shared].astype(np.int64)
    start, end = ((table[name].to_numpy() * 1000).round().astype(np.int64) for name in ("start", "end"))
    table["overlap"], table["with"] = 0.0, ""
    for later in range(1, len(splits)):
        ours, theirs = np.flatnonzero(rank == later), np.flatnonzero(rank < later)
        if not len(ours) or not len(theirs):
            continue
        theirs = theirs[np.lexsort((start[theirs], video[theirs]))]
        keys = video[theirs] * _LONG + start[theirs]
        ends = np.maximum.accumulate(
            video[theirs] * _LONG + end[theirs]
        )  # of this video so far: later videos have larger numbers
        owner = np.maximum.accumulate(np.where(video[theirs] * _LONG + end[theirs] == ends, np.arange(len(theirs)), 0))
        at = np.searchsorted(keys, video[ours] * _LONG + end[ours]) - 1
        found = (at >= 0) & (video[theirs[np.maximum(at, 0)]] == video[ours])
        other = theirs[owner[np.maximum(at, 0)]]
        same = (start[other] == start[ours]) & (end[other] == end[ours])
        seconds = np.minimum(end[ours], end[other]) - np.maximum(start[ours], start[other])
        seconds = np.where(found & ~same, np.maximum(seconds, 0), 0)
        table.loc[ours, "overlap"] = seconds / 1000
        table.loc[ours, "with"] = np.where(seconds > 0, table["item_id"].to_numpy()[other], "")
    table = table[rank > least[video]].reset_index(drop=True)
    rule = Rule(CHECK, BETWEEN, {"column": "overlap", "max_value": 0}, worst_by="overlap",
                show=("split", "row", "start", "end", "with"))  # fmt: skip
    return Suite("window_overlap", table, [rule])
