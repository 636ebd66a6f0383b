"""AVA-Kinetics' key frames cut out of Kinetics-700's clips: 2.5 seconds around each, as kinetics-download-prep's
``kinetics700_to_ava_kinetics.py`` cuts them.

The clip whose middle is nearest to the key frame is taken. What is cut reaches 1.25 s to both sides of the key frame,
within the clip; a key frame that is nearer to the clip's start has 2.5 s from the start on. Names are
``{id}_{clip's start:02d}_{second:02d}_{100 * key frame's time in what is cut:04d}``. Times are whole microseconds, so
that nothing is rounded.

Intended differences to the reference: a clip's end is that of its name, not ten seconds after its start; hundredths are
exact (it computes ``int(1.15 * 100)``, which is 114); a key frame that fits no clip stops nothing; of clips whose middles
are equally near, the longest is taken, then the earliest; two key frames of one second share what is cut for the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from clipquarry.ids import YOUTUBE_FORM, ClipName
from clipquarry.microseconds import SECOND, of, text

AROUND = SECOND * 5 // 4
"""Microseconds on either side of the key frame."""
MOST_APART = 4 * SECOND
"""A clip whose middle is farther from the key frame is not taken."""
MARGIN = SECOND * 9 // 10
"""A key frame must lie farther than this from both ends of its clip."""
NAME_FORM = r"(?P<clip_start>[0-9]{2,7})_(?P<second>[0-9]{2,7})_(?P<key>[0-9]{4})"
"""What follows a video's id and ``_`` in a name."""
_NAME = re.compile(rf"(?P<video>{YOUTUBE_FORM})_{NAME_FORM}\Z", re.ASCII)


class Cut(NamedTuple):
    """What is cut around a key frame. Times are microseconds of the original video, ``end`` exclusive."""

    video_id: str
    second: int
    """The key frame's whole second of the original video."""
    start: int
    end: int
    key: int
    """Of the key frame, after ``start``."""
    clip: ClipName
    label: str
    """The clip's class, as its csv has it."""

    @property
    def name(self) -> str:
        """The file's stem."""
        return f"{self.video_id}_{self.clip.start:02d}_{self.second:02d}_{self.key * 100 // SECOND:04d}"


def cut_around(time: str, clips: Iterable[tuple[ClipName, str]]) -> Cut | str:
    """What is cut for a key frame at ``time`` (its decimal text), or why nothing is, as the end of a sentence.

    ``clips``: those of its video in Kinetics-700, with their classes.
    """
    moment = of(Decimal(time))
    clip, label = min(clips, key=lambda one: (_apart(one[0], moment), one[0].start - one[0].end, one[0]))
    apart = _apart(clip, moment)
    if apart > 2 * MOST_APART:
        return f"is {text(apart // 2)} s from the middle of its nearest clip, {clip}"
    start, end = clip.start * SECOND, clip.end * SECOND
    if not start + MARGIN < moment < end - MARGIN:
        return f"is less than {text(MARGIN)} s from an end of {clip}"
    begin = max(start, moment - AROUND)
    return Cut(
        clip.video_id, moment // SECOND, begin, min(end, begin + 2 * AROUND), moment - begin, clip, label
    )  # fmt: skip


def _apart(clip: ClipName, moment: int) -> int:
    """Twice the distance to the clip's middle, which may be half a second."""
    return abs(2 * moment - (clip.start + clip.end) * SECOND)


def cuts(
    key_frames: Iterable[tuple[str, str]], clips: Iterable[tuple[ClipName, str]]
) -> Iterator[Cut | tuple[str, str, str]]:
    """What is cut for each second with a key frame, in the order of the seconds' first rows; or the video, the time, and why
    nothing is.

    ``key_frames``: video and time of each row. ``clips``: Kinetics-700's, of any videos. Memory: some hundred bytes for
    each second and for each clip of their videos.
    """
    first: dict[tuple[str, int], str] = {}
    for video, time in key_frames:
        place = video, of(Decimal(time)) // SECOND
        if place not in first or Decimal(time) < Decimal(first[place]):
            first[place] = time
    of_videos: dict[str, list[tuple[ClipName, str]]] = {video: [] for video, _ in first}
    for clip, label in clips:
        if clip.video_id in of_videos:
            of_videos[clip.video_id].append((clip, label))
    for (video, _), time in first.items():
        here = of_videos[video]
        found = cut_around(time, here) if here else "is of a video of which Kinetics-700 has no clip"
        yield found if isinstance(found, Cut) else (video, time, found)


def second_of_name(name: str) -> tuple[str, int] | None:
    """Video and whole second of the key frame that a name tells; None for another name."""
    found = _NAME.match(name)
    return None if found is None else (found["video"], int(found["second"]))


class CutClips:
    """The clips of a catalog by their seconds: which one a key frame has, and when it begins.

    Memory: some hundred bytes for each.
    """

    def __init__(self, starts: Mapping[str, int]) -> None:
        """``starts``: microseconds by the clips' names."""
        self._starts = starts
        self._names = {second: name for name in starts if (second := second_of_name(name)) is not None}

    def name(self, video: str, second: int) -> str | None:
        """The clip of a second with key frames."""
        return self._names.get((video, second))

    def time_in(self, name: str, time: str) -> Decimal:
        """Seconds from the clip's start to a key frame at ``time``, exactly."""
        return Decimal(time) - Decimal(self._starts[name]) / SECOND
