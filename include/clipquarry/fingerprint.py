"""Fingerprints of clips and frame folders, made from eight small frames and similar for every encode of one video.

One perceptual hash per frame (the signs of its lowest frequencies, as in pHash) describes what is seen. One per step
between two frames describes what moves, and two means describe the colour. So a re-encode (another size, rate,
quality or container) is similar, and two videos with the same background are not. A crop, a mirrored frame or a
large overlay is not found.

As text (:data:`LENGTH` characters of base64): eight hashes of 64 bits, seven of 32 bits, mean red and blue over
green, two bytes of zeros.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FRAMES: Final = 8
"""Number of frames, evenly spread: frame k is the one shown at (k + 1/2) / 8 of the clip."""
SIDE: Final = 32
"""Side of the small frames, which are square."""
LENGTH: Final = 128
"""Characters."""

_BYTES: Final = 96
_FLATTEST: Final = 3.0
"""Standard deviation (grey levels) below which a frame shows too little to be recognised."""
_STILL: Final = 1.0
"""The same for a difference of two frames; smaller differences are the encoder's."""
_SURE: Final = 3
"""A fingerprint with fewer frames that show something is not used."""
_FRAME_BITS: Final = 10.0
"""Of 64 bits, on average: what another encode flips. Frames of two videos differ in 32 ± 4."""
_OTHER_VIDEO: Final = 22.0
"""Of 64 bits, on average: more than the same video differs from itself half a second later."""
_STEP_BITS: Final = 8.0
"""Of 32 bits, on average."""
_COLOUR: Final = 10
"""Levels."""
_FREQUENCIES: Final = 8

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def _cosines() -> Floats:
    """The first rows of the cosine transform."""
    wave, place = np.arange(_FREQUENCIES)[:, None], np.arange(SIDE)[None, :]
    return np.cos(np.pi * wave * (2 * place + 1) / (2 * SIDE)).astype(np.float32)


_COSINES: Final = _cosines()
_GREY: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _signs(frames: Floats, bits: int) -> Bytes:
    """Signs of the ``bits`` lowest frequencies (64 or 32) of N frames, as bytes (N, bits / 8); never all zeros."""
    signs = (_COSINES @ frames @ _COSINES.T).reshape(len(frames), -1)[:, :bits] > 0
    signs[:, 0] = True  # the mean, which says nothing about the shape
    return np.packbits(signs, axis=1)


def fingerprint(frames: npt.NDArray[np.uint8]) -> str:
    """Fingerprint of eight small frames, shape (8, 32, 32, 3), red, green, blue; ``""`` if they show too little.

    Frames of one colour have a hash of zeros, and so have steps without motion.
    """
    colours = frames.astype(np.float32)
    grey = colours @ _GREY
    shows, step = _varies(grey, _FLATTEST), np.diff(grey, axis=0)
    if shows.sum() < _SURE:
        return ""
    red, green, blue = colours[shows].reshape(-1, 3).mean(axis=0)
    tint = np.clip(np.round(np.array([red - green, blue - green])) + 128, 0, 255).astype(np.uint8)
    parts = [
        _signs(grey, 64) * shows[:, None],
        _signs(step, 32) * _varies(step, _STILL)[:, None],
        tint,
        np.zeros(2, np.uint8),
    ]
    return base64.b64encode(b"".join(part.astype(np.uint8).tobytes() for part in parts)).decode("ascii")


def _varies(frames: Floats, least: float) -> npt.NDArray[np.bool_]:
    """Whether the standard deviation of each of N frames is ``least`` or more."""
    flat = frames.reshape(len(frames), -1)
    square = np.einsum("np,np->n", flat, flat) / flat.shape[1] - flat.mean(axis=1) ** 2
    varies: npt.NDArray[np.bool_] = square >= least**2
    return varies


@dataclass(frozen=True)
class Prints:
    """Fingerprints of N clips as arrays. ``rows`` are their positions in the list that was read; other clips have
    none.
    """

    rows: npt.NDArray[np.int64]
    frames: npt.NDArray[np.uint64]
    """(N, 8)."""
    steps: npt.NDArray[np.uint32]
    """(N, 7)."""
    colours: npt.NDArray[np.int16]
    """(N, 2)."""

    def __len__(self) -> int:
        return len(self.rows)


def read(texts: Iterable[str | None]) -> Prints:
    """The fingerprints among ``texts``; other texts are left out."""
    rows, parts = [], []
    for row, text in enumerate(texts):
        if text and len(text) == LENGTH:
            try:
                parts.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
            rows.append(row)
    table = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(len(rows), _BYTES)
    return Prints(
        np.array(rows, dtype=np.int64),
        np.ascontiguousarray(table[:, :64]).view(">u8").astype(np.uint64),
        np.ascontiguousarray(table[:, 64:92]).view(">u4").astype(np.uint32),
        table[:, 92:94].astype(np.int16),
    )


def alike(one: Prints, ones: Places, other: Prints, others: Places) -> npt.NDArray[np.bool_]:
    """Whether each pair, ``ones[n]`` of ``one`` and ``others[n]`` of ``other`` (positions in them), shows the same.

    Frames are compared if both show something (three are needed), steps if both move. If one moves in more than one
    step more than the other, they are not the same.
    """
    mine, theirs = one.frames[ones], other.frames[others]
    near, frames = _near(mine, theirs, _FRAME_BITS)
    moving, their_moving = one.steps[ones], other.steps[others]
    near_steps, _ = _near(moving, their_moving, _STEP_BITS)
    lone = ((moving != 0) != (their_moving != 0)).sum(axis=1) <= 1
    colour = np.abs(one.colours[ones] - other.colours[others]).max(axis=1, initial=0) <= _COLOUR
    found: npt.NDArray[np.bool_] = near & (frames >= _SURE) & near_steps & lone & colour
    return found


def same(one: str, other: str) -> bool:
    """Whether two fingerprints are of one video; not where one of them shows too little. See :func:`alike`."""
    prints = read([one]), read([other])
    first = np.zeros(1, dtype=np.int64)
    return bool(all(map(len, prints)) and alike(prints[0], first, prints[1], first)[0])


def unlike(one: Prints, ones: Places, other: Prints, others: Places) -> npt.NDArray[np.bool_]:
    """Whether each pair surely shows two videos: their frames differ nearly as much as those of any two videos."""
    near, frames = _near(one.frames[ones], other.frames[others], _OTHER_VIDEO)
    found: npt.NDArray[np.bool_] = ~near & (frames >= _SURE)
    return found


def _near(
    mine: npt.NDArray[np.uint64] | npt.NDArray[np.uint32],
    theirs: npt.NDArray[np.uint64] | npt.NDArray[np.uint32],
    limit: float,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Whether hashes differ in at most ``limit`` bits on average; and how many could be compared."""
    both = (mine != 0) & (theirs != 0)
    count = both.sum(axis=1)
    bits = np.where(both, np.bitwise_count(mine ^ theirs), 0).sum(axis=1)
    return bits <= limit * count, count
