"""List files of what is on disk, and the table of what is not, with the reason of each clip.

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
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError, UserError
from clipquarry.files import writing
from clipquarry.layout import placing
from clipquarry.manifest import ManifestWriter, Row, read_rows, schema_of
from clipquarry.reasons import Reason, Status
from clipquarry.release.folders import SplitFolder, count_frames
from clipquarry.settings import DataRoot

TRAIN, VAL = "train", "val"
_COLUMNS = ("item_id", "split", "label", "class_dir", "clip_id", "label_index", "status", "reason", "evidence")

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
    """One list: ``rows == lines + missing``; ``rejected`` of the missing are csv rows that cannot be used."""

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
    """What became of a file in the list's place that was not ours."""

    @property
    def missing(self) -> int:
        return self.rows - self.lines

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path), "missing": self.missing}


@dataclass(frozen=True)
class ListOptions:
    """What the reference tool knows as options, and ``min_frames``: raw frames with fewer images are left out."""

    json: bool = False
    shuffle_seed: int | None = None
    min_frames: int = 1


class _Recorded:
    """Why an item is not there, from a table with ``item_id, status, reason, evidence``.

    Equal texts are kept once, and of the items that were recorded as present only a hash: those are most.
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


def missing_name(format_: str) -> str:
    """The name of the missing table of a list format, in a run's folder; without ``.parquet`` or ``.csv``."""
    return f"missing_{format_}"


class _Missing:
    """The missing table as parquet, and as csv for people."""

    def __init__(self, folder: Path, format_: ListFormat, stack: ExitStack) -> None:
        target = folder / f"{missing_name(format_)}.parquet"
        self._table = stack.enter_context(ManifestWriter(target, schema_of(MISSING_FIELDS, "missing")))
        self._names = [column.name for column in MISSING_FIELDS]
        self._csv = csv.writer(stack.enter_context(writing(target.with_suffix(".csv"))), lineterminator="\n")
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
        self, rows: Iterable[Row], recorded: _Recorded, missing: _Missing, summary: ListSummary
    ) -> Iterator[ListEntry]:
        for row in rows:
            summary.rows += 1
            if row["status"] == Status.REJECTED:
                summary.rejected += 1
                missing.add(row, (row["reason"], row["evidence"]), summary)
                continue
            path = self._folder.find(row["class_dir"], row["clip_id"])
            if path is None:
                missing.add(row, recorded.why(row["item_id"]), summary)
                continue
            index = row["label_index"]
            labels = () if index is None or index < 0 else (index,)
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
            return str(Reason.NO_FRAMES), f"the folder has no {self._spec.item.rgb_prefix}* images"
        if count.flow_x != count.flow_y:
            return str(Reason.CORRUPT), f"{count.flow_x} images of flow x, {count.flow_y} of flow y"
        if count.rgb < self._options.min_frames:
            return str(Reason.TOO_SHORT), f"{count.rgb} frames, fewer than {self._options.min_frames}"
        return ListEntry(path, labels, count.rgb)


def _by_split(catalog: Path, wanted: Iterable[str]) -> Iterator[tuple[str, Iterator[Row]]]:
    """Catalog rows by split, then the wanted splits that the catalog does not have."""
    open_ = dict.fromkeys(wanted)
    done: set[str] = set()
    for split, rows in groupby(read_rows(catalog, _COLUMNS), lambda row: str(row["split"])):
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
    """Write the lists of videos, and of raw frames where a split has that folder, to where the reference has them.

    ``{data}/{root}/{name}_{split}_list_{videos,rawframes}.txt`` (``.json`` on wish), in csv order, of what the catalog
    names and the disk has. ``missing_videos.{parquet,csv}`` and ``missing_rawframes.…`` go to ``missing_dir``; the
    reason of a clip is looked up in ``recorded``. A list that we did not write is set aside. ``splits``: only these, an empty list for one without rows. The
    catalog is streamed once per format; a class folder is listed once.
    """
    options = options or ListOptions()
    if spec.item.level == 3:
        raise UserError(f"{spec.name}: list files of level 3 are not made from a catalog.")
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
    return any(data.dataset(spec.root, spec.folder("rawframes", part)).is_dir() for part in spec.parts)


def _train_clips_in(folder: SplitFolder, catalog: Path) -> int:
    """How many train rows the reference would find in the folder of val: its shuffle depends on that."""
    rows = read_rows(catalog, ("split", "class_dir", "clip_id", "status"))
    return sum(
        row["status"] != Status.REJECTED and folder.find(row["class_dir"], row["clip_id"]) is not None
        for row in rows
        if row["split"] == TRAIN
    )
