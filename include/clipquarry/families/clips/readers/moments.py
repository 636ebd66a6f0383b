"""The csv files of Moments in Time, whose classes lie beside them as ``moments_categories.txt``, and, where an item has several
labels, those of Multi-Moments in Time, which have numbers of classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"
CATEGORIES = "moments_categories.txt"
SEVERAL = 313


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Clips without class folders: the class of a clip is its folder."""
    if spec.item.level != 2:
        yield ("item", "level"), "a clip's path has a folder: write level: 2"
    if spec.labels.several and spec.labels.count != SEVERAL:
        yield ("labels", "count"), f"Multi-Moments in Time has {SEVERAL} classes, known by their numbers"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import published_labels, read_label_map
    from clipquarry.annotations.moments import read_categories, read_items, read_numbered_items
    from clipquarry.families.clips.annotation_files import catalog_facts, file_called, label_map, split_files

    several, given = ctx.spec.labels.several, label_map(ctx)
    names = [CATEGORIES]
    files = split_files(ctx, perhaps=names) if several else split_files(ctx, beside=names)
    if given:
        labels = read_label_map(given)
    elif any(one.path.name == CATEGORIES for one in files):
        labels = read_categories(file_called(CATEGORIES, files))
    else:
        labels = published_labels("moments313")

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return (read_numbered_items if several else read_items)(path, labels)

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))
