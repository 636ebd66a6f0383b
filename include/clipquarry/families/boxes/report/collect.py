"""Collection of the section "Boxes" from the tables in a run's folder.

Each table stands alone: an absent or damaged one is named, and the rest is shown. Splits are read one after the
other, so that memory holds one split's rows: 1.5 million rows and 3 million proposals take a few seconds and less
than a gigabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.ava_time import frame_of
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.options import READERS, boxes_options, is_cut
from clipquarry.families.boxes.report import recall
from clipquarry.families.boxes.report.data import (
    Action,
    Boxes,
    Covered,
    Found,
    KeyFrame,
    Merged,
    Prepared,
    ProposalFile,
    SplitBoxes,
    Times,
)
from clipquarry.families.boxes.report.frame_counts import frame_folders, read_frame_counts
from clipquarry.families.boxes.report.key_frames import (
    Choice,
    Layout,
    choose,
    in_turns,
    with_persons,
    with_proposals,
)
from clipquarry.families.boxes.report.tables import (
    Ids,
    Rows,
    as_flat_clips,
    count_table,
    distinct_boxes,
    read_box_rows,
    read_key_frame_rows,
    read_proposal_rows,
)
from clipquarry.families.boxes.run_files import FOLDERS, BoxFiles
from clipquarry.files import read_json
from clipquarry.report.aggregate import split_order
from clipquarry.report.data import Histogram
from clipquarry.report.text import clean

MAX_PER_KEY_FRAME = 20
"""Persons in the last bar of the histogram, which includes larger numbers."""
BARS = 40
_EXAMPLES = 10
_SCORE_BINS = 50

_Kind = TypeVar("_Kind")


@dataclass
class _Sums:
    """Sums that grow from split to split."""

    ids: Ids = field(default_factory=Ids)
    persons: list[npt.NDArray[np.int64]] = field(default_factory=list)  # of each key frame
    videos: list[npt.NDArray[np.int64]] = field(default_factory=list)  # the video of each key frame
    fractions: list[npt.NDArray[np.float64]] = field(default_factory=list)  # of each key frame
    actions: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # rows by action, of each split
    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)
    recall: list[Found] = field(default_factory=list)
    sizes: list[tuple[Found, ...]] = field(default_factory=list)
    coverage: list[Covered] = field(default_factory=list)
    frames: dict[str, list[KeyFrame]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def collect_boxes(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> Boxes | None:
    """The section of the run in ``folder``; ``data`` is the data root. None for a run without tables of boxes."""
    found = sorted(BoxFiles(folder).annotated_splits(), key=split_order)
    # A run has tables of all splits whose files are there, so that the catalog forgets none; it prepares the chosen ones.
    chosen = params.get("splits") or spec.default_splits or found
    splits = [split for split in found if split in chosen] or found
    if not splits:
        return None
    sums = _Sums()
    names, evaluated = _actions(folder, sums)
    items = boxes_options(spec).items
    offset = frame_of(0, start=0, reader=READERS[items] if params.get("frame_offset") == "mmaction2" else "true")
    frames = f"{spec.root}/{spec.layout.get('rawframes', 'rawframes')}"
    layout = Layout(data, frames, frame_folders(folder), offset)
    counted = [row for split in splits if (row := _split(folder, split, sums)) is not None]
    labelled = {row.split for row in counted if row.persons}
    prepared, files = [], []
    for split in splits:
        if items != "videos":
            prepared.append(_prepared(folder, split, sums))
        absent = "the stage “proposals” has not run (yet)." if split in labelled and items != "key_frames" else ""
        # Names of cut clips are in the prepared rows alone.
        read = "windows" if is_cut(spec) else items
        files.append(_proposals(folder, split, sums, layout, names, absent, read))
    images, problems = read_frame_counts(folder)
    if images is None and not problems:
        problems = [
            f"{'excerpt' if items == 'videos' else 'frames'}/ holds no table: no frames have been made in this run."
        ]
    return Boxes(
        splits=tuple(counted),
        per_key_frame=per_key_frame(sums.persons),
        key_frames_per_video=_per_video(sums.videos),
        actions=_action_rows(names, evaluated, sums.actions),
        times=_times(sums.fractions),
        recall=_with_total(sums.recall),
        recall_by_size=recall.added(sums.sizes) if sums.sizes else (),
        coverage=tuple(sums.coverage),
        scores=_scores(sums.scores),
        proposals=tuple(file for file in files if file is not None),
        images=images,
        prepared=tuple(row for row in prepared if row is not None),
        merged=_merged(folder, sums) if items == "windows" else None,
        key_frames=in_turns(sums.frames),
        items=items,
        problems=tuple(clean(problem, 300) for problem in (*sums.problems, *problems)),
    )


def _try(read: Callable[[Path], _Kind], path: Path, sums: _Sums, absent: str) -> _Kind | None:
    """The result of ``read`` for ``path``. None, and a sentence, if it is absent (``absent``; empty: no sentence) or
    damaged.
    """
    name = f"{path.parent.name}/{path.name}" if path.parent.name in FOLDERS else path.name
    try:
        return read(path)
    except FileNotFoundError:
        if absent:
            sums.problems.append(f"{name} is not there: {absent}")
    except (ClipquarryError, OSError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        said = str(error) if isinstance(error, ClipquarryError) else f"({type(error).__name__})"
        sums.problems.append(f"{name} cannot be read: {said}")
    return None


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise TypeError
    return value


def _actions(folder: Path, sums: _Sums) -> tuple[dict[int, str], set[int]]:
    """Names of the actions by number, and the numbers that are evaluated."""

    def read(path: Path) -> tuple[dict[int, str], set[int]]:
        value = _mapping(path)
        return {int(n): str(name) for n, name in value["names"].items()}, {int(n) for n in value.get("evaluated", ())}

    found = _try(read, BoxFiles(folder).actions, sums, "actions go by their numbers.")
    return found if found is not None else ({}, set())


def _split(folder: Path, split: str, sums: _Sums) -> SplitBoxes | None:
    """Count one split's annotation."""
    place = BoxFiles(folder)
    rows = _try(read_box_rows, place.annotated(split, "boxes"), sums, "")
    if rows is None:
        return None
    without = _try(read_key_frame_rows, place.annotated(split, "key_frames"), sums, "")
    excluded = _try(read_key_frame_rows, place.annotated(split, "excluded"), sums, "")
    rejected = _try(count_table, place.annotated(split, "rejected"), sums, "")
    keys = sums.ids.keys(rows.names, rows.name, rows.second)
    empty = np.empty(0, dtype=np.int64)
    if without is not None:
        empty = sums.ids.keys(without.names, without.name, without.second)
    frames, persons = np.unique(distinct_boxes(keys, rows.boxes)[0], return_counts=True)
    bare = np.setdiff1d(empty, frames)
    together = np.sort(np.concatenate([frames, bare]))
    lost = np.concatenate([rows.fractions, without.fractions if without is not None else np.empty(0)])
    most = np.zeros(len(together))  # of the times that share a whole second, the one that loses most
    np.maximum.at(most, np.searchsorted(together, np.concatenate([keys, empty])), lost)
    sums.fractions.append(most)
    sums.videos.append(Ids.video(together))
    sums.persons += [persons, np.zeros(len(bare), dtype=np.int64)]
    sums.actions[split] = np.bincount(np.clip(rows.action, 0, 9999))
    return SplitBoxes(
        split=split,
        rows=len(rows),
        persons=int(persons.sum()),
        key_frames=len(frames),
        empty=len(bare),
        videos=len(np.unique(Ids.video(together))),
        excluded=None if excluded is None else len(excluded),
        rejected=rejected,
    )


def _prepared(folder: Path, split: str, sums: _Sums) -> Prepared | None:
    value = _try(_mapping, BoxFiles(folder).prepared_facts(split), sums, "how many rows have frames is not known.")
    if value is None:
        return None
    rows, dropped, no_clip = (
        value.get(name) if isinstance(value.get(name), int) else None for name in ("rows", "dropped", "no_clip")
    )
    return Prepared(split, rows, dropped, no_clip)


def _truth(
    folder: Path, split: str, sums: _Sums, items: str, videos: Collection[str]
) -> tuple[Rows | None, npt.NDArray[np.bool_]]:
    """The labelled boxes that a reader would see: those with a clip, or (the mask) those of ``videos`` (which have
    frames; if none has, all count) in key frames that are not excluded.
    """
    place = BoxFiles(folder)
    if items == "windows":
        said = "recall, coverage and drawn frames need the rows that have frames (stage “boxes”)."
        rows = _try(read_box_rows, place.prepared(split), sums, said)
        return rows, np.ones(0 if rows is None else len(rows), dtype=bool)
    try:
        rows = read_box_rows(place.annotated(split, "boxes"))
    except (ClipquarryError, OSError):
        return None, np.ones(0, dtype=bool)  # reported already
    if items == "key_frames":
        return as_flat_clips(rows), np.ones(len(rows), dtype=bool)
    here = np.array([not videos or name in videos for name in rows.names], dtype=bool)[rows.name]
    try:
        excluded = read_key_frame_rows(place.annotated(split, "excluded"))
    except (ClipquarryError, OSError):
        return rows, here
    keys = sums.ids.keys(excluded.names, excluded.name, excluded.second)
    return rows, here & ~np.isin(sums.ids.keys(rows.names, rows.name, rows.second), keys)


def _proposals(
    folder: Path, split: str, sums: _Sums, layout: Layout, names: Mapping[int, str], absent: str, items: str
) -> ProposalFile | None:
    """Compare one split's proposals with its labelled persons, and choose key frames to draw. ``absent``: what their
    absence means.
    """
    truth, used = _truth(folder, split, sums, items, layout.folders)
    choices: list[Choice] = choose(truth, layout) if truth is not None else []
    frames = [with_persons(split, choice, truth, names) for choice in choices] if truth is not None else []
    sums.frames[split] = frames
    place = BoxFiles(folder)
    rows = _try(read_proposal_rows, place.proposals(split), sums, absent)
    if rows is None:
        return None
    keys = sums.ids.keys(rows.videos, rows.video, rows.second)
    sums.frames[split] = [
        with_proposals(
            frame, rows, keys == sums.ids.keys([choice.name], np.zeros(1, np.int32), np.array([choice.second]))
        )
        for frame, choice in zip(frames, choices, strict=True)
    ]
    scored = rows.score >= 0
    sums.scores.append(rows.score[scored].astype(np.float32))
    if truth is not None and used.any():
        people = sums.ids.keys(truth.names, truth.name, truth.second)[used]
        _compare(
            split, people, truth.boxes[used], keys, rows.boxes, np.where(scored, rows.score, recall.NO_SCORE), sums
        )
    return _proposal_file(place, split, sums, len(np.unique(keys)), len(rows), int((~scored).sum()))


def _compare(
    split: str,
    keys: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.float64],
    proposal_keys: npt.NDArray[np.int64],
    proposals: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
    sums: _Sums,
) -> None:
    people, persons = distinct_boxes(keys, boxes)
    order = np.flatnonzero(
        np.isin(proposal_keys, people)
    )  # Kinetics has proposals for the seconds before and after, too
    order = order[np.argsort(proposal_keys[order], kind="stable")]
    proposal_keys, proposals, scores = proposal_keys[order], proposals[order], scores[order]
    best = recall.best_scores(people, persons, proposal_keys, proposals, scores)
    highest = recall.highest_scores(people, proposal_keys, scores)
    sums.recall.append(recall.counted(split, best, highest))
    sums.sizes.append(recall.by_size(persons, best, highest))
    sums.coverage.append(recall.covered(split, people, proposal_keys, scores))


def _proposal_file(place: BoxFiles, split: str, sums: _Sums, keys: int, boxes: int, unscored: int) -> ProposalFile:
    about = _try(_mapping, place.proposal_facts(split), sums, "where the proposals came from is not known.") or {}
    rejected = _try(_mapping, place.rejected_proposals(split), sums, "") or {}
    examples = tuple((str(key), str(reason)) for key, reason in sorted(rejected.items(), key=str)[:_EXAMPLES])
    where, source = str(about.get("path", "")), str(about.get("source", ""))
    return ProposalFile(split, where, source, keys, boxes, unscored, len(rejected), examples)


def _merged(folder: Path, sums: _Sums) -> Merged | None:
    value = _try(_mapping, BoxFiles(folder).merged, sums, "AVA and AVA-Kinetics have not been merged (yet).")
    if value is None:
        return None
    counts = {
        str(name): count for name, count in value.items() if isinstance(count, int) and not isinstance(count, bool)
    }
    return Merged(counts, str(value.get("csv", "")), str(value.get("proposals", "")))


def per_key_frame(persons: list[npt.NDArray[np.int64]]) -> Histogram | None:
    """Key frames by their number of persons; None without any."""
    values = np.concatenate(persons) if persons else np.empty(0, dtype=np.int64)
    if not len(values):
        return None
    edges = np.arange(-0.5 if (values == 0).any() else 0.5, min(int(values.max()), MAX_PER_KEY_FRAME) + 1)
    bars, _ = np.histogram(np.minimum(values, MAX_PER_KEY_FRAME), edges)
    return Histogram(tuple(edges.tolist()), tuple(bars.tolist()), float(np.median(values)))


def _per_video(videos: list[npt.NDArray[np.int64]]) -> Histogram | None:
    """Videos by their number of key frames, in bars of whole numbers."""
    counts = np.concatenate([np.unique(of, return_counts=True)[1] for of in videos]) if videos else np.empty(0)
    if not len(counts):
        return None
    step = -(-int(counts.max()) // BARS)
    edges = np.arange(0.5, counts.max() + step + 0.5, step)
    bars, _ = np.histogram(counts, edges)
    return Histogram(tuple(edges.tolist()), tuple(bars.tolist()), float(np.median(counts)))


def _times(fractions: list[npt.NDArray[np.float64]]) -> Times | None:
    if not fractions:
        return None
    values = np.concatenate(fractions)
    off = values[values > 0]
    drawn = None
    if len(off):
        counts, edges = np.histogram(off, np.linspace(0, 1 if off.max() >= 0.5 else 0.5, _SCORE_BINS + 1))
        drawn = Histogram(tuple(edges.tolist()), tuple(counts.tolist()), float(np.median(off)))
    return Times(len(values), len(off), float(off.max()) if len(off) else 0.0, drawn)


def _scores(scores: list[npt.NDArray[np.float32]]) -> Histogram | None:
    values = np.concatenate(scores) if scores else np.empty(0, dtype=np.float32)
    if not len(values):
        return None
    counts, edges = np.histogram(np.clip(values, 0, 1), np.linspace(0, 1, _SCORE_BINS + 1))
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()), float(np.median(values)))


def _with_total(rows: list[Found]) -> tuple[Found, ...]:
    """A row a split, and one of all of them when there are several."""
    if len(rows) < 2:
        return tuple(rows)
    return (*rows, *recall.added([(Found("all", row.persons, row.found),) for row in rows]))


def _action_rows(
    names: Mapping[int, str], evaluated: set[int], counts: Mapping[str, npt.NDArray[np.int64]]
) -> tuple[Action, ...]:
    used = {number for of in counts.values() for number in np.flatnonzero(of).tolist()}
    return tuple(
        Action(
            number,
            names.get(number, "(no name)"),
            number in evaluated,
            {split: int(of[number]) if number < len(of) else 0 for split, of in counts.items()},
        )
        for number in sorted({*names, *used})
    )
