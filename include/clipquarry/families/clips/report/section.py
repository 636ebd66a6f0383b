"""The family's section of the report. "Groups of labels": classes, labels and clips of each group, and the lists of the groups.
"Sources" (:mod:`clipquarry.families.clips.report.sources`): of data sets whose splits are sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.clips.options import clips_options
from clipquarry.families.clips.report.sources import Sources, collect_sources
from clipquarry.report.section import Section
from clipquarry.run_documents import read_label_groups, read_lists
from clipquarry.run_folder import RunFolder, labels_beside

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class GroupRow:
    """A group: its classes, their published number, and by split its labels and the clips that have one."""

    name: str
    classes: int
    published: int
    labels: dict[str, int]
    clips: dict[str, int]


@dataclass(frozen=True)
class GroupListRow:
    """The list of a group that was written."""

    group: str
    path: str
    lines: int


@dataclass(frozen=True)
class Groups:
    """What the section shows."""

    splits: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    lists: tuple[GroupListRow, ...]
    problems: tuple[str, ...] = ()


def collect(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> Groups | Sources | None:
    """The section of the run in ``folder``: of groups of labels, or of sources; None for a data set with neither, and before its labels
    were read.
    """
    if clips_options(spec).holds:
        return collect_sources(spec, folder, params)
    place = RunFolder(folder)
    if not spec.labels.groups or not place.catalog_file.is_file():
        return None
    problems, sizes = list[str](), dict[str, int]()
    labels, clips = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    splits = [split for split in spec.splits if split in (params.get("splits") or spec.default_splits or spec.splits)]
    lists = list[GroupListRow]()
    try:
        sizes = read_label_groups(place)
        _count(labels_beside(place.catalog), sizes, splits, labels, clips)
        for one in read_lists(place) if place.lists.is_file() else []:
            lists += [GroupListRow(row["group"], row["path"], int(row["lines"])) for row in one.get("groups", [])]
    except (ClipquarryError, KeyError, ValueError) as error:  # KeyError: a column is missing
        problems.append(f"The labels cannot be read: {error}")
    rows = [
        GroupRow(
            name, sizes.get(name, 0), spec.labels.groups.get(name, 0),
            {split: labels[split, name] for split in splits}, {split: clips[split, name] for split in splits},
        )
        for name in dict.fromkeys((*spec.labels.groups, *sizes))
    ]  # fmt: skip
    return Groups(tuple(splits), tuple(rows), tuple(lists), tuple(problems))


def _count(
    table: Path, sizes: Mapping[str, int], splits: list[str], labels: Counter[tuple[str, str]], clips: Counter[tuple[str, str]],
) -> None:  # fmt: skip
    """Add the labels of each split and group, and the clips that have one; the table is streamed."""
    import numpy as np

    from clipquarry.manifest import read_batches

    names, starts = list(sizes), np.cumsum([0, *sizes.values()])
    item, before = -1, set[int]()
    for batch in read_batches(table, ("item_id", "position", "index"), batch=1 << 17):
        group = np.searchsorted(starts, batch["index"].to_numpy(), side="right") - 1
        items = item + np.cumsum(batch["position"].to_numpy() == 0)
        split = _split(batch, splits)
        known = (split >= 0) & (group >= 0) & (group < len(names))
        codes = split[known] * len(names) + group[known]
        pairs, first = np.unique(items[known] * len(names) + group[known], return_index=True)
        for count, counter in ((np.bincount(codes), labels), (np.bincount(codes[first]), clips)):
            counter.update(
                {(splits[at // len(names)], names[at % len(names)]): int(n) for at, n in enumerate(count) if n}
            )
        found = set(pairs.tolist())
        for pair in found & before:  # the last item of the batch before goes on in this one
            clips[splits[int(codes[first][pairs == pair][0]) // len(names)], names[pair % len(names)]] -= 1
        item = int(items[-1]) if len(items) else item
        before = {pair for pair in found if pair // len(names) == item}


def _split(batch: pa.Table, splits: list[str]) -> Any:
    """The place of each row's split, by the beginning of its id; -1: another."""
    import numpy as np
    import pyarrow.compute as pc

    found = np.full(batch.num_rows, -1)
    for at, split in enumerate(splits):
        found[pc.starts_with(batch["item_id"], f"{split}/").to_numpy()] = at
    return found


def plots(found: Groups | Sources) -> Mapping[str, str | None]:
    """None: six numbers need no plot."""
    return {}


def values(found: Groups | Sources, root: Path) -> Mapping[str, Any]:
    return {}


SECTION = Section("label_groups", Path(__file__).with_name("groups.html.j2"), collect, plots, values)
