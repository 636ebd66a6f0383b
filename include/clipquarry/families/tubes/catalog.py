"""The catalog of a data set of tubes: an item is a video, whose frames lie in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.tube_measures import measure
from clipquarry.annotations.tube_pickle import TubeTruth, read_truth
from clipquarry.families.tubes.here import get_truth, truth_path
from clipquarry.families.tubes.report.shown import write_shown
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.families.tubes.tables import write_tables
from clipquarry.files import sha256_of
from clipquarry.pipeline.context import RunContext


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """Get the ground truth in place; write the catalog, its labels, and the tables of videos and tubes. Returns the content of
    ``catalog.json``.
    """
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.pipeline.pins import pin

    source, path = get_truth(ctx), truth_path(ctx)
    truth, digest = read_truth(path), sha256_of(path)
    place = TubeFiles(ctx.folder)
    write_tables(truth, measure(truth), place.videos, place.tubes)
    write_shown(truth, place.shown)
    labels = LabelIndex(truth.labels, path.name)

    def read(split: str, _: Path) -> Iterator[Item | RejectedRow]:
        return _rows(truth, split, first=split == next(iter(ctx.spec.splits)))

    summary = write(dict.fromkeys(ctx.spec.splits, path), ctx.catalog, read, labels, digest=lambda _: digest)
    return {
        "rows": summary.rows,
        **summary.as_json(),
        "label_names": list(labels.names),
        "divisions": truth.divisions,
        "obtained": [{"part": "ground truth", "source": source, "sha256": digest}],
        "files": pin(ctx, [path]),
    }


def _rows(truth: TubeTruth, split: str, *, first: bool) -> Iterator[Item | RejectedRow]:
    """The videos of a split; those of no split stand in the first one, rejected. A row's line is its number in the file."""
    numbers = {name: index for index, name in enumerate(truth.labels)}
    for number, video in enumerate(truth.videos, 1):
        if not (split in video.splits or (first and not video.splits)):
            continue
        for _ in range(max(1, video.splits.count(split))):
            if video.problem is not None:
                yield RejectedRow(number, *video.problem, video.key)
                continue
            label = Label(numbers[video.class_dir], video.class_dir)
            yield Item(number, video.name, video.name, video.class_dir, None, None, (label,))
