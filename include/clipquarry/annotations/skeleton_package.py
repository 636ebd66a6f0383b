"""Samples of a package of skeletons: ``{"split": {name: [frame_dir, …]}, "annotations": [{…}, …]}``, as mmaction2's ``PoseDataset`` reads it.

Fields of a sample: ``frame_dir`` (its name), ``label`` (0-based), ``total_frames``; ``keypoint`` [M, T, V, C] of M persons, T frames, V points,
C coordinates; of 2D points also ``keypoint_score`` [M, T, V], ``img_shape`` and ``original_shape`` (height, width). The package of
Kinetics-400 is a table of contents: instead of key points it has ``frame_inds`` [K] and ``box_score`` [K] of K boxes, and ``valid``; the
points are in a file of each sample, ``keypoint`` [K, V, 3] (x, y, score).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.finegym_boxes import boxes_by_frame
from clipquarry.annotations.pickle_stream import PickleStream, shape_of
from clipquarry.annotations.safe_pickle import Array, load
from clipquarry.errors import UserError

WHAT = "package of skeletons"
Content = Literal["samples", "contents", "boxes"]
"""``contents``: a table of contents, whose points are in files of their own; ``boxes``: people's boxes by the name of a sample."""

MAX_NAME = 300


@dataclass(frozen=True)
class Form:
    """What the samples of a package must look like."""

    content: Content
    points: int
    coordinates: int
    classes: int | None


class Counts(NamedTuple):
    """Key points of a sample: all, those that are no finite number, those (2D) outside of the picture."""

    points: int = 0
    odd: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Seen:
    """A sample as it was read. ``problem``: what is wrong with its form, one sentence part; empty: nothing.

    ``label`` and ``frames`` are -1 where they are no whole number. ``persons``: M; of a table of contents the most boxes of a frame.
    """

    name: str
    label: int
    frames: int
    persons: int
    kind: str
    """Type of the numbers: ``float16``."""
    counts: Counts
    problem: str
    boxes: int = -1
    """Boxes of a sample of a table of contents, which its file of key points has too; else -1."""


@dataclass
class Lists:
    """The lists of a package's splits; ``names`` by split, in the file's order."""

    names: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""


def read_samples(stream: PickleStream, form: Form) -> Iterator[tuple[Seen, Any]]:
    """The samples of a package, in order, each with what the stream gave. ``stream.value`` is set behind the last one."""
    for item in stream.items("annotations"):
        yield look(item, stream, form), item


def lists_of(value: Any) -> Lists:
    """The splits of a package that was read to its end; of a plain list none."""
    if isinstance(value, list):
        return Lists()
    if not isinstance(value, Mapping) or not isinstance(value.get("annotations"), list):
        return Lists(problem="it has no list 'annotations'")
    splits = value.get("split")
    if not isinstance(splits, Mapping):
        return Lists(problem="it has no dict 'split'")
    found = Lists()
    for name, members in splits.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            return Lists(problem="a split has no name")
        if not isinstance(members, list | tuple):
            return Lists(problem=f"the split {name[:60]!r} is no list of names")
        if not all(isinstance(one, str) for one in members):
            return Lists(problem=f"the split {name[:60]!r} holds what is no name")
        found.names[name] = list(members)
    return found


def look(item: Any, stream: PickleStream, form: Form) -> Seen:
    """Look at one sample."""
    if not isinstance(item, Mapping):
        return Seen("", -1, -1, 0, "", Counts(), "it is no dict of fields")
    name = item.get("frame_dir", item.get("filename"))
    label, frames = _whole(item.get("label")), _whole(item.get("total_frames"))
    problems = [
        "" if isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable() else "frame_dir is no name",
        "" if label >= 0 or _is_whole(item.get("label")) else "label is no whole number",
        "" if frames > 0 else "total_frames is no positive whole number",
    ]
    shown = name if isinstance(name, str) and name.isprintable() else ""
    if form.content == "contents":
        persons, kind, counts, problem = _contents(item, stream, frames)
    else:
        persons, kind, counts, problem = _points(item, stream, form, frames)
    wrong = "; ".join(filter(None, (*problems, problem)))
    boxes = _boxes_of(item) if form.content == "contents" else -1
    return Seen(shown[:MAX_NAME], label, frames, persons, kind, counts, wrong, boxes)


def _whole(value: object) -> int:
    """The whole number; -1 for anything else."""
    return value if isinstance(value, int) and _is_whole(value) else -1


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31


def _points(item: Mapping[str, Any], stream: PickleStream, form: Form, frames: int) -> tuple[int, str, Counts, str]:
    shape = shape_of(item.get("keypoint"))
    if shape is None:
        return 0, "", Counts(), "keypoint is no array"
    if len(shape) != 4:
        return 0, "", Counts(), f"keypoint has {len(shape)} dimensions, not 4"
    people, times, points, coordinates = shape
    wrong = []
    if times != frames:
        wrong.append(f"keypoint has {times} frames, total_frames says {frames}")
    if (points, coordinates) != (form.points, form.coordinates):
        wrong.append(f"keypoint has {points} points of {coordinates} numbers, not {form.points} of {form.coordinates}")
    try:
        keypoint = stream.array(item["keypoint"])
    except ValueError as error:
        return people, "", Counts(), "; ".join((*wrong, f"keypoint is {error}"))
    if keypoint.dtype.kind != "f":
        wrong.append(f"keypoint holds numbers of type {keypoint.dtype}")
    counts = Counts(points=people * times * points, odd=int(_odd(keypoint)))
    if form.coordinates == 2:
        wrong += _scores(item, stream, shape)
        size, problem = _size(item)
        wrong += [problem] if problem else []
        if size is not None and coordinates == 2:
            counts = counts._replace(outside=_outside(keypoint, size))
    return people, str(keypoint.dtype), counts, "; ".join(wrong)


def _odd(keypoint: npt.NDArray[Any]) -> int:
    """Points with a coordinate that is no finite number."""
    if keypoint.dtype.kind != "f":
        return 0
    return int(np.count_nonzero(~np.isfinite(keypoint).all(axis=-1)))


def _outside(keypoint: npt.NDArray[Any], size: tuple[int, int]) -> int:
    """Points outside of a picture of (height, width); its edges are inside."""
    x, y = keypoint[..., 0], keypoint[..., 1]
    with np.errstate(invalid="ignore"):
        inside = (x >= 0) & (y >= 0) & (x <= size[1]) & (y <= size[0])
    return int(inside.size - np.count_nonzero(inside))


def _scores(item: Mapping[str, Any], stream: PickleStream, shape: tuple[int, ...]) -> Iterator[str]:
    found = shape_of(item.get("keypoint_score"))
    if found is None:
        yield "keypoint_score is no array"
    elif found != shape[:3]:
        yield f"keypoint_score has the shape {_told(found)}, not {_told(shape[:3])}"
    else:
        try:
            scores = stream.array(item["keypoint_score"])
        except ValueError as error:
            yield f"keypoint_score is {error}"
            return
        if scores.dtype.kind == "f" and not np.isfinite(scores).all():
            yield "keypoint_score holds what is no finite number"


def _told(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[:8])) or "()"


def _size(item: Mapping[str, Any]) -> tuple[tuple[int, int] | None, str]:
    """Height and width of the picture, and what is wrong with the two fields."""
    for key in ("img_shape", "original_shape"):
        value = item.get(key)
        good = isinstance(value, list | tuple) and len(value) == 2 and all(_is_whole(n) and n > 0 for n in value)
        if not good:
            return None, f"{key} is no height and width"
    height, width = item["img_shape"]
    return (height, width), ""


VALID = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Scores of boxes for which a table of contents says how many frames have one."""


def _contents(item: Mapping[str, Any], stream: PickleStream, frames: int) -> tuple[int, str, Counts, str]:
    wrong, persons = [], 0
    arrays: dict[str, npt.NDArray[Any]] = {}
    for key in ("frame_inds", "box_score"):
        try:
            arrays[key] = stream.array(item.get(key))
        except ValueError as error:
            wrong.append(f"{key} is {error}")
    numbers, scores = arrays.get("frame_inds"), arrays.get("box_score")
    if numbers is not None and (numbers.ndim != 1 or numbers.dtype.kind not in "iu"):
        wrong.append("frame_inds is no row of whole numbers")
        numbers = None
    if numbers is not None:
        if numbers.size and (np.diff(numbers.astype(np.int64)) < 0).any():
            wrong.append("frame_inds goes back")
        if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) < max(frames, 1):
            wrong.append(f"frame_inds names frames outside of 0 to {frames - 1}")
        persons = int(np.unique(numbers, return_counts=True)[1].max()) if numbers.size else 0
        if scores is not None and scores.shape != numbers.shape:
            wrong.append(f"box_score has {scores.size} scores for {numbers.size} boxes")
    if scores is not None and scores.dtype.kind == "f" and not np.isfinite(scores).all():
        wrong.append("box_score holds what is no finite number")
    valid = item.get("valid")
    if not isinstance(valid, Mapping) or not all(_is_whole(valid.get(one)) for one in VALID):
        wrong.append("valid has no number of frames for each score of 0.5 to 0.9")
    _, problem = _size(item)
    wrong += [problem] if problem else []
    kind = "" if scores is None else str(scores.dtype)
    return persons, kind, Counts(), "; ".join(wrong)


def _boxes_of(item: Mapping[str, Any]) -> int:
    shape = shape_of(item.get("frame_inds"))
    return shape[0] if shape is not None and len(shape) == 1 else -1


def points_problem(path: Path, boxes: int, points: int) -> str:
    """What is wrong with the file of one sample's points, which readers merge into the sample; empty: nothing."""
    try:
        value = load(path, "file of key points")
        if not isinstance(value, Mapping) or not isinstance(value.get("keypoint"), Array):
            return "it is no dict with an array 'keypoint'"
        array = value["keypoint"].numpy()
    except UserError as error:
        return str(error)
    except ValueError as error:
        return f"keypoint is {error}"
    if array.shape != (boxes, points, 3):
        return f"keypoint has the shape {_told(array.shape)}, not {_told((boxes, points, 3))}"
    return "" if np.isfinite(array).all() else "keypoint holds what is no finite number"


def read_boxes(stream: PickleStream) -> Iterator[tuple[str, int, str]]:
    """Name, number of frames, and what is wrong, of each entry of a file of boxes: see :mod:`clipquarry.annotations.finegym_boxes`."""
    value = stream.whole()
    if not isinstance(value, Mapping):
        raise UserError(f"{stream.path} is no file of boxes: it holds no dict.")
    for name, entry in value.items():
        good = isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()
        frames, problem = 0, "" if good else "its name is none"
        try:
            frames = len(boxes_by_frame(entry, stream.array))
        except (ValueError, TypeError, OverflowError) as error:
            problem = visible(str(error), 200)
        yield name if good else "", frames, problem
