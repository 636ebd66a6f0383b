"""Windows of one video that overlap in time, in two splits: near copies that training and evaluation share."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from clipquarry.quality.engine import BETWEEN, Rule, Suite
from clipquarry.quality.tables import looked_up

_ORDER: Final = ("train", "val", "test")
_LONG: Final = 1 << 32
CHECK: Final = "annotations.window_overlap"


def suite(usable: pd.DataFrame) -> Suite:
    """One row for each window of a video in several splits, except those of the first of its splits (train, val,
    test, others).

    ``overlap``: seconds in common with a window of an earlier split (of those that begin before its end, the one
    that ends last). ``annotations.split_disjoint`` reports equal windows.
    """
    splits = sorted(
        usable["split"].unique(), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)
    )
    if len(splits) < 2:
        return Suite("window_overlap", pd.DataFrame(), skipped=[(CHECK, "the catalog has one split")])
    rank = looked_up(usable["split"], {name: at for at, name in enumerate(splits)}).to_numpy()
    video = pd.factorize(usable["video_id"])[0]
    least, most = (np.full(int(video.max()) + 1, start) for start in (len(splits), -1))
    np.minimum.at(least, video, rank)
    np.maximum.at(most, video, rank)
    shared = (least < most)[video]
    table = usable.loc[shared, ["item_id", "video_id", "split", "row", "start", "end"]].reset_index(drop=True)
    rank, video = rank[shared], video[shared].astype(np.int64)
    start, end = (table[name].to_numpy(dtype=np.int64) for name in ("start", "end"))
    table["overlap"], table["with"] = 0, ""
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
        table.loc[ours, "overlap"] = seconds
        table.loc[ours, "with"] = np.where(seconds > 0, table["item_id"].to_numpy()[other], "")
    table = table[rank > least[video]].reset_index(drop=True)
    rule = Rule(CHECK, BETWEEN, {"column": "overlap", "max_value": 0}, worst_by="overlap",
                show=("split", "row", "start", "end", "with"))  # fmt: skip
    return Suite("window_overlap", table, [rule])
