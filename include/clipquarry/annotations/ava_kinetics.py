"""The Kinetics clips of AVA-Kinetics: the wanted windows of Kinetics clips, and the annotations within them.

All times are seconds of the original video, including those in the clips' names. Intended differences to the
reference's tools: of equal windows the longest clip's is kept, then the earliest, then the first path (the
reference: any). A key frame in several clips belongs to one by the same rule. Folders that are no clips are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.ava_time import FPS
from clipquarry.annotations.box_csv import BOXES, NOBODY, THREADS, key_frame_runs
from clipquarry.errors import UserError
from clipquarry.files import writing
from clipquarry.ids import FLOW_X, FLOW_Y, SECOND_FORM, YOUTUBE_FORM, ClipName, parse_clip_id

_CLIP = rf"^(?P<video>{YOUTUBE_FORM})_(?P<start>{SECOND_FORM})_(?P<stop>{SECOND_FORM})\z"
_FRACTIONS = pa.array([f",{number / 1000:.3f}" for number in range(1001)])
_ACTIONS = 1 << 16
"""Action ids are smaller: person and action make one number."""
AVA_ID_LENGTH = 11
"""AVA's videos are named by their YouTube id, Kinetics clips by a longer name."""
MARGIN = 2
"""Seconds kept before the first and after the last key frame."""


class Window(NamedTuple):
    """A window of a Kinetics clip, in whole seconds of the original video. It is cut from ``clip``."""

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

    A clip is wanted for the key seconds strictly inside it. Its window reaches :data:`MARGIN` seconds around them,
    within the clip. A window that lies in another one of the same video (or equals it) is dropped; partial overlaps
    stay.
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
        # Sorted by start, longest first: a window lies in an earlier one exactly if that one reaches as far.
        if window.end > reach:
            reach = window.end
            yield window


def _preference(clip: ClipName) -> tuple[int, int]:
    """Longest first, then the earliest."""
    return clip.start - clip.end, clip.start


def frame_folders(root: Path, names: Iterable[str] | None = None) -> dict[str, int]:
    """Number of frames by folder, of the folders below ``root`` that are clips, or of those called ``names``; links
    are skipped.

    Links are AVA's videos, and folders with other names are not clips.
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
                found[name] = sum(
                    entry.name.endswith(".jpg") and not entry.name.startswith((FLOW_X, FLOW_Y)) for entry in entries
                )
    return found


@dataclass(frozen=True)
class Prepared:
    """``rows`` (:data:`~clipquarry.annotations.box_csv.BOXES`; ``video_id`` is the clip) in the raw csv's order;
    ``left`` are in no clip.
    """

    rows: pa.Table
    left: pa.Table

    @property
    def dropped(self) -> int:
        return int(self.left.num_rows)


def _clip_times(names: pa.StringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and stop of clips, by their names."""
    good = pc.match_substring_regex(names, _CLIP)
    if not pc.all(good, min_count=0).as_py():
        raise ValueError(f"{names.filter(pc.invert(good))[0]} is no name of a clip")
    # Six digits and an underscore, or seven digits.
    start = pc.ascii_rtrim(pc.utf8_slice_codeunits(names, AVA_ID_LENGTH + 1, AVA_ID_LENGTH + 8), "_")
    stop = pc.ascii_ltrim(pc.utf8_slice_codeunits(names, -7), "_")
    return pc.cast(start, pa.int64()).to_numpy(), pc.cast(stop, pa.int64()).to_numpy()


def assign_clips(videos: pa.Array, times: pa.Array, clips: Mapping[str, int]) -> pa.Array:
    """The clip of each key frame (``times``: seconds of the original video, float64), null for none.

    ``clips``: number of frames by clip name, at 30 a second. A clip reaches from its start over its whole seconds of
    frames; the key frame must lie strictly between.
    """
    names = pa.array(clips.keys(), pa.string())
    start, stop = _clip_times(names)
    end = start + np.fromiter(clips.values(), np.int64, len(clips)) // FPS
    # Videos are numbered; each one's clips are adjacent, the preferred one first.
    frames = videos.dictionary_encode()
    video = pc.index_in(pc.utf8_slice_codeunits(names, 0, AVA_ID_LENGTH), value_set=frames.dictionary)
    number = video.fill_null(len(frames.dictionary)).to_numpy()
    order = np.lexsort((start, start - stop, number))
    begins = np.searchsorted(number[order], np.arange(len(frames.dictionary) + 1))
    own = frames.indices.to_numpy()
    place, last, moment = begins[own], begins[own + 1], times.to_numpy()
    chosen = np.full(len(own), -1)
    todo = np.flatnonzero(place < last)
    while len(todo):  # first with all videos' first clips, then with their second ones (few have any), and so on
        clip = order[place[todo]]
        inside = (start[clip] < moment[todo]) & (moment[todo] < end[clip])
        chosen[todo[inside]] = clip[inside]
        place[todo] += 1
        todo = todo[~inside & (place[todo] < last[todo])]
    return names.take(pa.array(chosen, mask=chosen < 0))


def prepare_rows(boxes: pa.Table, clips: Mapping[str, int]) -> Prepared:
    """Assign each box to the clip of its key frame (see :func:`assign_clips`)."""
    runs = key_frame_runs(boxes)
    frames = runs.heads(boxes)
    times = pc.cast(frames["time"].combine_chunks(), pa.float64())
    chosen = assign_clips(frames["video_id"].combine_chunks(), times, clips)
    inside = runs.spread(pc.is_valid(chosen))
    rows = boxes.drop_columns(["video_id", "person_id"]).filter(inside)
    names = chosen.take(pa.array(runs.of_rows).filter(inside))
    person = pa.repeat(pa.scalar(NOBODY, pa.int32()), rows.num_rows)
    rows = rows.append_column("video_id", names).append_column("person_id", person).select(BOXES.names)
    return Prepared(rows, boxes.filter(pc.invert(inside)))


def _thousandths(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Fractions rounded as Python's ``.3f`` does. Raises :class:`ValueError` for a number outside 0..1."""
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a coordinate is not a fraction")
    scaled = values * 1000
    rounded = np.rint(scaled).astype(np.int32)
    # Close to the middle between two, the product is not exact enough: the value itself decides.
    for index in np.flatnonzero(np.abs(scaled - rounded) > 0.499_999):
        rounded[index] = int(f"{values[index]:.3f}".replace(".", ""))
    return rounded


def _text(rows: pa.RecordBatch) -> pa.Buffer:
    """The lines of an AVA csv. Their fields have few distinct texts, which are formatted once."""
    runs = key_frame_runs(rows)
    frames = runs.heads(rows)
    frame = pc.binary_join_element_wise(frames["video_id"], pc.cast(frames["second"], pa.string()), ",")
    who = pc.add(pc.multiply(pc.cast(rows["person_id"], pa.int64()), _ACTIONS), rows["action_id"]).dictionary_encode()
    keys = who.dictionary.to_pylist()
    people = pa.array([f",{key % _ACTIONS},{key // _ACTIONS}\n" for key in keys], pa.string())
    parts = np.empty((rows.num_rows, 6), np.int32)
    parts[:, 0] = runs.of_rows
    for place, name in enumerate(("x1", "y1", "x2", "y2"), 1):
        parts[:, place] = _thousandths(rows[name].to_numpy()) + len(frame)
    parts[:, 5] = who.indices.to_numpy() + (len(frame) + len(_FRACTIONS))
    texts = pa.concat_arrays([frame, _FRACTIONS, people]).take(pa.array(parts.reshape(-1)))
    return texts.buffers()[2]  # one after the other


def row_lines(rows: pa.Table) -> Iterator[pa.Buffer]:
    """The lines of :func:`write_rows`, many at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(_text, rows.to_batches(max_chunksize=30_000))


def write_rows(rows: pa.Table, path: Path) -> None:
    """Write an AVA csv (``kinetics_train.csv``), whole or not at all: three decimals, whole seconds of the original
    video, a newline at the end.
    """
    with writing(path, "wb") as handle:
        for text in row_lines(rows):
            handle.write(text)


def write_times(rows: pa.Table, path: Path) -> None:
    """Write the side table with the exact decimal times that the csv of whole seconds loses: ``clip,second,time``."""
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
    """Write ``out``: the lines of ``kinetics`` (``kinetics_train.csv``), then those of ``ava``, both unchanged.

    Both were written from checked tables. Returns the numbers of lines.
    """
    counts = []
    with writing(out, "wb") as handle:
        for source in (kinetics, ava):
            count = 0
            try:
                lines = open(source, "rb")  # noqa: SIM115  closed below
            except OSError as error:
                raise UserError(f"{source} cannot be read: {error.strerror}.") from error
            with lines:
                for line in lines:
                    if not line.strip():
                        continue
                    handle.write(line.rstrip(b"\r\n") + b"\n")
                    count += 1
            counts.append(count)
    return counts[0], counts[1]
