"""Which key frames are drawn, where their images lie, and the small pictures of them.

The choice depends on nothing but names and on which images are there: two labs with the same files see the same ones.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipquarry.errors import ClipquarryError
from clipquarry.files import inside
from clipquarry.media.errors import MediaError
from clipquarry.report.box_data import Box, KeyFrame, Person, Proposal
from clipquarry.report.box_tables import ProposalRows, Rows
from clipquarry.report.misfits import FPS

WANTED = 9
"""Key frames on the page."""
WIDTH = 448
"""Pixels."""
MAX_BYTES = 90_000
"""Of one picture; a larger one is left out, so that the page stays small."""
MAX_PERSONS, MAX_PROPOSALS, MAX_ACTIONS = 20, 12, 12
"""That are drawn in a picture, and named beside a person."""
AVA_START = 900
"""The second that an AVA video's first image shows."""
_TRIES = 400
_SECONDS_TRIED = 5
_LEAD = 3  # seconds of a six-second clip before its key second
_CLIP = re.compile(r"[A-Za-z0-9_-]{11}_(\d{6,7})_(\d{6,7})\Z", re.ASCII)
_FLAT = re.compile(r"[A-Za-z0-9_-]{11}_(\d{6,7})\Z", re.ASCII)
_VIDEO = re.compile(r"[A-Za-z0-9_-]{11}\Z", re.ASCII)

MMACTION2: dict[str | None, int] = {"ava_csv": 2, "ava_kinetics_csv": 0}
"""What the reference's readers add to ``30 (t - start)``, by annotation format; the truth is 1."""


@dataclass(frozen=True)
class Layout:
    """Where images lie: ``folders`` as the steps said them, by name (relative to the data root), else below ``frames``.

    ``offset`` is the number of the image of a video's (or clip's) first second: 1 in truth.
    """

    data: Path
    frames: str
    folders: Mapping[str, str]
    offset: int = 1

    def image(self, name: str, time: str) -> str | None:
        """The image of a key frame, relative to the data root; None when there is no such file."""
        for file in _files(name, time, self.offset):
            try:
                relative = f"{self.folders.get(name, f'{self.frames}/{name}')}/{file}"
                path = inside(self.data, relative)
                if path.is_file() and path.resolve().is_relative_to(self.data.resolve()):
                    return relative
            except (ClipquarryError, OSError):
                continue
        return None


def _files(name: str, time: str, offset: int) -> tuple[str, ...]:
    """Names that the image may have. ``time``: seconds of the original video, as decimal text."""
    try:
        exact = Decimal(time)
    except InvalidOperation:
        return ()
    second = int(exact)
    if flat := _FLAT.match(name):
        shown = exact - max(0, int(flat[1]) - _LEAD)
        return (f"{int(shown * FPS) + 1:06d}.jpg",) if shown >= 0 else ()
    clip = _CLIP.match(name)
    if not clip and not _VIDEO.match(name):
        return ()
    since = second - (int(clip[1]) if clip else AVA_START)
    return (f"img_{max(1, FPS * since + offset):05d}.jpg",) if since >= 0 else ()


def _rank(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True)
class Choice:
    """A key frame of :class:`Rows`, not yet with its boxes: the place of its name among ``names``."""

    place: int
    name: str
    second: int
    time: str
    image: str


def choose(rows: Rows, layout: Layout, wanted: int = WANTED) -> list[Choice]:
    """Key frames whose image is there: at most ``wanted``, of as many videos as there are, in an order that looks random and
    is not.
    """
    used = set(np.unique(rows.name).tolist())
    places = {rows.names[place]: place for place in used}
    known = places.keys() & layout.folders.keys()
    names = heapq.nsmallest(_TRIES, known or places, key=_rank)
    videos = [_of_video(rows, places[name], layout) for name in names]
    chosen: list[Choice] = []
    while videos:  # one of each, then another of each
        left = []
        for video in videos:
            if (choice := next(video, None)) is not None:
                chosen.append(choice)
                left.append(video)
            if len(chosen) == wanted:
                return chosen
        videos = left
    return chosen


def _of_video(rows: Rows, place: int, layout: Layout) -> Iterator[Choice]:
    """Some key frames of a video whose images are there."""
    name, mask = rows.names[place], rows.name == place
    seconds, first = np.unique(rows.second[mask], return_index=True)
    times = rows.time[mask][first]
    for at in sorted(range(len(seconds)), key=lambda at: _rank(f"{name},{seconds[at]}"))[:_SECONDS_TRIED]:
        time = rows.times[times[at]]
        image = layout.image(name, time)
        if image is not None:
            yield Choice(place, name, int(seconds[at]), time, image)


def with_persons(split: str, choice: Choice, rows: Rows, names: Mapping[int, str]) -> KeyFrame:
    """The chosen key frame with its labelled boxes; ``names`` are the actions'."""
    mask = (rows.name == choice.place) & (rows.second == choice.second)
    actions: dict[Box, list[str]] = {}
    for box, action in zip(rows.boxes[mask].tolist(), rows.action[mask].tolist(), strict=True):
        actions.setdefault((box[0], box[1], box[2], box[3]), []).append(names.get(action, f"action {action}"))
    persons = [Person(box, tuple(dict.fromkeys(said))[:MAX_ACTIONS]) for box, said in actions.items()]
    return KeyFrame(split, choice.name, choice.time, choice.image, tuple(persons[:MAX_PERSONS]), ())


def with_proposals(frame: KeyFrame, rows: ProposalRows, mask: npt.NDArray[np.bool_]) -> KeyFrame:
    """The key frame with the best of its proposals, which are the rows of ``mask``."""
    boxes, scores = rows.boxes[mask], rows.score[mask]
    order = np.argsort(-scores, kind="stable")
    drawn = tuple(
        Proposal((box[0], box[1], box[2], box[3]), score if score >= 0 else None)
        for box, score in zip(boxes[order].tolist(), scores[order].tolist(), strict=True)
    )
    return replace(frame, proposals=drawn[:MAX_PROPOSALS], more=max(0, len(drawn) - MAX_PROPOSALS))


def in_turns(by_split: Mapping[str, list[KeyFrame]], wanted: int = WANTED) -> tuple[KeyFrame, ...]:
    """One of each split, then another of each, until there are enough; ordered by split again."""
    turns = [(turn, place, frame) for place, of in enumerate(by_split.values()) for turn, frame in enumerate(of)]
    first = sorted(turns, key=lambda one: one[:2])[:wanted]
    return tuple(frame for _, _, frame in sorted(first, key=lambda one: (one[1], one[0])))


@dataclass(frozen=True)
class Drawing:
    """A key frame and its picture: base64 of a JPEG with its size in pixels, or the sentence that says why there is none."""

    frame: KeyFrame
    image: str | None
    width: int
    height: int
    problem: str = ""


def drawings(frames: tuple[KeyFrame, ...], root: Path) -> list[Drawing]:
    """A picture of each. ``root`` is the data root; no path may leave it."""
    return [_drawing(frame, root) for frame in frames]


def _drawing(frame: KeyFrame, root: Path) -> Drawing:
    from clipquarry.media.thumbnail import picture_jpeg  # decodes: not needed to import a report

    try:
        path = inside(root, frame.image)
        if not path.resolve().is_relative_to(root.resolve()):
            return Drawing(frame, None, 0, 0, "The image lies outside the data root.")
        picture = picture_jpeg(path, WIDTH)
    except FileNotFoundError:
        return Drawing(frame, None, 0, 0, "The image is no longer there.")
    except (ClipquarryError, MediaError, OSError) as error:
        return Drawing(frame, None, 0, 0, f"No picture: {error}")
    if len(picture.jpeg) > MAX_BYTES:
        return Drawing(frame, None, 0, 0, "The picture is too large for this page.")
    return Drawing(frame, base64.b64encode(picture.jpeg).decode("ascii"), picture.width, picture.height)
