"""List files of the clips on disk, and the table of the clips that are not, each with its reason.

For every split: ``rows of the csv = lines + missing``. Rejected csv rows count as missing, with their own reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.annotations.file_list import ListEntry, ListFormat, read_list, reference_shuffle, write_list
from clipquarry.annotations.label_groups import LabelGroups
from clipquarry.annotations.label_table import with_indices
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import number_of, reference_order
from clipquarry.errors import ManifestError
from clipquarry.files import writing
from clipquarry.layout import placing
from clipquarry.manifest import ManifestWriter, column_names, read_rows, read_tuples, schema_of
from clipquarry.reasons import Reason, Status
from clipquarry.release.flow_lists import FlowList, why_no_flow
from clipquarry.release.folders import SplitFolder
from clipquarry.release.group_lists import GroupLists, GroupSummary
from clipquarry.run_folder import RunFolder, labels_beside
from clipquarry.settings import DataRoot

Row = tuple[Any, ...]
"""The values of ``_COLUMNS``."""
Labelled = tuple[Row, Sequence[int]]
"""A row of the catalog, and the numbers of its labels."""
_NO_FEATURES = str(Reason.NO_AUDIO), "the clip is there, but no features of its sound"
_UNCOUNTED = str(Reason.NO_FRAMES), "the number of the video's frames was not recorded"
_REJECTED = str(Status.REJECTED)
_COLUMNS = ("item_id", "split", "label", "clip_id", "class_dir", "status", "reason", "evidence")
"""The first four are also those of the missing tables."""

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
    """Clips in the class folders that the csv does not name (level 2); of a folder that splits share, that none does."""

    moved: str = ""
    """Where a file of somebody else that was in the list's place was moved."""
    groups: list[GroupSummary] = field(default_factory=list)
    """The lists of its groups of labels."""

    @property
    def missing(self) -> int:
        return self.rows - self.lines

    def as_json(self) -> dict[str, Any]:
        groups = [{**asdict(one), "path": str(one.path)} for one in self.groups]
        return {**asdict(self), "path": str(self.path), "missing": self.missing, "groups": groups}


@dataclass(frozen=True)
class ListOptions:
    """Options of the reference tools, and ``min_frames``: raw frames with fewer frames are left out.

    ``thirds``: the number of frames of a folder is a third of its images, rounded down, as FineGYM's tool counts: one less than the
    frames where flow lies beside them.
    """

    json: bool = False
    shuffle_seed: int | None = None
    min_frames: int = 1
    thirds: bool = False
    groups: LabelGroups | None = None
    """Of a data set whose labels are in groups; its lists are JSON."""


class _Recorded:
    """Why an item is missing, from a table with ``item_id, status, reason, evidence``.

    Equal texts are kept once, and present items, which are most, are kept as a hash only.
    """

    def __init__(self, path: Path | None, *, count: bool = False) -> None:
        """``count``: also keep the ``frames`` of present items, by the hash of their id."""
        self._why: dict[str, tuple[str, str]] = {}
        self._present: set[int] = set()
        self.frames: dict[int, int] = {}
        if count and path and "frames" in column_names(path):
            rows = read_rows(path, ("item_id", "frames"))
            self.frames = {hash(row["item_id"]): row["frames"] for row in rows if row["frames"]}
        texts: dict[tuple[str, str], tuple[str, str]] = {}
        for row in read_rows(path, ("item_id", "status", "reason", "evidence")) if path else ():
            if Status(row["status"]).is_present:
                self._present.add(hash(row["item_id"]))
            else:
                why = row["reason"], row["evidence"]
                self._why[row["item_id"]] = texts.setdefault(why, why)

    def is_present(self, item_id: str) -> bool:
        return hash(item_id) in self._present

    def why(self, item_id: str) -> tuple[str, str]:
        if (why := self._why.get(item_id)) is not None:
            return why
        if self.is_present(item_id):
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

    def without_flow(self, row: Row, entry: ListEntry) -> None:
        """Called for every line of a list."""

    def add(self, row: Row, why: tuple[str, str], summary: ListSummary) -> None:
        reason, evidence = why
        summary.reasons[reason] = summary.reasons.get(reason, 0) + 1
        values = (*row[:4], reason, evidence)
        self._table.write(dict(zip(self._names, values, strict=True)))
        self._csv.writerow(values)


class _MissingFrames(_Missing):
    """The missing table of the lists of frames, and that of the lists of flow, whose lines are some of theirs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, "rawframes", stack)
        self._flow = _Missing(folder, "rawframes_flow", stack)
        self.summary: ListSummary | None = None
        """Of the list of flow that is written now."""

    def add(self, row: Row, why: tuple[str, str], summary: ListSummary) -> None:
        super().add(row, why, summary)
        if self.summary is not None:
            self._flow.add(row, why, self.summary)

    def without_flow(self, row: Row, entry: ListEntry) -> None:
        if self.summary is not None and not entry.pairs:
            self._flow.add(row, why_no_flow(entry.frames), self.summary)


class _ListBuilder:
    """Builds one list of one split from catalog rows."""

    def __init__(self, spec: DatasetSpec, folder: SplitFolder, format_: ListFormat, options: ListOptions) -> None:
        self._spec, self._folder, self._format, self._options = spec, folder, format_, options

    def entries(
        self, rows: Iterable[Labelled], recorded: _Recorded, missing: _Missing, summary: ListSummary
    ) -> Iterator[ListEntry]:
        find, is_video, is_sound = self._folder.find, self._format == "videos", self._format == "audio_features"
        entry: ListEntry | tuple[str, str]
        for row, found in rows:
            item_id, _, _, clip, class_dir, status, reason, evidence = row
            summary.rows += 1
            if status == _REJECTED:
                summary.rejected += 1
                missing.add(row, (reason, evidence), summary)
                continue
            path = find(class_dir, clip)
            if path is None:
                silent = is_sound and recorded.is_present(item_id)
                missing.add(row, _NO_FEATURES if silent else recorded.why(item_id), summary)
                continue
            if " " in path or not path.isprintable():  # no other white space prints
                why = f"{path!r} cannot stand in a list: its name holds white space or what does not print"
                missing.add(row, (str(Reason.BAD_ID), why), summary)
                continue
            labels = tuple(found)
            if is_video:
                entry = ListEntry(path, labels)
            elif is_sound:
                frames = recorded.frames.get(hash(item_id), 0)
                entry = ListEntry(path, labels, frames) if frames else _UNCOUNTED
            else:
                entry = self._frames(path, labels)
            if isinstance(entry, ListEntry):
                summary.lines += 1
                if not is_video:
                    missing.without_flow(row, entry)
                yield entry
            else:
                missing.add(row, entry, summary)

    def _frames(self, path: str, labels: tuple[int, ...]) -> ListEntry | tuple[str, str]:
        count = self._folder.frames(path, self._spec.item)
        if count.rgb == 0:
            return str(Reason.NO_FRAMES), f"the folder has no {self._spec.item.rgb_prefix}* frames"
        if count.flow_x != count.flow_y:
            return str(Reason.CORRUPT), f"{count.flow_x} frames of flow x, {count.flow_y} of flow y"
        if count.rgb < self._options.min_frames:
            return str(Reason.TOO_SHORT), f"{count.rgb} frames, fewer than {self._options.min_frames}"
        frames = sum(count) // 3 if self._options.thirds else count.rgb
        return ListEntry(path, labels, frames, pairs=count.flow_x)


def _by_split(catalog: Path, wanted: Iterable[str]) -> Iterator[tuple[str, Iterator[Labelled]]]:
    """Catalog rows with their labels by split, then the chosen splits that the catalog lacks."""
    open_ = dict.fromkeys(wanted)
    done: set[str] = set()
    labelled = with_indices(read_tuples(catalog, _COLUMNS), labels_beside(catalog))
    at = _COLUMNS.index("split")
    for split, rows in groupby(labelled, lambda one: one[0][at]):
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
    """Write the lists of videos and, if a split has those folders, of raw frames and of audio features, to their paths
    in the reference's layout.

    ``{data}/{root}/{name}_{split}_list_{videos,rawframes,audio_features}.txt`` (or ``.json``), in csv order, contain the clips that
    the catalog names and the disk has, with the labels of the table beside it. ``missing_videos.{parquet,csv}`` and
    ``missing_rawframes.…`` go to ``missing_dir``; where there is optical flow, ``…_list_rawframes_flow.txt`` and
    ``missing_rawframes_flow.…`` with the flow's own counts stand beside them; the reason of a missing clip comes from ``recorded``. A list that
    we did not write is set aside. ``splits``: only these, with an empty list for one without rows; there is none of ``parents``. The catalog is
    streamed once per format; a class folder is listed once.
    """
    options = options or ListOptions()
    chosen = list(splits)
    if chosen and not spec.samples_of(chosen):
        return []
    wanted = spec.samples_of(chosen)
    states = _Recorded(recorded)
    summaries: list[ListSummary] = []
    formats: tuple[ListFormat, ...] = ("videos", "rawframes", "audio_features")
    for format_ in formats:
        if format_ not in spec.lists or format_ not in spec.layout:
            continue
        are_items = format_ == "videos" and not spec.has_folders
        if not are_items and not _has_folder(spec, data, format_):
            continue
        if format_ == "audio_features":
            states = _Recorded(recorded, count=True)
        with ExitStack() as stack:
            flow = _MissingFrames(missing_dir, stack) if format_ == "rawframes" else None
            missing = flow or _Missing(missing_dir, format_, stack)
            folders: dict[str, SplitFolder] = {}
            begun = len(summaries)
            for split, rows in _by_split(catalog, wanted):
                if split in spec.parents:
                    continue
                place = spec.folder(format_, split)
                folder = folders[place] = folders.get(place) or _folder(spec, data, format_, split)
                if not are_items and not folder.root.is_dir():
                    continue
                target = _target(spec, data, format_, split, options)
                summary = ListSummary(split, format_, target)
                beside: FlowList | None = None
                if flow is not None:
                    path = _target(spec, data, "rawframes_flow", split, options)
                    flow.summary = ListSummary(split, "rawframes_flow", path)
                    beside = FlowList(data, path, final_newline=spec.final_newline)
                entries = _ListBuilder(spec, folder, format_, options).entries(rows, states, missing, summary)
                groups = GroupLists(spec, data, format_, split, options.groups) if options.groups else None
                with groups or nullcontext(), beside or nullcontext(), placing(data, target) as new:
                    if options.shuffle_seed is not None:
                        before = _found_before(spec, data, format_, split, catalog)
                        whole = list(entries)
                        reference_shuffle(whole, options.shuffle_seed, before=before)
                        entries = iter(whole)
                    entries = groups.noting(entries) if groups else entries
                    some = beside.noting(entries) if beside else entries
                    write_list(new.path, some, final_newline=spec.final_newline)
                summary.moved = new.told
                summary.groups = groups.summaries if groups else []
                summaries.append(summary)
                if flow is not None and (of_flow := flow.summary) and beside and beside.is_written:
                    of_flow.lines, of_flow.moved = beside.lines, beside.moved
                    of_flow.rows, of_flow.rejected = summary.rows, summary.rejected
                    summaries.append(of_flow)
            for summary in summaries[begun:]:
                summary.not_in_csv = folders[spec.folder(format_, summary.split)].unasked
        if flow is not None and not any(one.format == "rawframes_flow" for one in summaries):
            of_run = RunFolder(missing_dir)
            for path in (of_run.missing("rawframes_flow"), of_run.missing_csv("rawframes_flow")):
                path.unlink(missing_ok=True)
    return summaries


def also_as_json(data: DataRoot, summary: ListSummary) -> Path:
    """The same list as JSON, in the same order, beside the text file; one that we did not write is set aside."""
    target = summary.path.with_suffix(".json")
    entries = read_list(summary.path, summary.format, multi_label=True)
    with placing(data, target) as new:
        write_list(new.path, entries)
    return target


def _target(spec: DatasetSpec, data: DataRoot, format_: ListFormat, split: str, options: ListOptions) -> Path:
    name = spec.list_name(format_, split)
    return data.dataset(spec.root, str(Path(name).with_suffix(".json")) if options.json else name)


def _folder(spec: DatasetSpec, data: DataRoot, format_: ListFormat, split: str) -> SplitFolder:
    root = data.dataset(spec.root, spec.folder(format_, split))
    is_shared = len(spec.splits) > 1 and "{split}" not in spec.layout[format_]
    suffixes = ["npy"] if format_ == "audio_features" else spec.item.ext
    return SplitFolder(root, spec.item.level, folders=format_ == "rawframes", prefer=suffixes, is_shared=is_shared)


def _has_folder(spec: DatasetSpec, data: DataRoot, format_: ListFormat) -> bool:
    return any(data.dataset(spec.root, spec.folder(format_, split)).is_dir() for split in spec.splits)


def _found_before(spec: DatasetSpec, data: DataRoot, format_: ListFormat, split: str, catalog: Path) -> list[int]:
    """Rows of each list before this one that the reference would find in its folder: its shuffle depends on that."""
    order = [one for number in sorted({*map(number_of, spec.splits)}) for one in reference_order(spec.splits, number)]
    if split not in order or (earlier := order[: order.index(split)]) == []:
        return []
    folders = {one: _folder(spec, data, format_, split) for one in earlier}
    counts = dict.fromkeys(earlier, 0)
    for row in read_rows(catalog, ("split", "class_dir", "clip_id", "status")):
        if (folder := folders.get(row["split"])) is not None and row["status"] != _REJECTED:
            counts[row["split"]] += folder.find(row["class_dir"], row["clip_id"]) is not None
    return list(counts.values())
