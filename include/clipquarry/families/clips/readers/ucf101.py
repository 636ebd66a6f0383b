"""UCF101's class index and split lists; the index lies beside the lists as ``classInd.txt``."""

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
INDEX = "classInd.txt"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Nothing: every list of text may be one."""
    yield from ()


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import read_label_map
    from clipquarry.annotations.ucf_lists import read_class_index, read_split_list
    from clipquarry.families.clips.annotation_files import catalog_facts, file_called, label_map, split_files

    files = split_files(ctx, separator="", beside=[INDEX])
    given = label_map(ctx)
    labels = read_label_map(given) if given else read_class_index(file_called(INDEX, files))

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return read_split_list(path, labels)

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))
