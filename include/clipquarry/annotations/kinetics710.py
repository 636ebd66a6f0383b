"""Rows of the releases of which Kinetics-710 is made: each video once, none of the evaluation in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.kinetics_catalog import item_of
from clipquarry.annotations.kinetics_csv import read_kinetics_csv
from clipquarry.annotations.labels import LabelIndex
from clipquarry.reasons import Reason

TRAIN = "train"
Part = tuple[str, str]
"""A release and one of its parts: ``("k400", "train")``."""


class Releases:
    """The csv files of the releases' parts (train, val, test), the releases in the order of their right to a video.

    Memory: some 100 bytes for each video id of the files that were read.
    """

    def __init__(self, csvs: Mapping[Part, Path], labels: LabelIndex) -> None:
        self._csvs, self._labels = csvs, labels
        self._ids: dict[Part, frozenset[str]] = {}

    def rows(self, of: Part, class_names: Mapping[str, str]) -> Iterator[Item | RejectedRow]:
        """Every row of a csv. ``class_names``: the release's folder names of classes to ours, where they differ."""
        taken = {"_".join(other): self._videos(other) for other in self._before(of)}
        for row in read_kinetics_csv(self._csvs[of], of[1]):
            if isinstance(row, RejectedRow):
                yield row
                continue
            owner = next((other for other, ids in taken.items() if row.video_id in ids), None)
            if owner is not None:
                told = f"{row.label},{row.clip_id}"
                yield RejectedRow(row.line, Reason.LEFT_OUT, f"its video is in {owner}", told)
                continue
            yield item_of(row, self._labels, class_names.get(row.class_dir))

    def _before(self, of: Part) -> Iterator[Part]:
        """The parts whose videos are not of this one: for training all of the evaluation; the same part of earlier releases."""
        if of[1] == TRAIN:
            yield from (other for other in self._csvs if other[1] != TRAIN)
        for other in self._csvs:
            if other == of:
                return
            if other[1] == of[1]:
                yield other

    def _videos(self, of: Part) -> frozenset[str]:
        if of not in self._ids:
            rows = read_kinetics_csv(self._csvs[of], of[1])
            self._ids[of] = frozenset(row.video_id for row in rows if not isinstance(row, RejectedRow))
        return self._ids[of]
