"""Content measurements of a clip or a frame folder: darkness, flatness, motion, silence, and a fingerprint.

They use sixteen of the frames that are decoded to verify a clip anyway, scaled down to 32 x 32. The content of
frames never raises an error and never costs the clip: a value that cannot be measured is None.
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

from clipquarry.fingerprint import FRAMES, SIDE, fingerprint

Small = npt.NDArray[np.uint8]
"""(32, 32, 3): red, green, blue, whatever the frame's shape."""

SOON: Final = 0.1
"""Seconds after each of the eight frames at which a second one is taken, to measure motion."""

SHORTEST: Final = 1.0
"""Seconds. The frames of a shorter clip would be nearly the same ones."""
_STILL: Final = 3
"""Levels. A still scene changes by no more than this in any place: the encoder's noise."""
_JUMP: Final = 12.0
"""Mean levels by which two frames count as different scenes."""
_EVEN: Final = 0.5
"""Share of the usual distance between two frames by which one may be off."""
_QUIET: Final = 0.001
"""Share of full scale (-60 dB); quieter sound is inaudible."""
_SOUND_PLACES: Final = 8
_SOUND_PACKETS: Final = 3
"""Packets decoded in each place; the first one only primes the decoder."""


@dataclass(frozen=True)
class Content:
    """Measurements of a clip's frames and sound. Levels are 0 to 255, shares 0 to 1; None was not measured.

    Frames are taken at eight evenly spread moments, and again 0.1 s after each.
    """

    brightness: float | None = None
    """Mean level of all frames."""
    contrast: float | None = None
    """The largest standard deviation within a frame, of any colour; nearly 0 means that each frame has one colour."""
    still: float | None = None
    """Share of the moments after which nothing has moved 0.1 s later."""
    changes: float | None = None
    """Share of the seven steps between moments in which anything changes."""
    jumps: float | None = None
    """Share of these steps in which the whole frame changes."""
    uneven: float | None = None
    """Share of frames that come at least half a frame early or late (variable rate)."""
    sound: str | None = None
    """``heard``, ``silent`` (a track without a sound) or ``none`` (no track)."""
    fingerprint: str | None = None
    """See :mod:`clipquarry.fingerprint`; ``""`` if the frames show too little."""

    def columns(self) -> dict[str, Any]:
        """The columns of ``CONTENT_FIELDS``."""
        return asdict(self)


NOT_LOOKED: Final = Content()


class Looker:
    """Collects the input of :class:`Content` from the frames and sound packets of one clip, in display order.

    ``seconds`` is the clip's length by its header. If it is None, only sound is measured.
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
        """Take the next frame; only the last one is held."""
        time = frame.time
        if time is None or len(self._found) == len(self._moments):
            return
        if self._first is None:
            self._first = time
        if self._before is not None and self._moments[len(self._found)] < time - self._first:
            self._take(self._before, time - self._first)
        self._before = frame

    def _take(self, frame: Any, until: float) -> None:
        """Use the frame for all moments before ``until`` that have none yet."""
        small = None
        while len(self._found) < len(self._moments) and self._moments[len(self._found)] < until:
            if small is None:
                small = reduced(frame, self._scale)
            self._found.append(small)

    def packet(self, packet: Any) -> None:
        """Take the next sound packet; a few of them are decoded."""
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
        """The measurements; ``times`` are the seconds of all frames."""
        if self._before is not None:
            self._take(self._before, float("inf"))
            self._before = None
        sound = (
            "none" if not has_sound else None if self._peak is None else "silent" if self._peak < _QUIET else "heard"
        )
        seen = Content() if len(self._found) < 2 * FRAMES else judged(self._found, moving=not self._short)
        return replace(seen, uneven=unevenness(times), sound=sound)


def moments(seconds: float) -> list[float]:
    """Seconds after the first frame: eight moments and 0.1 s after each, alternating; ascending."""
    middle = [(number + 0.5) / FRAMES * seconds for number in range(FRAMES)]
    soon = min(SOON, seconds / FRAMES / 2)
    return [time + later for time in middle for later in (0.0, soon)]


def reduced(frame: Any, scale: VideoReformatter) -> Small:
    """A PyAV frame, scaled down."""
    small = scale.reformat(frame, SIDE, SIDE, "rgb24", interpolation="AREA", threads=1)
    return np.asarray(small.to_ndarray(), dtype=np.uint8)


def judged(found: Sequence[Small], *, moving: bool = True) -> Content:
    """Measurements of the frames at :func:`moments`. ``moving`` is False for a clip that is too short to measure
    motion.
    """
    frames = np.stack(found).reshape(FRAMES, 2, SIDE, SIDE, 3)
    flat = frames.reshape(2 * FRAMES, -1, 3).astype(np.float32)
    mean = flat.mean(axis=1)
    square = np.einsum("npc,npc->nc", flat, flat) / flat.shape[1] - mean**2
    seen = Content(
        brightness=round(float(mean.mean(axis=0) @ np.array([0.299, 0.587, 0.114])), 2),
        contrast=round(float(max(0.0, square.max()) ** 0.5), 2),
    )
    if not moving:
        return seen
    levels = frames.astype(np.int16)
    soon = np.abs(levels[:, 1] - levels[:, 0]).reshape(FRAMES, -1)
    step = np.abs(levels[1:, 0] - levels[:-1, 0]).reshape(FRAMES - 1, -1)
    return replace(
        seen,
        still=float((soon.max(axis=1) <= _STILL).mean()),
        changes=float((step.max(axis=1) > _STILL).mean()),
        jumps=float((step.mean(axis=1) > _JUMP).mean()),
        fingerprint=fingerprint(frames[:, 0]),
    )


def unevenness(times: Sequence[float]) -> float | None:
    """Share of frame distances that differ from the usual one by more than half of it; None for fewer than three
    frames.
    """
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
