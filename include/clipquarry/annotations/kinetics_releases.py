"""Rows of several releases of Kinetics that share one folder of clips, and the table of the clips: each once.

A clip is a window of a video, whatever release it is of. Each release keeps its rows, its splits, its classes and their
numbers. Source: kinetics-download-prep's ``download.py`` without a csv, whose rule is one file for each name; labels stay in
the csv files.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.kinetics_catalog import item_of
from clipquarry.annotations.kinetics_csv import CsvRow, GoodRow, read_kinetics_csv
from clipquarry.annotations.labels import LabelIndex
from clipquarry.ids import parse_clip_id
from clipquarry.reasons import Reason

TRAIN = "train"
BETWEEN = "|"
"""Between several splits, or classes, of one clip in one release."""


class Part(NamedTuple):
    """A release and one of its csv files: ``k400``, ``train``."""

    release: str
    split: str

    @property
    def name(self) -> str:
        return f"{self.release}_{self.split}"


class Releases:
    """The csv files of the releases' parts, in order.

    ``apart``: rows of training whose video any release evaluates on are left out. Memory: some hundred bytes for each video
    of the evaluation.
    """

    def __init__(self, csvs: Mapping[Part, Path], labels: Mapping[str, LabelIndex], *, apart: bool = True) -> None:
        self._csvs, self._labels, self._apart = csvs, labels, apart
        self._owners: dict[str, Part] | None = None

    def rows(self, of: Part) -> Iterator[Item | RejectedRow]:
        """Every row of a csv, with the numbers of its release's classes."""
        for row in self._read(of):
            if isinstance(row, RejectedRow):
                yield row
            elif (owner := self._evaluated(of, row)) is not None:
                told = f"{row.label},{row.clip_id}"
                yield RejectedRow(row.line, Reason.LEFT_OUT, f"its video is in {owner.name}", told)
            else:
                yield item_of(row, self._labels[of.release])

    def _read(self, of: Part) -> Iterator[CsvRow]:
        return read_kinetics_csv(self._csvs[of], of.split)

    def _evaluated(self, of: Part, row: GoodRow) -> Part | None:
        """The first part of the evaluation that has the video of a row of training."""
        if of.split != TRAIN or not self._apart:
            return None
        if self._owners is None:
            owners: dict[str, Part] = {}
            for part in self._csvs:
                if part.split != TRAIN:
                    for one in self._read(part):
                        if isinstance(one, GoodRow):
                            owners.setdefault(one.video_id, part)
            self._owners = owners
        return self._owners.get(row.video_id)

    def write_clips(self, handle: IO[str]) -> int:
        """Write the table of the clips, each once, by name; returns their number.

        ``youtube_id,time_start,time_end,clip``, for each release ``{release}_split,{release}_class`` (several between
        :data:`BETWEEN`, both in one order; no class in a csv without labels), and ``left_out_of``: training parts that have it
        in their csv and not in their list. Memory: some 150 bytes for each row of the csv files.
        """
        parts, releases = list(self._csvs), list(dict.fromkeys(part.release for part in self._csvs))
        out = csv.writer(handle, lineterminator="\n")
        pairs = [f"{release}_{what}" for release in releases for what in ("split", "class")]
        out.writerow(["youtube_id", "time_start", "time_end", "clip", *pairs, "left_out_of"])
        table, classes = self._rows_of_all()
        lines = 0
        rows = (
            row
            for batch in table.to_batches(max_chunksize=8192)
            for row in zip(*batch.to_pydict().values(), strict=True)
        )
        for clip, group in groupby(rows, lambda row: row[0]):
            splits: dict[str, list[tuple[str, str]]] = {release: [] for release in releases}
            left = []
            for _, place, label, is_left in group:
                part = parts[place]
                splits[part.release].append((part.split, classes[label]))
                if is_left:
                    left.append(part.name)
            video, start, end = parse_clip_id(clip)
            told = [BETWEEN.join(of) for one in splits.values() for of in (zip(*one, strict=True) if one else ("", ""))]
            out.writerow([video, start, end, clip, *told, BETWEEN.join(dict.fromkeys(left))])
            lines += 1
        return lines

    def _rows_of_all(self) -> tuple[pa.Table, list[str]]:
        """``clip, part, class, left`` of all good rows, sorted; and the names of the classes by their numbers there."""
        classes: dict[str, int] = {}
        pieces = []
        for place, part in enumerate(self._csvs):
            clips, labels, left = list[str](), list[int](), list[bool]()
            for row in self._read(part):
                if isinstance(row, GoodRow):
                    clips.append(row.clip_id)
                    labels.append(classes.setdefault(row.label or "", len(classes)))
                    left.append(self._evaluated(part, row) is not None)
            pieces.append(
                pa.table({
                    "clip": pa.array(clips, pa.string()), "part": pa.array([place] * len(clips), pa.int8()),
                    "class": pa.array(labels, pa.int32()), "left": pa.array(left, pa.bool_()),
                })
            )  # fmt: skip
        table = pa.concat_tables(pieces)
        return table.sort_by([("clip", "ascending"), ("part", "ascending")]), list(classes)
