"""Jester's and Something-Something's lists (csv, or JSON); the classes lie beside them, as ``…-labels`` with the same suffix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import part_of
from clipquarry.pipeline.family import Problem

if TYPE_CHECKING:
    from clipquarry.annotations.items import Item, RejectedRow
    from clipquarry.pipeline.context import RunContext

NAMES: Literal["own"] = "own"
SUFFIXES = (".csv", ".json")


def problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Lists of other kinds, or that do not lie side by side under one name."""
    beginnings = {name: _labels_file(path) for name, path in spec.splits.items()}
    first = next(iter(beginnings.values()), None)
    for split, path in spec.splits.items():
        if PurePosixPath(path).suffix not in SUFFIXES or "-" not in PurePosixPath(path).name:
            yield ("splits", split), f"{path!r}: the reader twentybn reads lists called NAME-{split}.csv or .json"
        elif beginnings[split] != first:
            yield (
                ("splits", split),
                f"{path!r}: its classes would be in {beginnings[split]}, those of others in {first}",
            )


def _labels_file(path: str) -> str:
    """The file of the classes beside a list: ``annotations/jester-v1-labels.csv`` of ``annotations/jester-v1-train.csv``."""
    place = PurePosixPath(path)
    return str(place.with_name(f"{place.name.rpartition('-')[0]}-labels{place.suffix}"))


def write_catalog(ctx: RunContext) -> dict[str, Any]:
    """See :class:`clipquarry.families.clips.readers.Reader`."""
    from clipquarry.annotations.catalog import write_catalog as write
    from clipquarry.annotations.labels import read_label_map
    from clipquarry.annotations.twentybn import read_entries, read_label_json, read_label_lines, read_rows
    from clipquarry.families.clips.annotation_files import catalog_facts, file_called, label_map, split_files

    name = PurePosixPath(_labels_file(next(iter(ctx.spec.splits.values())))).name
    files = split_files(ctx, separator="", beside=[name])
    given, is_json = label_map(ctx), name.endswith(".json")
    classes = file_called(name, files)
    labels = read_label_map(given) if given else (read_label_json if is_json else read_label_lines)(classes)

    def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
        return (read_entries if is_json else read_rows)(path, labels, labelled=part_of(split) != "test")

    return catalog_facts(ctx, files, write(ctx.annotation_csvs(), ctx.catalog, read, labels))
