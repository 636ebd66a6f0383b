"""Choice of key frames to draw, the paths of their frame files, and their thumbnails.

The choice depends only on names and on which frames are there: two labs with the same files see the same ones.
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

from clipquarry.annotations.ava_kinetics_cut import NAME_FORM
from clipquarry.annotations.ava_time import FPS
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.report.data import Box, KeyFrame, Person, Proposal
from clipquarry.families.boxes.report.tables import ProposalRows, Rows
from clipquarry.files import inside
from clipquarry.ids import SECOND_FORM, YOUTUBE_FORM, YOUTUBE_ID
from clipquarry.media.errors import MediaError

WANTED = 9
"""Key frames on the page."""
WIDTH = 448
"""Pixels."""
MAX_BYTES = 90_000
"""Bytes of one thumbnail; a larger one is left out, so that the page stays small."""
MAX_PERSONS, MAX_PROPOSALS, MAX_ACTIONS = 20, 12, 12
"""Proposals that are drawn in a frame, and actions that are named beside a person."""
AVA_START = 900
"""The second that an AVA video's first frame shows."""
_TRIES = 400
_SECONDS_TRIED = 5
_LEAD = 3  # seconds of a six-second clip before its key second
_CLIP = re.compile(rf"{YOUTUBE_FORM}_({SECOND_FORM})_({SECOND_FORM})\Z")
_FLAT = re.compile(rf"{YOUTUBE_FORM}_({SECOND_FORM})\Z")
_CUT = re.compile(rf"{YOUTUBE_FORM}_{NAME_FORM}\Z")


@dataclass(frozen=True)
class Layout:
    """Paths of frame files: ``folders`` as the steps recorded them, by name (relative to the data root), else below
    ``frames``.

    ``offset`` is the number of the frame of a video's (or clip's) first second: 1 in truth.
    """

    data: Path
    frames: str
    folders: Mapping[str, str]
    offset: int = 1

    def image(self, name: str, time: str) -> str | None:
        """The frame file of a key frame, relative to the data root; None if there is no such file."""
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
    """Possible names of the frame file. ``time``: seconds of the original video, as decimal text."""
    try:
        exact = Decimal(time)
    except InvalidOperation:
        return ()
    second = int(exact)
    if flat := _FLAT.match(name):
        shown = exact - max(0, int(flat[1]) - _LEAD)
        return (f"{int(shown * FPS) + 1:06d}.jpg",) if shown >= 0 else ()
    if cut := _CUT.match(name):
        return (f"{int(Decimal(cut['key']) / 100 * FPS) + 1:06d}.jpg",)
    clip = _CLIP.match(name)
    if not clip and not YOUTUBE_ID.match(name):
        return ()
    since = second - (int(clip[1]) if clip else AVA_START)
    return (f"img_{max(1, FPS * since + offset):05d}.jpg",) if since >= 0 else ()


def rank(text: str) -> bytes:
    """Order that depends on nothing but names, and looks random."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True)
class Choice:
    """A key frame of :class:`Rows` without its boxes: the position of its name among ``names``."""

    place: int
    name: str
    second: int
    time: str
    image: str


def choose(rows: Rows, layout: Layout, wanted: int = WANTED) -> list[Choice]:
    """Key frames with a frame file: at most ``wanted``, of as many videos as possible, in a reproducible order that
    looks random.
    """
    used = set(np.unique(rows.name).tolist())
    places = {rows.names[place]: place for place in used}
    known = places.keys() & layout.folders.keys()
    names = heapq.nsmallest(_TRIES, known or places, key=rank)
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
    """Some key frames of a video with frame files."""
    name, mask = rows.names[place], rows.name == place
    seconds, first = np.unique(rows.second[mask], return_index=True)
    times = rows.time[mask][first]
    for at in sorted(range(len(seconds)), key=lambda at: rank(f"{name},{seconds[at]}"))[:_SECONDS_TRIED]:
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
    """A key frame and its thumbnail: base64 of a JPEG with its size in pixels, or the sentence that says why there
    is none.
    """

    frame: KeyFrame
    image: str | None
    width: int
    height: int
    problem: str = ""


def drawings(frames: tuple[KeyFrame, ...], root: Path) -> list[Drawing]:
    """The drawing of each. ``root`` is the data root; no path may leave it."""
    return [_drawing(frame, root) for frame in frames]


def _drawing(frame: KeyFrame, root: Path) -> Drawing:
    from clipquarry.media.thumbnail import frame_jpeg  # decodes images: not needed to import a report

    try:
        path = inside(root, frame.image)
        if not path.resolve().is_relative_to(root.resolve()):
            return Drawing(frame, None, 0, 0, "The frame file lies outside the data root.")
        thumbnail = frame_jpeg(path, WIDTH)
    except FileNotFoundError:
        return Drawing(frame, None, 0, 0, "The frame file is no longer there.")
    except (ClipquarryError, MediaError, OSError) as error:
        return Drawing(frame, None, 0, 0, f"No thumbnail: {error}")
    if len(thumbnail.jpeg) > MAX_BYTES:
        return Drawing(frame, None, 0, 0, "The thumbnail is too large for this page.")
    return Drawing(frame, base64.b64encode(thumbnail.jpeg).decode("ascii"), thumbnail.width, thumbnail.height)
