"""Boxes of people in the frames of a clip, between the formats of labelling tools: in pixels, with tracks and actions.

A reader of each format gives :class:`Clip` and what it refuses; a writer takes :class:`Clip`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from clipquarry.annotations.own_ava.detections import Detection
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import Size

PERSON = "person"
MAX_FRAME = 10_000_000
EDGE = 1.0
"""Pixels by which a box may leave its frame."""


class FrameBox(NamedTuple):
    """A box: ``frame`` from 1, corners in pixels, ``track`` from 0 or None, ``labels`` the names of its actions, ``score`` 0..1.

    ``drawn``: False where a tool made it up between two boxes of a track.
    """

    frame: int
    x1: float
    y1: float
    x2: float
    y2: float
    track: int | None = None
    labels: tuple[str, ...] = ()
    score: float | None = None
    drawn: bool = True


@dataclass
class Clip:
    """A clip's boxes in the order of its file; ``names`` are names of frames' files by number, where the format has them."""

    name: str
    size: Size
    boxes: list[FrameBox] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def frame_name(self, frame: int) -> str:
        """The name of a frame's file; made of the clip's name where it has none."""
        return self.names.get(frame) or f"{self.name}_{frame:06d}.jpg"

    def tracks(self) -> dict[int, list[FrameBox]]:
        """Boxes by track, each in the order of frames. A box without a track becomes a track of its own behind the others."""
        found: dict[int, list[FrameBox]] = defaultdict(list)
        following = max((one.track for one in self.boxes if one.track is not None), default=-1) + 1
        for one in self.boxes:
            if one.track is None:
                found[following].append(one)
                following += 1
            else:
                found[one.track].append(one)
        return {track: sorted(found[track], key=lambda one: one.frame) for track in sorted(found)}


class Imported(NamedTuple):
    """What a reader took of a file, and what it did not."""

    clip: Clip
    refused: list[Refused]


def box_problem(box: FrameBox, size: Size) -> str | None:
    """Why a box cannot be, as a sentence; None if it can."""
    if not 1 <= box.frame <= MAX_FRAME:
        return f"Its frame {box.frame} is not between 1 and {MAX_FRAME}: export the file again."
    if box.x1 >= box.x2 or box.y1 >= box.y2:
        return "It has no area: draw the box again."
    if min(box.x1, box.y1) < -EDGE or box.x2 > size.width + EDGE or box.y2 > size.height + EDGE:
        return f"It leaves the frame of {size.width}x{size.height} pixels: move it inside."
    return None


def size_of(width: float | None, height: float | None) -> Size | None:
    """A frame's size of two numbers that a file gives; None if they are none."""
    if width is None or height is None or not (1 <= width <= 100_000 and 1 <= height <= 100_000):
        return None
    return Size(int(width), int(height)) if (width, height) == (int(width), int(height)) else None


def to_detection(box: FrameBox, size: Size, kind: int = 0) -> Detection:
    """The box as label text has it: centre and size in fractions of the frame. Actions have no place there."""
    width, height = box.x2 - box.x1, box.y2 - box.y1
    centre = (box.x1 + width / 2) / size.width, (box.y1 + height / 2) / size.height
    text = "" if box.score is None else str(box.score)
    return Detection(kind, *centre, width / size.width, height / size.height, box.score, text, box.track)


def of_detection(found: Detection, frame: int, size: Size, labels: tuple[str, ...] = ()) -> FrameBox:
    """The box of a line of label text, in pixels; not clipped."""
    x1, y1, x2, y2 = found.corners()
    box = x1 * size.width, y1 * size.height, x2 * size.width, y2 * size.height
    return FrameBox(frame, *box, found.track, labels, found.score)
