r"""Person detections as label text (``class cx cy w h [score [track]]``, fractions of the frame), and proposals made of them.

Sources: ``detect.py --save-txt --save-conf`` of ultralytics/yolov5; ``dense_proposals_train.py`` and ``change_dense_proposals_train.py``
of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.key_frames import FPS, parse_frame_name, second_of
from clipquarry.annotations.own_ava.refused import Refused, number_of_text
from clipquarry.annotations.proposals import Boxes, proposal_key

PERSON = 0
"""Class of people in models of COCO; models of crowds have 0 for heads and 1 for bodies."""
_LOOSE = 0.01
"""How far rounding of whole pixels may push a box over the frame; anything beyond is not in fractions."""


class Detection(NamedTuple):
    """A detected box: ``kind`` is the class from 0; centre, width and height are fractions of the frame; ``track`` as given.

    ``score`` is None where the text has none; ``score_text`` is what stands behind the last blank, for the reference's form.
    """

    kind: int
    cx: float
    cy: float
    width: float
    height: float
    score: float | None = None
    score_text: str = ""
    track: int | None = None

    def corners(self) -> tuple[float, float, float, float]:
        """``x1, y1, x2, y2`` by the reference's order of operations (``x2 = x1 + w``), not clipped."""
        x1, y1 = self.cx - self.width / 2, self.cy - self.height / 2
        return x1, y1, x1 + self.width, y1 + self.height


def read_labels(text: str, name: str) -> Iterator[Detection | Refused]:
    """The detections of one frame, in order; ``name`` is the label file's, for sentences. Empty lines are none."""
    for line, content in enumerate(text.splitlines(), 1):
        if content.strip():
            found = _detection(content.split())
            yield Refused(f"{name}, line {line}", found) if isinstance(found, str) else found


def _detection(words: list[str]) -> Detection | str:
    shown = visible(" ".join(words), 80)
    if not 5 <= len(words) <= 7:
        return f"The line {shown!r} has {len(words)} fields: expected class, centre x and y, width, height, and a score if there is one."
    numbers = [number_of_text(word) for word in words]
    given = [one for one in numbers if one is not None]
    if len(given) < len(words):
        return f"The line {shown!r} holds what is no number: detect the frame again."
    if given[0] < 0 or given[0] != int(given[0]):
        return f"The class {visible(words[0], 20)!r} is no whole number from 0: detect the frame again."
    _, cx, cy, width, height = given[:5]
    if not (width > 0 and height > 0):
        return f"The box of the line {shown!r} has no area: remove the line."
    if min(cx - width / 2, cy - height / 2) < -_LOOSE or max(cx + width / 2, cy + height / 2) > 1 + _LOOSE:
        return f"The box of the line {shown!r} leaves the frame: fractions 0..1 of the frame's size are expected."
    score = given[5] if len(given) > 5 else None
    if score is not None and not 0 <= score <= 1:
        return f"The score {visible(words[5], 20)!r} is not between 0 and 1: detect the frame again."
    if len(given) > 6 and (given[6] < 0 or given[6] != int(given[6])):
        return f"The track {visible(words[6], 20)!r} is no whole number from 0: track the frames again."
    track = int(given[6]) if len(given) > 6 else None
    return Detection(int(given[0]), cx, cy, width, height, score, words[5] if len(words) > 5 else "", track)


def label_line(found: Detection) -> str:
    """One line of label text without its end, with full numbers: what :func:`read_labels` reads."""
    words = [str(found.kind), *(str(one) for one in found[1:5])]
    if found.score is not None or found.track is not None:
        words.append(found.score_text or str(1.0 if found.score is None else found.score))
    return " ".join([*words, *([] if found.track is None else [str(found.track)])])


class FrameLabels(NamedTuple):
    """The detections of a frame that was looked at, under the frame's name (with or without suffix)."""

    name: str
    detections: tuple[Detection, ...]


def _in_order(frames: Iterable[FrameLabels]) -> list[tuple[str, int, FrameLabels]]:
    """By crop, decimal names by value and before others, then by frame."""
    named = [(*parse_frame_name(one.name), one) for one in frames]

    def place(item: tuple[str, int, FrameLabels]) -> tuple[bool, int, str, int]:
        video, number, _ = item
        whole = video.isascii() and video.isdigit()
        return not whole, int(video) if whole else 0, video, number

    return sorted(named, key=place)


Seconds = Callable[[str], Collection[int]]
"""The chosen key seconds (from 0) of a crop, by its name."""


def proposals(
    frames: Iterable[FrameLabels], seconds: Seconds, *, kind: int = PERSON, fps: int = FPS, without_score: float = 1.0
) -> dict[str, Boxes]:
    """Proposals by ``video,second`` (four digits or more): float64 (N, 5) rows ``x1, y1, x2, y2, score`` clipped to 0..1.

    Only key frames of chosen seconds, and only boxes of class ``kind``. A key without boxes is left out, because mmaction2 stops at empty
    arrays. ``without_score`` is the score of boxes whose text has none.
    """
    rows = (
        (video, second_of(frame, fps), (*box.corners(), without_score if box.score is None else box.score))
        for video, frame, one in _in_order(frames)
        if (frame - 1) % fps == 0
        for box in one.detections
        if box.kind == kind
    )
    return table_proposals(rows, seconds)


def table_proposals(rows: Iterable[tuple[str, int, Sequence[float]]], seconds: Seconds) -> dict[str, Boxes]:
    """Proposals, as :func:`proposals`, of rows of a table: crop, second (from 0), and ``x1, y1, x2, y2, score`` in fractions.

    Keys are in the order of the rows. A box without area inside the frame is left out.
    """
    given: dict[str, list[Sequence[float]]] = {}
    for video, second, box in rows:
        if second in seconds(video):
            given.setdefault(proposal_key(video, second), []).append(box)
    found = {}
    for key, some in given.items():
        boxes = np.clip(np.array(some, dtype=np.float64).reshape(-1, 5), 0, 1)
        boxes = boxes[(boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])]
        if len(boxes):
            found[key] = boxes
    return found


ReferenceProposals = dict[str, list[list[float | str]]]


def reference_proposals(
    frames: Iterable[FrameLabels], seconds: Seconds, *, kind: int = PERSON, fps: int = FPS
) -> ReferenceProposals:
    r"""The upstream script's own form: lists, not clipped, the score as text with its line end; frames without people give ``[]``."""
    return {
        proposal_key(video, second_of(frame, fps)): [
            [*box.corners(), f"{box.score_text}\n"] for box in one.detections if box.kind == kind
        ]
        for video, frame, one in _in_order(frames)
        if second_of(frame, fps) in seconds(video)
    }


def reference_seconds(label_files: int, *, videos: int = 3) -> list[int]:
    """The seconds that the upstream script keeps: ``1 < s < label_files / videos``; its number of videos is always 3."""
    return [second for second in range(2, label_files + 1) if second < label_files / videos]


def reference_pickle(found: ReferenceProposals) -> bytes:
    """The pickle of :func:`reference_proposals`, protocol 4 as the upstream script's Python writes it."""
    return pickle.dumps(found, protocol=4)


def fixed(found: Mapping[str, list[list[float | str]]]) -> dict[str, Boxes]:
    """Reference proposals as arrays for readers: numbers, clipped to 0..1; empty keys are left out."""
    return {
        key: np.clip(np.array([[float(one) for one in row] for row in rows], dtype=np.float64), 0, 1)
        for key, rows in found.items()
        if rows
    }
