"""Reader of the ground truth of action tubes: the pickle of act-detector and MOC (``JHMDB-GT.pkl``, ``UCF101v2-GT.pkl``).

It holds a dict with exactly :data:`KEYS`. A video is ``<class>/<name>``::

    labels        list of class names; an index of a class is 0-based
    gttubes       {video: {index of the class: [tube, …]}}
    nframes       {video: number of its frames}
    resolution    {video: (height, width)} in pixels of the stored frames
    train_videos  [[video, …], …]: one list for each division of the data set
    test_videos   the same

A tube is an array of floats of the shape (n, 5): number of the frame (1 is the first), x1, y1, x2, y2 in pixels. The files come
from python 2, so texts are latin-1. Nothing of a pickle is executed (:mod:`~clipquarry.annotations.safe_pickle`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.annotations import safe_pickle
from clipquarry.errors import UserError
from clipquarry.ids import folder_problem, id_problem, label_problem
from clipquarry.reasons import Reason

KEYS = ("labels", "gttubes", "nframes", "train_videos", "test_videos", "resolution")
WHAT = "ground truth of tubes"
MAX_BYTES = 1_000_000_000
"""The larger of the two published files has some 20 MB."""
MAX_FRAMES, MAX_EDGE = 10_000_000, 65_535
_SHOWN = 60
_REPR = Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 2, _SHOWN, _SHOWN
"""Of values that may be as large as the file."""

Problem = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class TubeVideo:
    """A video that any part of the file names. ``frames``, ``height`` and ``width`` are 0 where they are unknown."""

    key: str
    """As the file has it, shortened where it is no name."""
    class_dir: str
    name: str
    frames: int
    height: int
    width: int
    splits: tuple[str, ...]
    """``train`` and ``test``, as often as a list names it."""
    problem: Problem | None
    """Why no run can use it."""


@dataclass(frozen=True)
class Tubes:
    """The tubes in the order of the file, a value each; the boxes of all right ones one after the other.

    ``video``: 0-based position among the videos. ``label``: the index that the file gives, -1 for none. ``position``: 0-based among
    those of the video. ``problem``: why it is no tube, ``""`` for a right one. ``length``: rows of ``boxes`` ([N, 5], as in the file)
    that are its own, 0 for a wrong one.
    """

    video: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    problem: list[str]
    boxes: npt.NDArray[np.float64]

    def begins(self) -> npt.NDArray[np.int64]:
        """First row of each tube."""
        return np.cumsum(self.length) - self.length


@dataclass(frozen=True)
class TubeTruth:
    """The content of a file. ``divisions``: how often it divides the videos into train and test; the first one counts."""

    labels: tuple[str, ...]
    videos: tuple[TubeVideo, ...]
    tubes: Tubes
    divisions: int


def read_truth(path: Path) -> TubeTruth:
    """The content of the file. Raises UserError for one that is no such pickle; what is wrong with a video or a tube is noted there."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES} bytes: that is no {WHAT}.")
    except OSError as error:
        raise UserError(f"The {WHAT} {path} cannot be read: {error.strerror}.") from error
    value = safe_pickle.load(path, WHAT)
    if problem := _problem(value):
        raise UserError(f"{path} is no {WHAT}: {problem}. Unpack the published archive again.")
    labels = tuple(value["labels"])
    videos = tuple(_videos(value, labels))
    return TubeTruth(labels, videos, _tubes(value["gttubes"], videos), len(value["train_videos"]))


def _problem(value: object) -> str | None:
    """What is wrong with the whole, or None."""
    if not isinstance(value, dict):
        return f"it holds a {type(value).__name__}, not a dict"
    if lacking := [key for key in KEYS if key not in value]:
        return f"it lacks {' and '.join(lacking)}"
    if more := [key for key in value if key not in KEYS]:
        return f"it has the key {_shown(more[0])} besides its six"
    labels = value["labels"]
    if not isinstance(labels, list | tuple) or not labels:
        return "labels is no list of classes"
    for number, label in enumerate(labels):
        if not isinstance(label, str) or label_problem(label) or folder_problem(label):
            return f"the class {number} is called {_shown(label)}, which cannot name a folder"
        if label in labels[:number]:
            return f"the class {number} has the name of an earlier one, {_shown(label)}"
    for key in ("gttubes", "nframes", "resolution"):
        if not isinstance(value[key], dict):
            return f"{key} is a {type(value[key]).__name__}, not a dict"
    for key in ("train_videos", "test_videos"):
        lists = value[key]
        if not isinstance(lists, list | tuple) or not lists or not all(isinstance(one, list | tuple) for one in lists):
            return f"{key} is no list with a list of videos for each division"
    if len(value["train_videos"]) != len(value["test_videos"]):
        return "train_videos and test_videos have another number of divisions"
    return None


def _shown(value: object) -> str:
    return _REPR.repr(value)[:_SHOWN]


def _videos(value: Mapping[str, Any], labels: Sequence[str]) -> Iterator[TubeVideo]:
    """Every video that any part names, in the order of ``nframes``, then of the others."""
    splits: dict[Any, list[str]] = {}
    for split in ("train", "test"):
        for video in value[f"{split}_videos"][0]:
            splits.setdefault(_hashable(video), []).append(split)
    known = dict.fromkeys([*value["nframes"], *value["gttubes"], *value["resolution"], *splits])
    classes = frozenset(labels)
    for key in known:
        frames, size = value["nframes"].get(key), value["resolution"].get(key)
        height, width = (size[0], size[1]) if _is_size(size) else (0, 0)
        class_dir, _, name = key.partition("/") if isinstance(key, str) else ("", "", "")
        yield TubeVideo(
            key if isinstance(key, str) and len(key) < 500 else _shown(key), class_dir, name,
            frames if _is_count(frames, MAX_FRAMES) else 0, height, width, tuple(splits.get(key, ())),
            _video_problem(key, class_dir, name, frames, size, value["gttubes"].get(key), splits.get(key), classes),
        )  # fmt: skip


def _hashable(video: object) -> object:
    return video if isinstance(video, str | int) else _shown(video)


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_size(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(_is_count(one, MAX_EDGE) for one in value)


def _video_problem(
    key: object, class_dir: str, name: str, frames: object, size: object, tubes: object, splits: Sequence[str] | None,
    classes: frozenset[str],
) -> Problem | None:  # fmt: skip
    if not isinstance(key, str) or not class_dir or (problem := id_problem(name)):
        why = f"its name {problem}" if isinstance(key, str) and class_dir and name else "it is no <class>/<name>"
        return Reason.BAD_ID, why
    if class_dir not in classes:
        return Reason.UNKNOWN_LABEL, f"its folder {class_dir[:_SHOWN]!r} is none of the classes"
    if frames is None or size is None or tubes is None or not splits:
        named = {
            "nframes": frames,
            "resolution": size,
            "gttubes": tubes,
            "train_videos and test_videos": splits or None,
        }
        return Reason.BAD_ROW, f"it is not in {' nor in '.join(key for key, one in named.items() if one is None)}"
    if not _is_count(frames, MAX_FRAMES):
        return Reason.BAD_ROW, f"nframes says {_shown(frames)}, which is no number of frames"
    if not _is_size(size):
        return Reason.BAD_ROW, f"resolution says {_shown(size)}, which is no height and width"
    if not isinstance(tubes, dict):
        return Reason.BAD_ROW, f"gttubes has a {type(tubes).__name__}, not a dict of tubes by class"
    return None


def _tubes(given: Mapping[Any, Any], videos: Sequence[TubeVideo]) -> Tubes:
    """All tubes, wrong ones too."""
    places = {video.key: place for place, video in enumerate(videos)}
    owners, labels, positions, problems, lengths, parts = [], [], [], [], [], []
    for key, by_label in given.items():
        place = places.get(key if isinstance(key, str) and len(key) < 500 else _shown(key))
        position = 0
        for label, tubes in by_label.items() if isinstance(by_label, dict) else ():
            wrong = "" if type(label) is int and abs(label) < 1 << 31 else f"its class is {_shown(label)}, no number"
            listed = isinstance(tubes, list | tuple)
            for tube in tubes if listed else (tubes,):
                boxes, problem = _boxes(tube)
                problem = wrong or ("" if listed else "it stands in no list of tubes") or problem
                owners.append(-1 if place is None else place)
                labels.append(-1 if wrong else label)
                positions.append(position)
                problems.append(problem)
                lengths.append(0 if problem or boxes is None else len(boxes))
                position += 1
                if not problem and boxes is not None:
                    parts.append(boxes)
    numbers = [np.array(column, np.int64) for column in (owners, labels, positions, lengths)]
    together = np.concatenate(parts, dtype=np.float64) if parts else np.empty((0, 5))
    return Tubes(numbers[0], numbers[1], numbers[2], numbers[3], problems, together)


def _boxes(tube: object) -> tuple[npt.NDArray[Any] | None, str]:
    """The rows of a tube, or what is wrong with it."""
    if not isinstance(tube, safe_pickle.Array):
        return None, f"it is a {type(tube).__name__}, not an array"
    try:
        array = tube.numpy()
    except ValueError as error:
        return None, f"it is {error}"[:200]
    if array.ndim != 2 or array.shape[1] != 5:
        return None, f"its shape is {array.shape}, not (n, 5)"
    if array.dtype.kind != "f":
        return None, f"its values are {array.dtype}, not floats"
    return (array, "") if len(array) else (None, "it has no frame")
