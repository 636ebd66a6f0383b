"""Kinetics-710 from the csv files of the releases that it is made of.

A split is called ``{release}_{part}`` (``k400_train``), and its csv alike. A training video that the evaluation of any
release has, and one that an earlier release trains on, is rejected. Evaluation videos too belong to the first release.
Within a release all windows of a video stay. Source: UniFormerV2 (arXiv 2211.09552), section 4; mmaction2's
``label_map_k710.txt``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import TRAIN, part_of
from clipquarry.datasets.step_files import csv_problems
from clipquarry.ids import normalise_label
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["window"] = "window"
EVALUATION = ("val", "test")


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Annotation files that are no csv, and splits whose part is not in their name."""
    yield from csv_problems(spec, "the reader kinetics710")
    for split, path in spec.splits.items():
        if part_of(split) == split:
            yield ("splits", split), "it is called as a release and a part of it, such as k400_train"
        elif PurePosixPath(path).name != f"{split}.csv":
            yield ("splits", split), f"{path!r}: the file is called {split}.csv"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.kinetics710 import Releases
    from clipquarry.annotations.labels import published_labels, read_label_map
    from clipquarry.families.clips.annotation_files import catalog_facts, label_map, split_files

    spec = ctx.spec
    folder = PurePosixPath(next(iter(spec.splits.values()))).parent
    releases = list(dict.fromkeys(_release(split) for split in spec.splits))
    # Whatever splits are chosen: the rows of one depend on the videos of all.
    parts = [(release, part) for release in releases for part in (TRAIN, *EVALUATION)]
    chosen = {PurePosixPath(spec.splits[split]).name for split in ctx.splits}
    files = split_files(ctx, beside=[name for part in parts if (name := _csv(part)) not in chosen])
    given = label_map(ctx)
    labels = read_label_map(given) if given else published_labels("kinetics710")
    place = ctx.data.dataset(spec.root, str(folder))
    made = Releases({part: place / _csv(part) for part in parts}, labels)

    def read(split: str, _: Path) -> Iterator[Item | RejectedRow]:
        return made.rows((_release(split), part_of(split)), _class_names(spec, split))

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))


def _csv(part: tuple[str, str]) -> str:
    return f"{'_'.join(part)}.csv"


def _release(split: str) -> str:
    return split.removesuffix(f"_{part_of(split)}")


def _class_names(spec: DatasetSpec, split: str) -> dict[str, str]:
    """A release's folder names of classes that have another name here, to ours."""
    source = next((one for one in spec.item_sources if split in one.split_names), None)
    named = source.class_names if source is not None else {}
    return {normalise_label(theirs): ours for ours, theirs in named.items()}
