"""Comparison of frames and videos by content, whatever their encoding: small grey frames are compared."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from clipquarry.media.display import remarks
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import IMG, Pattern, frame_name
from clipquarry.media.frames import TOLERANCE, FrameFacts, check_frames
from clipquarry.media.probe import DEMUXERS, PROTOCOLS, MediaFacts, frame_size, header, probe
from clipquarry.media.timeline import constant_rate, read_timeline
from clipquarry.reasons import Reason

Grey = npt.NDArray[np.int16]

_SIDE = 48
_LIMIT = 8.0
"""Mean difference in grey levels (0 to 255). Another quality or scaler gives 1 or 2."""


def alike(one: Grey, other: Grey) -> bool:
    """True if both show the same, whatever their encoding."""
    return bool(np.abs(one - other).mean() <= _LIMIT)


def spread(count: int, most: int = 8) -> list[int]:
    """At most ``most`` of the numbers 0 to ``count`` - 1, evenly spread, including both ends."""
    return sorted({round(n * (count - 1) / (most - 1)) for n in range(most)}) if count else []


def small_frame(path: Path) -> Grey:
    """A small grey frame of a JPEG. Raises MediaError if it does not decode."""
    return _decoded(path, {0}, "jpeg_pipe")[0]


def frames(path: Path, numbers: Collection[int]) -> dict[int, Grey]:
    """Some frames of a video by number, 0-based, in display order. Raises MediaError if it does not decode; numbers
    after the end are left out.
    """
    return _decoded(path, set(numbers), format_whitelist=DEMUXERS)


def same_frames(
    folder: Path, ours: Path, made: FrameFacts, pattern: Pattern = IMG, *, slack: int = 0, start: int = 1
) -> tuple[int, int]:
    """Count and bytes of somebody's frames if they are those that we make. Raises MediaError that names the
    difference.

    ``slack``: a frame may show what one of ours up to so many places before or after it shows. ``start``: the first
    frame's number.
    """
    count, size = check_frames(folder, (made.width, made.height), pattern, start)
    if abs(count - made.frames) > TOLERANCE:
        raise MediaError(Reason.TOOL_FAILED, f"{count} frames where the clip gives {made.frames}")
    looked_at = spread(min(count, made.frames))
    for number in range(count):  # nobody has verified them before
        name = frame_name(number + start, pattern)
        if frame_size(folder / name) != (made.width, made.height):
            raise MediaError(Reason.TOOL_FAILED, f"{name} has another size than the others")
        if number in looked_at and not any(
            alike(small_frame(folder / name), small_frame(ours / frame_name(near + start, pattern)))
            for near in _around(number, slack, made.frames)
        ):
            raise MediaError(Reason.TOOL_FAILED, f"{name} shows something else than the clip")
    return count, size


def same_video(theirs: Path, ours: Path, made: MediaFacts, *, slack: int = 0) -> MediaFacts:
    """The facts of somebody's video if it is the one that we make, in any encoding: number of frames, rate, size and
    content.

    Raises MediaError that names the difference. ``slack``: see :func:`same_frames`.
    """
    if not theirs.is_file():
        raise MediaError(Reason.NOT_A_VIDEO, "not a file")
    found = probe(theirs, decode=False)
    if seen := remarks(theirs):
        raise MediaError(Reason.CORRUPT, f"readers would not see what players show: {', '.join(seen)}")
    for what, is_, wanted, most in (
        ("frames", found.frames, made.frames, TOLERANCE), ("frames a second", _rate(theirs), _rate(ours), 0.01),
        ("seconds", found.duration, made.duration, 0.1), ("pixels wide", found.width, made.width, 0),
        ("pixels high", found.height, made.height, 0), ("tracks of sound", found.has_audio, made.has_audio, 0),
    ):  # fmt: skip
        if abs(is_ - wanted) > most:
            raise MediaError(Reason.CORRUPT, f"{what}: {is_:g} where ours has {wanted:g}")
    numbers = spread(min(found.frames, made.frames))
    nearby = {number: _around(number, slack, made.frames) for number in numbers}
    other, own = frames(theirs, numbers), frames(ours, set().union(*nearby.values()))
    for number, places in nearby.items():
        if number not in other or not any(alike(own[near], other[number]) for near in places if near in own):
            raise MediaError(Reason.CORRUPT, "it shows something else")
    return found


def _around(number: int, slack: int, count: int) -> range:
    return range(max(0, number - slack), min(count, number + slack + 1))


def _rate(path: Path) -> float:
    """Frames per second if all are evenly spaced, else 0."""
    return float(constant_rate(read_timeline(path).times, header(path)) or 0)


def _decoded(path: Path, numbers: set[int], format_: str | None = None, **more: str) -> dict[int, Grey]:
    found: dict[int, Grey] = {}
    try:
        with av.open(f"file:{path}", format=format_, options={"protocol_whitelist": PROTOCOLS, **more}) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in numbers:
                    grey = frame.reformat(width=_SIDE, height=_SIDE, format="gray").to_ndarray()
                    found[number] = grey.astype(np.int16)
                if number >= max(numbers, default=0):
                    break
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"{path.name} does not decode: {error}") from error
    if not found:
        raise MediaError(Reason.CORRUPT, f"{path.name} has no pixels")
    return found
