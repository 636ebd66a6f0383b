"""Diving48's json files; the vocabulary lies beside them as ``Diving48_vocab.json``."""

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
VOCABULARY = "Diving48_vocab.json"


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Annotation files that are no JSON."""
    for split, path in spec.splits.items():
        if not path.lower().endswith(".json"):
            yield ("splits", split), f"{path!r}: the reader diving48 reads JSON files"


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.diving_json import read_items, read_vocabulary
    from clipquarry.annotations.labels import read_label_map
    from clipquarry.families.clips.annotation_files import catalog_facts, file_called, label_map, split_files

    files = split_files(ctx, beside=[VOCABULARY])
    given = label_map(ctx)
    labels = read_label_map(given) if given else read_vocabulary(file_called(VOCABULARY, files))

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return read_items(path, labels)

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))
