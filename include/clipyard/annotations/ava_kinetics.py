"""The Kinetics part of AVA-Kinetics: which windows of Kinetics clips are wanted, and the annotations that fall into them.

Times are seconds of the original video throughout, also behind the clips' names. Differences to the reference's tools, all of them
meant: of equal windows the longest clip's is kept, then the earliest, then the first path (the reference: any); a key frame that
lies in several clips belongs to one by the same rule; folders that are no clips are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clipyard.annotations.box_csv import BOXES, NOBODY, key_frame_runs
from clipyard.errors import UserError
from clipyard.files import writing
from clipyard.ids import ClipName, parse_clip_id

_CLIP = r"^(?P<video>.{11})_(?P<start>[0-9]{6,7})_(?P<stop>[0-9]{6,7})\z"
FPS = 30
AVA_ID_LENGTH = 11
"""AVA's videos go by their YouTube id, Kinetics clips by a longer name."""
MARGIN = 2
"""Seconds kept before the first and behind the last key frame."""


class Window(NamedTuple):
    """A part of a Kinetics clip, in whole seconds of the original video; ``clip`` is where it is cut from."""

    video_id: str
    start: int
    end: int
    clip: ClipName
    path: str

    @property
    def name(self) -> str:
        """The cut clip's own name: its absolute seconds."""
        return str(ClipName(self.video_id, self.start, self.end))


def key_seconds(boxes: pa.Table) -> dict[str, list[int]]:
    """Whole seconds with at least one box, ascending, by video."""
    distinct = boxes.select(["video_id", "second"]).group_by(["video_id", "second"], use_threads=False).aggregate([])
    found: dict[str, list[int]] = {}
    for video, second in zip(distinct["video_id"].to_pylist(), distinct["second"].to_pylist(), strict=True):
        found.setdefault(video, []).append(second)
    return {video: sorted(seconds) for video, seconds in found.items()}


def select_windows(seconds: Mapping[str, list[int]], clips: Iterable[tuple[ClipName, str]]) -> list[Window]:
    """The windows to cut, by video, start and end. ``clips`` are those of Kinetics-700 with their paths.

    A clip is wanted for the key seconds strictly inside it. Its window reaches :data:`MARGIN` seconds around them, within the
    clip. Of a video's windows one that lies in another (or equals it) is dropped; partial overlaps stay.
    """
    by_video: dict[str, list[Window]] = {}
    for clip, path in clips:
        inside = [second for second in seconds.get(clip.video_id, ()) if clip.start < second < clip.end]
        if inside:
            start, end = max(clip.start, inside[0] - MARGIN), min(clip.end, inside[-1] + MARGIN)
            by_video.setdefault(clip.video_id, []).append(Window(clip.video_id, start, end, clip, path))
    return [window for video in sorted(by_video) for window in _outermost(by_video[video])]


def _outermost(windows: list[Window]) -> Iterator[Window]:
    best = sorted(windows, key=lambda w: (w.start, -w.end, *_preference(w.clip), w.path))
    reach = -1
    for window in best:
        # Sorted by start, longest first: a window lies in an earlier one exactly when that one reaches as far.
        if window.end > reach:
            reach = window.end
            yield window


def _preference(clip: ClipName) -> tuple[int, int]:
    """Longest first, then the earliest."""
    return clip.start - clip.end, clip.start


def frame_folders(root: Path, names: Iterable[str] | None = None) -> dict[str, int]:
    """Number of images by folder, of the folders below ``root`` that are clips, or of those called ``names``; links are passed over.

    Links are AVA's videos, and folders of other names are not clips.
    """
    found: dict[str, int] = {}
    for name in sorted(folder.name for folder in root.iterdir()) if names is None else names:
        folder = root / name
        if names is None:
            try:
                parse_clip_id(name)
            except ValueError:
                continue
        if folder.is_dir() and not folder.is_symlink():
            with os.scandir(folder) as entries:
                found[name] = sum(entry.name.endswith(".jpg") for entry in entries)
    return found


@dataclass(frozen=True)
class Prepared:
    """``rows`` (:data:`~clipyard.annotations.box_csv.BOXES`; ``video_id`` is the clip) in the raw csv's order; ``left`` lie in no clip."""

    rows: pa.Table
    left: pa.Table

    @property
    def dropped(self) -> int:
        return int(self.left.num_rows)


def _clip_table(clips: Mapping[str, int]) -> pa.Table:
    """``video, name, start, end`` (s) of all clips; ``rank`` is the place among the clips of the same video, the preferred one 0."""
    name = pa.array(list(clips), pa.string())
    good = pc.match_substring_regex(name, _CLIP)
    if len(name) and not pc.all(good).as_py():
        raise ValueError(f"{name.filter(pc.invert(good))[0]} is no name of a clip")
    video = pc.utf8_slice_codeunits(name, 0, AVA_ID_LENGTH)
    times = pc.split_pattern(pc.utf8_slice_codeunits(name, AVA_ID_LENGTH + 1), "_")
    start, stop = (pc.cast(pc.list_element(times, place), pa.int64()) for place in (0, 1))
    images = pa.array(list(clips.values()), pa.int64())
    table = pa.table({
        "video": video, "name": name, "start": pc.cast(start, pa.float64()),
        "end": pc.cast(pc.add(start, pc.divide(images, FPS)), pa.float64()), "length": pc.subtract(stop, start),
    })  # fmt: skip
    table = table.sort_by([("video", "ascending"), ("length", "descending"), ("start", "ascending")])
    # The place since the last row whose video differs from the one before.
    ordered = table["video"].to_numpy()
    place = np.arange(len(ordered))
    begins = np.ones(len(ordered), dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    return table.append_column("rank", pa.array(place - np.maximum.accumulate(np.where(begins, place, 0))))


def assign_clips(videos: pa.Array, times: pa.Array, clips: Mapping[str, int]) -> pa.Array:
    """For each key frame (``times``: seconds of the original video, float64) the clip it lies in, null for none.

    ``clips``: number of images by clip name, at 30 a second. A clip reaches from its start over its whole seconds of images; the
    key frame lies strictly between.
    """
    table = _clip_table(clips)
    chosen: pa.Array = pa.nulls(len(videos), pa.string())
    # One pass for all videos' first clips, one for their second clips (few have any), and so on.
    for rank in range((pc.max(table["rank"]).as_py() or 0) + 1 if len(table) else 0):
        of_rank = table.filter(pc.equal(table["rank"], rank)).combine_chunks()
        at = pc.index_in(videos, value_set=of_rank["video"].combine_chunks())
        start, end, name = (pc.take(of_rank[key].combine_chunks(), at) for key in ("start", "end", "name"))
        inside = pc.fill_null(pc.and_(pc.less(start, times), pc.less(times, end)), False)
        chosen = pc.if_else(pc.and_(inside, pc.is_null(chosen)), name, chosen)
    return chosen


def prepare_rows(boxes: pa.Table, clips: Mapping[str, int]) -> Prepared:
    """Give each box the clip that its key frame lies in (see :func:`assign_clips`)."""
    runs = key_frame_runs(boxes)
    frames = runs.heads(boxes).combine_chunks()
    times = pc.cast(frames["time"].combine_chunks(), pa.float64())
    chosen = runs.spread(assign_clips(frames["video_id"].combine_chunks(), times, clips))
    rows = boxes.set_column(0, "video_id", chosen).filter(pc.is_valid(chosen))
    person = pa.repeat(pa.scalar(NOBODY, pa.int32()), rows.num_rows)
    rows = rows.set_column(BOXES.get_field_index("person_id"), "person_id", person)
    return Prepared(rows, boxes.filter(pc.is_null(chosen)))


def _texts(values: pa.ChunkedArray, form: Callable[[Any], str]) -> pa.Array:
    """Numbers as text; there are few distinct ones to format (the published coordinates are thousandths)."""
    distinct = values.combine_chunks().dictionary_encode()
    texts = pa.array([form(value) for value in distinct.dictionary.to_pylist()], pa.string())
    return pc.take(texts, distinct.indices)


def _joined(rows: pa.Table, end: str) -> pa.Array:
    boxes = [_texts(rows[name], "{:.3f}".format) for name in ("x1", "y1", "x2", "y2")]
    runs = key_frame_runs(rows)
    frames = runs.heads(rows).combine_chunks()
    second = pc.cast(frames["second"].combine_chunks(), pa.string())
    frame = runs.spread(pc.binary_join_element_wise(frames["video_id"].combine_chunks(), second, ","))
    action, person = (_texts(rows[name], str) for name in ("action_id", "person_id"))
    return pc.binary_join_element_wise(frame, *boxes, action, pc.binary_join_element_wise(person, end, ""), ",")


def csv_lines(rows: pa.Table) -> pa.Array:
    """The lines of an AVA csv, without line ends: three decimals, whole seconds of the original video as they are."""
    return _joined(rows, "")


def write_rows(rows: pa.Table, path: Path) -> None:
    """Write an AVA csv (``kinetics_train.csv``), whole or not at all; it ends with a newline."""
    with writing(path, "wb") as handle:
        for begin in range(0, rows.num_rows, 100_000):
            lines = _joined(rows.slice(begin, 100_000), "\n")
            handle.write(lines.buffers()[2])  # the text of all lines, one behind the other


def write_times(rows: pa.Table, path: Path) -> None:
    """The side table with the exact decimal times that the csv of whole seconds loses: ``clip,second,time``."""
    table = (
        rows.select(["video_id", "second", "time"])
        .group_by(["video_id", "second", "time"], use_threads=False)
        .aggregate([])
    )
    with writing(path) as handle:
        handle.write("clip,second,time\n")
        for clip, second, time in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
            handle.write(f"{clip},{second},{time}\n")


def merge_csv(kinetics: Path, ava: Path, out: Path) -> tuple[int, int]:
    """Write ``out``: the lines of ``kinetics`` (``kinetics_train.csv``), then those of ``ava``; both stay as they are.

    Returns the numbers of lines. Raises :class:`UserError` when ``ava`` holds clips of Kinetics already: it was merged before.
    """
    counts = []
    with writing(out, "wb") as handle:
        for source, is_ava in ((kinetics, False), (ava, True)):
            count = 0
            try:
                lines = open(source, "rb")  # noqa: SIM115  closed below
            except OSError as error:
                raise UserError(f"{source} cannot be read: {error.strerror}.") from error
            with lines:
                for line in lines:
                    if not line.strip():
                        continue
                    if is_ava and len(line.partition(b",")[0]) != AVA_ID_LENGTH:
                        name = line.partition(b",")[0][:60].decode(errors="backslashreplace")
                        raise UserError(
                            f"{source} already holds '{name}' of Kinetics: merge into AVA's own, unmerged file."
                        )
                    handle.write(line.rstrip(b"\r\n") + b"\n")
                    count += 1
            counts.append(count)
    return counts[0], counts[1]
