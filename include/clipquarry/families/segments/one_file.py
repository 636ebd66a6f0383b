"""Errors in the YAML of a data set whose splits are parts of one annotation file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Problem

SPLITS = ("train", "val", "test")
"""Splits that ActivityNet's annotations have, under other names."""


def split_problems(spec: DatasetSpec, suffix: str, reader: str) -> Iterator[Problem]:
    """Splits whose rows nobody could tell from the others'. ``suffix``: of the file that ``reader`` reads."""
    for split, path in spec.splits.items():
        if split not in SPLITS:
            yield ("splits", split), f"the reader {reader} knows {', '.join(SPLITS)} only"
        if PurePosixPath(path).suffix.lower() != suffix:
            yield ("splits", split), f"{path!r}: the reader {reader} reads a file {suffix}"
    if len(set(spec.splits.values())) > 1:
        yield ("splits",), "one file has all splits: name it for each"
