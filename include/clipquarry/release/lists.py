"""List files of the clips on disk, and the table of the clips that are not, each with its reason.

For every split: ``rows of the csv = lines + missing``. Rejected csv rows count as missing, with their own reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.annotations.file_list import ListEntry, ListFormat, reference_shuffle, write_list
from clipquarry.annotations.label_table import Label, with_labels
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError
from clipquarry.files import writing
from clipquarry.layout import placing
from clipquarry.manifest import ManifestWriter, Row, read_rows, schema_of
from clipquarry.reasons import Reason, Status
from clipquarry.release.folders import SplitFolder, count_frames
from clipquarry.run_folder import RunFolder, labels_beside
from clipquarry.settings import DataRoot

TRAIN, VAL = "train", "val"
Labelled = tuple[Row, tuple[Label, ...]]
"""A row of the catalog, and its labels."""
_COLUMNS = ("item_id", "split", "label", "class_dir", "clip_id", "status", "reason", "evidence")

MISSING_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("label", pa.string()),
    pa.field("clip_id", pa.string()),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
)
"""Columns of ``missing_{format}.parquet`` and ``.csv``: one row per catalog row without a line in the list."""


@dataclass
class ListSummary:
    """One list: ``rows == lines + missing``; ``rejected`` of the missing are unusable csv rows."""

    split: str
    format: ListFormat
    path: Path
    rows: int = 0
    lines: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Missing by reason."""
    not_in_csv: int = 0
    """Clips in the class folders that the csv does not name (level 2)."""

    moved: str = ""
    """Where a file of somebody else that was in the list's place was moved."""

    @property
    def missing(self) -> int:
        return self.rows - self.lines

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path), "missing": self.missing}


@dataclass(frozen=True)
class ListOptions:
    """Options of the reference tool, and ``min_frames``: raw frames with fewer frames are left out."""

    json: bool = False
    shuffle_seed: int | None = None
    min_frames: int = 1


class _Recorded:
    """Why an item is missing, from a table with ``item_id, status, reason, evidence``.

    Equal texts are kept once, and present items, which are most, are kept as a hash only.
    """

    def __init__(self, path: Path | None) -> None:
        self._why: dict[str, tuple[str, str]] = {}
        self._present: set[int] = set()
        texts: dict[tuple[str, str], tuple[str, str]] = {}
        for row in read_rows(path, ("item_id", "status", "reason", "evidence")) if path else ():
            if Status(row["status"]).is_present:
                self._present.add(hash(row["item_id"]))
            else:
                why = row["reason"], row["evidence"]
                self._why[row["item_id"]] = texts.setdefault(why, why)

    def why(self, item_id: str) -> tuple[str, str]:
        if (why := self._why.get(item_id)) is not None:
            return why
        if hash(item_id) in self._present:
            return str(Reason.TASK_FAILED), "recorded as present, but it is not on disk"
        return str(Reason.NOT_ASKED), "it was not among the items of this run"


class _Missing:
    """The missing table as parquet, and as csv for people."""

    def __init__(self, folder: Path, format_: ListFormat, stack: ExitStack) -> None:
        place = RunFolder(folder)
        self._table = stack.enter_context(ManifestWriter(place.missing(format_), schema_of(MISSING_FIELDS, "missing")))
        self._names = [column.name for column in MISSING_FIELDS]
        self._csv = csv.writer(stack.enter_context(writing(place.missing_csv(format_))), lineterminator="\n")
        self._csv.writerow(self._names)

    def add(self, row: Row, why: tuple[str, str], summary: ListSummary) -> None:
        reason, evidence = why
        summary.reasons[reason] = summary.reasons.get(reason, 0) + 1
        self._table.write(
            {name: row[name] for name in self._names[:4]} | {"reason": reason, "evidence": evidence},
        )
        self._csv.writerow([*(row[name] for name in self._names[:4]), reason, evidence])


class _ListBuilder:
    """Builds one list of one split from catalog rows."""

    def __init__(self, spec: DatasetSpec, folder: SplitFolder, format_: ListFormat, options: ListOptions) -> None:
        self._spec, self._folder, self._format, self._options = spec, folder, format_, options

    def entries(
        self, rows: Iterable[Labelled], recorded: _Recorded, missing: _Missing, summary: ListSummary
    ) -> Iterator[ListEntry]:
        for row, found in rows:
            summary.rows += 1
            if row["status"] == Status.REJECTED:
                summary.rejected += 1
                missing.add(row, (row["reason"], row["evidence"]), summary)
                continue
            path = self._folder.find(row["class_dir"], row["clip_id"])
            if path is None:
                missing.add(row, recorded.why(row["item_id"]), summary)
                continue
            if path.split() != [path] or not path.isprintable():
                why = f"{path!r} cannot stand in a list: its name holds white space or what does not print"
                missing.add(row, (str(Reason.BAD_ID), why), summary)
                continue
            labels = tuple(label.index for label in found)
            if self._format == "videos":
                entry: ListEntry | tuple[str, str] = ListEntry(path, labels)
            else:
                entry = self._frames(path, labels)
            if isinstance(entry, ListEntry):
                summary.lines += 1
                yield entry
            else:
                missing.add(row, entry, summary)

    def _frames(self, path: str, labels: tuple[int, ...]) -> ListEntry | tuple[str, str]:
        count = count_frames(self._folder.root / path, self._spec.item)
        if count.rgb == 0:
            return str(Reason.NO_FRAMES), f"the folder has no {self._spec.item.rgb_prefix}* frames"
        if count.flow_x != count.flow_y:
            return str(Reason.CORRUPT), f"{count.flow_x} frames of flow x, {count.flow_y} of flow y"
        if count.rgb < self._options.min_frames:
            return str(Reason.TOO_SHORT), f"{count.rgb} frames, fewer than {self._options.min_frames}"
        return ListEntry(path, labels, count.rgb)


def _by_split(catalog: Path, wanted: Iterable[str]) -> Iterator[tuple[str, Iterator[Labelled]]]:
    """Catalog rows with their labels by split, then the chosen splits that the catalog lacks."""
    open_ = dict.fromkeys(wanted)
    done: set[str] = set()
    labelled = with_labels(read_rows(catalog, _COLUMNS), labels_beside(catalog))
    for split, rows in groupby(labelled, lambda one: str(one[0]["split"])):
        if split in done:
            raise ManifestError(f"{catalog} is not in split order ({split} comes twice): make the catalog again.")
        done.add(split)
        if not open_ or split in open_:
            yield split, rows
    yield from ((split, iter(())) for split in open_ if split not in done)


def build_lists(
    spec: DatasetSpec,
    data: DataRoot,
    catalog: Path,
    missing_dir: Path,
    *,
    recorded: Path | None = None,
    splits: Iterable[str] = (),
    options: ListOptions | None = None,
) -> list[ListSummary]:
    """Write the lists of videos and, if a split has that folder, of raw frames, to their paths in the reference's
    layout.

    ``{data}/{root}/{name}_{split}_list_{videos,rawframes}.txt`` (or ``.json``), in csv order, contain the clips that
    the catalog names and the disk has, with the labels of the table beside it. ``missing_videos.{parquet,csv}`` and
    ``missing_rawframes.…`` go to ``missing_dir``; the reason of a missing clip comes from ``recorded``. A list that
    we did not write is set aside. ``splits``: only these, with an empty list for one without rows. The catalog is
    streamed once per format; a class folder is listed once.
    """
    options = options or ListOptions()
    wanted = list(splits)
    states = _Recorded(recorded)
    summaries: list[ListSummary] = []
    formats: tuple[ListFormat, ...] = ("videos", "rawframes")
    for format_ in formats:
        if format_ not in spec.lists or format_ not in spec.layout:
            continue
        if format_ == "rawframes" and not _has_frames(spec, data):
            continue
        with ExitStack() as stack:
            missing = _Missing(missing_dir, format_, stack)
            for split, rows in _by_split(catalog, wanted):
                folder = _folder(spec, data, format_, split)
                if format_ == "rawframes" and not folder.root.is_dir():
                    continue
                name = spec.list_name(format_, split)
                target = data.dataset(spec.root, str(Path(name).with_suffix(".json")) if options.json else name)
                summary = ListSummary(split, format_, target)
                entries = _ListBuilder(spec, folder, format_, options).entries(rows, states, missing, summary)
                with placing(data, target) as new:
                    if options.shuffle_seed is None:
                        write_list(new.path, entries)
                    else:
                        before = _train_clips_in(_folder(spec, data, format_, split), catalog) if split == VAL else 0
                        whole = list(entries)
                        reference_shuffle(whole, options.shuffle_seed, before=before)
                        write_list(new.path, whole)
                summary.moved = new.told
                summary.not_in_csv = folder.unasked
                summaries.append(summary)
    return summaries


def _folder(spec: DatasetSpec, data: DataRoot, format_: ListFormat, split: str) -> SplitFolder:
    root = data.dataset(spec.root, spec.folder(format_, split))
    return SplitFolder(root, spec.item.level, folders=format_ == "rawframes", prefer=spec.item.ext)


def _has_frames(spec: DatasetSpec, data: DataRoot) -> bool:
    return any(data.dataset(spec.root, spec.folder("rawframes", split)).is_dir() for split in spec.splits)


def _train_clips_in(folder: SplitFolder, catalog: Path) -> int:
    """Number of train rows that the reference would find in the folder of val: its shuffle depends on that."""
    rows = read_rows(catalog, ("split", "class_dir", "clip_id", "status"))
    return sum(
        row["status"] != Status.REJECTED and folder.find(row["class_dir"], row["clip_id"]) is not None
        for row in rows
        if row["split"] == TRAIN
    )
