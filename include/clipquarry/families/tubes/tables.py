"""The tables of a run's ground truth: its videos and its tubes, and the same for people.

Videos (``videos.parquet``), one row for each that any part of the file names:

==============  ======  ==============================================================================
column          type    meaning
==============  ======  ==============================================================================
item_id         string  ``item_id`` in the catalog; of a video without a split: its name in the file
video           string  its name in the file, ``<class>/<name>``
split           string  the first split whose list names it, ``""`` for none
named           int32   how often the lists of the splits name it; 1 is right
frames          int32   by the ground truth, as are the next two; 0: unknown
height, width   int32   pixels
tubes           int32   its number of tubes
problem         string  why no run can use it, ``""`` for nothing
==============  ======  ==============================================================================

Tubes (``tubes.parquet``), one row for each, wrong ones too: ``item_id`` (``{item of the video}#{position}``), ``video_item``,
``split``, ``video``, ``position`` (0-based, among those of the video), ``label`` (the class, ``""`` for no class), ``label_index``
(as in the file, -1 for none), ``frames`` (its boxes), ``of_frames`` (those of the video), the columns of
:class:`~clipquarry.annotations.tube_measures.Measures`, ``first_frame`` and ``last_frame`` among them, and ``problem`` (why it is no tube).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from clipquarry.annotations.tube_measures import Measures
from clipquarry.annotations.tube_pickle import TubeTruth, TubeVideo
from clipquarry.files import writing
from clipquarry.manifest import ManifestWriter, read_rows, schema_of

_TEXT, _NUMBER = pa.string(), pa.int32()
VIDEO_FIELDS: tuple[pa.Field, ...] = (
    *(pa.field(name, _TEXT, nullable=False) for name in ("item_id", "video", "split")),
    *(pa.field(name, _NUMBER, nullable=False) for name in ("named", "frames", "height", "width", "tubes")),
    pa.field("problem", _TEXT, nullable=False),
)
TUBE_FIELDS: tuple[pa.Field, ...] = (
    *(pa.field(name, _TEXT, nullable=False) for name in ("item_id", "video_item", "split", "video")),
    pa.field("position", _NUMBER, nullable=False),
    pa.field("label", _TEXT, nullable=False),
    *(
        pa.field(name, _NUMBER, nullable=False)
        for name in ("label_index", "frames", "of_frames", "first_frame", "last_frame", "outside", "disorder", "gaps", "flat")
    ),
    pa.field("over", pa.float64(), nullable=False),
    pa.field("problem", _TEXT, nullable=False),
)  # fmt: skip
COLUMNS = ("video", "split", "label", "label_index", "position", "frames", "first_frame", "last_frame", "of_frames")
"""Columns of the csv of tubes."""


def item_of(video: TubeVideo) -> str:
    """Its ``item_id`` in the catalog: of the first split that names it."""
    return f"{video.splits[0]}/{video.key}" if video.splits else video.key


def write_tables(truth: TubeTruth, measures: Measures, videos: Path, tubes: Path) -> None:
    """Write both tables, each whole or not at all."""
    counts = np.bincount(truth.tubes.video[truth.tubes.video >= 0], minlength=len(truth.videos)).tolist()
    with ManifestWriter(videos, schema_of(VIDEO_FIELDS, "tube_videos")) as writer:
        for video, count in zip(truth.videos, counts, strict=True):
            writer.write({
                "item_id": item_of(video), "video": video.key, "split": video.splits[0] if video.splits else "",
                "named": len(video.splits), "frames": video.frames, "height": video.height, "width": video.width,
                "tubes": count, "problem": video.problem[1] if video.problem else "",
            })  # fmt: skip
    found = truth.tubes
    columns = zip(
        found.video.tolist(), found.label.tolist(), found.position.tolist(), found.length.tolist(), found.problem,
        *(column.tolist() for column in (measures.first, measures.last, measures.outside, measures.disorder, measures.gaps,
                                         measures.flat, measures.over)),
        strict=True,
    )  # fmt: skip
    with ManifestWriter(tubes, schema_of(TUBE_FIELDS, "tubes")) as writer:
        for owner, label, position, frames, problem, first, last, outside, disorder, gaps, flat, over in columns:
            video = truth.videos[owner]
            item = item_of(video)
            writer.write({
                "item_id": f"{item}#{position}", "video_item": item, "split": video.splits[0] if video.splits else "",
                "video": video.key, "position": position, "label": _label(truth.labels, label), "label_index": label,
                "frames": frames, "of_frames": video.frames, "first_frame": first, "last_frame": last, "outside": outside,
                "disorder": disorder, "gaps": gaps, "flat": flat, "over": over, "problem": problem,
            })  # fmt: skip


def _label(labels: Sequence[str], index: int) -> str:
    return labels[index] if 0 <= index < len(labels) else ""


def write_csv(tubes: Path, splits: Sequence[str], target: Path) -> None:
    r"""Write the tubes of these splits as csv (UTF-8, ``\n``, :data:`COLUMNS`).

    Names cannot be formulas of a spreadsheet: those with such a beginning get a ``'`` in front.
    """
    with writing(target) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in read_rows(tubes, ("split", *(name for name in COLUMNS if name != "split"))):
            if row["split"] in splits:
                writer.writerow([_plain(row[name]) if isinstance(row[name], str) else row[name] for name in COLUMNS])


def _plain(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
