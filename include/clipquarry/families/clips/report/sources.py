"""The section "Sources" of the report: what each source holds, what of it is there, and how its published lists fare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.clips.mixed.run_files import MixedFiles
from clipquarry.families.clips.options import clips_options
from clipquarry.manifest import column_names, read_rows
from clipquarry.reasons import Status
from clipquarry.run_folder import RunFolder

_STEP = "collect_mixed"
_READ = ("split", "status", "bytes", "files", "unusable", "source_deleted")


@dataclass(frozen=True)
class SourceRow:
    """A source. ``files``: those that can be used, or parts; ``unusable``: those that cannot; ``deleted``: long videos, in this run."""

    split: str
    holds: str
    chosen: bool
    items: int
    there: int
    files: int
    unusable: int
    bytes: int
    deleted: int


@dataclass(frozen=True)
class ListRow:
    """A published list that was placed: its entries, as published, those that the written list has, and what is wrong."""

    list: str
    written: str
    entries: int
    published: int | None
    lines: int
    wrong: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sources:
    """What the section shows."""

    sources: tuple[SourceRow, ...]
    lists: tuple[ListRow, ...]
    problems: tuple[str, ...] = ()


def collect_sources(spec: DatasetSpec, folder: Path, params: Mapping[str, Any]) -> Sources | None:
    """The section of the run in ``folder``; None before its lists were read."""
    place = RunFolder(folder)
    if not place.catalog.is_file():
        return None
    chosen = params.get("splits") or spec.default_splits or list(spec.splits)
    items, counts = Counter[str](), Counter[tuple[str, str]]()
    problems, lists = list[str](), list[ListRow]()
    try:
        for row in read_rows(place.catalog, ("split", "status")):
            items[row["split"]] += row["status"] != Status.REJECTED
        for path in place.manifests(_STEP):
            for row in read_rows(path, [name for name in _READ if name in column_names(path)]):
                _count(row, counts)
        checked = MixedFiles(folder)
        lists = [_list(one) for one in (checked.read_checked() if checked.checked.is_file() else [])]
    except (ClipquarryError, OSError, KeyError, ValueError) as error:  # KeyError: a column is missing
        problems.append(f"The sources cannot be read: {error}")
    rows = [
        SourceRow(
            split, clips_options(spec).holds.get(split, ""), split in chosen, items[split], counts[split, "there"],
            counts[split, "files"], counts[split, "unusable"], counts[split, "bytes"], counts[split, "deleted"],
        )
        for split in spec.splits
    ]  # fmt: skip
    return Sources(tuple(rows), tuple(lists), tuple(problems))


def _count(row: Mapping[str, Any], counts: Counter[tuple[str, str]]) -> None:
    split = str(row["split"])
    if not Status(row["status"]).is_present:
        return
    counts[split, "there"] += 1
    counts[split, "files"] += row.get("files") or 1  # an item that is a file counts as one
    counts[split, "unusable"] += row.get("unusable") or 0
    counts[split, "bytes"] += row.get("bytes") or 0
    counts[split, "deleted"] += bool(row.get("source_deleted"))


def _list(one: Mapping[str, Any]) -> ListRow:
    kinds = sorted(dict(one["kinds"]).items(), key=lambda kind: (-kind[1], kind[0]))
    wrong = tuple((str(kind), int(count)) for kind, count in kinds)
    return ListRow(str(one["list"]), str(one["path"]), int(one["entries"]), one["published"], int(one["lines"]), wrong)
