"""What a clip or a folder of images shows, in a few numbers: whether it is dark, flat, still, silent, and its fingerprint.

Measured on the frames that are decoded anyway to verify a clip: sixteen of them, made very small. Nothing here raises for what the
pictures look like, and nothing costs the clip: what cannot be measured is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from clipquarry.fingerprint import PICTURES, SIDE, fingerprint

Small = npt.NDArray[np.uint8]
"""(32, 32, 3): red, green, blue, whatever the shape of the picture."""

SOON: Final = 0.1
"""Seconds after each of the eight pictures at which a second one is looked at: whether anything moves."""

SHORTEST: Final = 1.0
"""Seconds: of less the pictures would be nearly the same ones."""
_STILL: Final = 3
"""Levels that no part of a picture changes by while nothing moves: what an encoder does."""
_JUMP: Final = 12.0
"""Mean levels: another picture."""
_EVEN: Final = 0.5
"""Of the usual distance between two frames: what it may be off."""
_QUIET: Final = 0.001
"""Of full scale (-60 dB): nobody hears it."""
_SOUND_PLACES: Final = 8
_SOUND_PACKETS: Final = 3
"""Decoded at each place; the first one only primes the decoder."""


@dataclass(frozen=True)
class Content:
    """What is seen and heard. Levels are 0 to 255, shares 0 to 1; None was not measured.

    Looked at are eight moments, evenly spread, and again 0.1 s after each.
    """

    brightness: float | None = None
    """Mean level of all pictures."""
    contrast: float | None = None
    """The largest standard deviation within a picture, of any colour: nearly 0 means that all are of one colour."""
    still: float | None = None
    """Share of the moments after which nothing has moved 0.1 s later."""
    changes: float | None = None
    """Share of the seven steps from moment to moment in which anything changes."""
    jumps: float | None = None
    """Share of those in which the whole picture changes."""
    uneven: float | None = None
    """Share of frames that come at least half a frame early or late: a variable rate."""
    sound: str | None = None
    """``heard``, ``silent`` (a track without a sound) or ``none`` (no track)."""
    fingerprint: str | None = None
    """See :mod:`clipquarry.fingerprint`; ``""`` when the pictures show too little."""

    def columns(self) -> dict[str, Any]:
        """The columns of ``CONTENT_FIELDS``."""
        return asdict(self)


NOT_LOOKED: Final = Content()


class Looker:
    """Collects what :class:`Content` needs from the frames and sound packets of one clip, in order of display.

    ``seconds`` is the clip's length as its header says, None when that is not known: then only sound is measured.
    """

    def __init__(self, seconds: float | None) -> None:
        self._moments = moments(seconds) if seconds else []
        self._short = (seconds or 0.0) < SHORTEST
        self._scale = VideoReformatter()
        self._found: list[Small] = []
        self._first: float | None = None
        self._before: Any = None
        self._peak: float | None = None
        self._sound_due, self._sound_left = 0.0, 0
        self._every = (seconds or 0.0) / _SOUND_PLACES

    def frame(self, frame: Any) -> None:
        """The next frame; only the last one is held."""
        time = frame.time
        if time is None or len(self._found) == len(self._moments):
            return
        if self._first is None:
            self._first = time
        if self._before is not None and self._moments[len(self._found)] < time - self._first:
            self._take(self._before, time - self._first)
        self._before = frame

    def _take(self, frame: Any, until: float) -> None:
        """The frame stands for all moments before ``until`` that have no picture yet."""
        small = None
        while len(self._found) < len(self._moments) and self._moments[len(self._found)] < until:
            if small is None:
                small = reduced(frame, self._scale)
            self._found.append(small)

    def packet(self, packet: Any) -> None:
        """The next packet of sound, of which a few are decoded."""
        if packet.pts is None or not packet.size:
            return
        if not self._sound_left:
            if float(packet.pts * packet.time_base) < self._sound_due:
                return
            self._sound_due = float(packet.pts * packet.time_base) + self._every
            self._sound_left = _SOUND_PACKETS
        self._sound_left -= 1
        with suppress(av.FFmpegError):
            for frame in packet.decode():
                if self._sound_left < _SOUND_PACKETS - 1:
                    self._peak = max(self._peak or 0.0, _loudest(frame.to_ndarray()))

    def content(self, times: Sequence[float], *, has_sound: bool) -> Content:
        """What was found; ``times`` are the seconds of all frames."""
        if self._before is not None:
            self._take(self._before, float("inf"))
            self._before = None
        sound = (
            "none" if not has_sound else None if self._peak is None else "silent" if self._peak < _QUIET else "heard"
        )
        seen = Content() if len(self._found) < 2 * PICTURES else judged(self._found, moving=not self._short)
        return replace(seen, uneven=unevenness(times), sound=sound)


def moments(seconds: float) -> list[float]:
    """Seconds after the first frame: eight moments and 0.1 s after each, alternating; ascending."""
    middle = [(number + 0.5) / PICTURES * seconds for number in range(PICTURES)]
    soon = min(SOON, seconds / PICTURES / 2)
    return [time + later for time in middle for later in (0.0, soon)]


def reduced(frame: Any, scale: VideoReformatter) -> Small:
    """A frame of PyAV as a small picture."""
    small = scale.reformat(frame, SIDE, SIDE, "rgb24", interpolation="AREA", threads=1)
    return np.asarray(small.to_ndarray(), dtype=np.uint8)


def judged(found: Sequence[Small], *, moving: bool = True) -> Content:
    """What the pictures at :func:`moments` say; without ``moving`` (too short a clip) not whether anything does."""
    pictures = np.stack(found).reshape(PICTURES, 2, SIDE, SIDE, 3)
    flat = pictures.reshape(2 * PICTURES, -1, 3).astype(np.float32)
    mean = flat.mean(axis=1)
    square = np.einsum("npc,npc->nc", flat, flat) / flat.shape[1] - mean**2
    seen = Content(
        brightness=round(float(mean.mean(axis=0) @ np.array([0.299, 0.587, 0.114])), 2),
        contrast=round(float(max(0.0, square.max()) ** 0.5), 2),
    )
    if not moving:
        return seen
    levels = pictures.astype(np.int16)
    soon = np.abs(levels[:, 1] - levels[:, 0]).reshape(PICTURES, -1)
    step = np.abs(levels[1:, 0] - levels[:-1, 0]).reshape(PICTURES - 1, -1)
    return replace(
        seen,
        still=float((soon.max(axis=1) <= _STILL).mean()),
        changes=float((step.max(axis=1) > _STILL).mean()),
        jumps=float((step.mean(axis=1) > _JUMP).mean()),
        fingerprint=fingerprint(pictures[:, 0]),
    )


def unevenness(times: Sequence[float]) -> float | None:
    """Share of the distances of frames that are half of the usual one off; None for fewer than three frames."""
    if len(times) < 3:
        return None
    gaps = np.diff(np.asarray(times, dtype=np.float64))
    usual = float(np.median(gaps))
    return float((np.abs(gaps - usual) > _EVEN * usual).mean()) if usual > 0 else None


def _loudest(samples: npt.NDArray[Any]) -> float:
    """The peak of some sound, as a share of full scale."""
    if not samples.size:
        return 0.0
    if samples.dtype == np.uint8:  # unsigned, around 128
        return float(np.abs(samples.astype(np.int16) - 128).max()) / 128
    peak = float(np.abs(samples.astype(np.float64)).max())
    return peak / np.iinfo(samples.dtype).max if np.issubdtype(samples.dtype, np.integer) else peak
