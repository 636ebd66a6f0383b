"""Namespace of a data set's ids: YouTube's, which mean the same to everybody, or its own."""

from __future__ import annotations

from clipquarry.datasets.model import DatasetSpec
from clipquarry.ids import YOUTUBE


def namespace_of(spec: DatasetSpec) -> str:
    """``youtube``, or the data set's name.

    Unless ``item.ids`` says it, ids of a data set with a YouTube source are YouTube's, and all others are its own:
    two data sets that number their clips from 1 share none of them.
    """
    asks_youtube = any(source.kind == "youtube" for source in spec.sources)
    return YOUTUBE if (spec.item.ids or ("youtube" if asks_youtube else "own")) == "youtube" else spec.name
