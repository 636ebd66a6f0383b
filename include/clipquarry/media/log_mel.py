"""Log-mel features of sound, with the numbers of mmaction2's ``build_audio_features.py``, in numpy alone.

16 kHz mono, scaled to an RMS of 0.1; short-time Fourier transform of 512 samples every 256; 80 mel bands from 125 to
7600 Hz; decibels from -100 to 0 become 0 to 1. The reference computes the transform with the package lws (mode
"speech") and bands and resampling with librosa 0.9. Its window is the root of a Hann window that is half a sample
late, and 256 zeros come before the sound, so that one second gives 64 frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clipquarry.media.audio import Samples, mono
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason

RATE: Final = 16_000
"""Samples per second."""
WINDOW: Final = 512
HOP: Final = 256
BANDS: Final = 80
_LOW_HZ, _HIGH_HZ = 125.0, 7600.0
_RMS, _LEAST_RMS = 0.1, 1e-4
_LEAST: Final = 1e-5
"""The least magnitude: -100 dB."""
_REFERENCE_DB, _FLOOR_DB = 20.0, 100.0

# The filter of librosa 0.9's resampler (resampy's "kaiser_best"): a sinc of 50 zero crossings under a Kaiser window.
_CROSSINGS: Final = 50
_ROLL_OFF: Final = 0.917347
_BETA: Final = 12.9846
_PART: Final = 40
"""Samples that one product of matrices gives."""
_ONE_THREAD: Final = 1 << 18
"""Multiplications up to which OpenBLAS starts no threads; their waiting cost ten times the work."""
_COARSEST: Final = 2000
"""Parts of a ratio of rates: 44.1 kHz has 441, 11025 Hz 640, 47999 Hz 47999."""
_BETWEEN: Final = 48_000
_FRAMES_AT_ONCE: Final = 4096

Floats = npt.NDArray[np.float64]


def frames_of(samples: int) -> int:
    """Frames of ``samples`` at 16 kHz."""
    return ceil(samples / HOP) + 1 if samples else 0


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW))


def _mel_of(hertz: npt.ArrayLike) -> Floats:
    """Slaney's scale: linear to 1000 Hz, then 27 steps for each factor of 6.4."""
    values = np.asarray(hertz, dtype=np.float64)
    return np.where(values < 1000, values * 3 / 200, 15 + 27 * np.log(np.maximum(values, 1000) / 1000) / np.log(6.4))


def _hertz_of(mels: Floats) -> Floats:
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) * (mels - 15) / 27))


@lru_cache(maxsize=1)
def mel_bands() -> Floats:
    """Weights of the frequencies in each band, (257, 80): triangles of equal area, as ``librosa.filters.mel`` has them."""
    edges = _hertz_of(np.linspace(_mel_of(_LOW_HZ), _mel_of(_HIGH_HZ), BANDS + 2))
    hertz = np.arange(WINDOW // 2 + 1)[:, None] * RATE / WINDOW
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    weights: Floats = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return weights


@dataclass(frozen=True)
class _Resampling:
    """Resampling in blocks: ``step`` samples give ``made`` at 16 kHz. The sound needs ``lead`` zeros before it."""

    step: int
    made: int
    lead: int
    parts: tuple[tuple[int, int, Floats], ...]
    """Place of the first sample that is read and of the first that is made in a block, and the matrix between them."""

    @property
    def reads(self) -> int:
        """Samples that a block reads; more than ``step``."""
        return max(first + len(matrix) for first, _, matrix in self.parts)


@lru_cache(maxsize=8)
def _resampling(rate: int) -> _Resampling:
    made, step = RATE // gcd(RATE, rate), rate // gcd(RATE, rate)
    scale = min(1.0, RATE / rate)
    lead = ceil(_CROSSINGS / scale)
    # Rows of a matrix that overlap themselves would be copied, hence long blocks; short parts have few zeros in them.
    times = max(ceil(_PART / made), ceil((_PART * rate / RATE + 2 * lead + 2) / step))
    made, step = made * times, step * times
    parts = []
    for begin in range(0, made, _PART):
        at = np.arange(begin, min(made, begin + _PART)) * rate / RATE
        first, last = int(at[0]) - lead, int(at[-1]) + lead + 1
        away = scale * (np.arange(first, last + 1)[:, None] - at)
        inside = np.sqrt(np.maximum(0, 1 - (away / _CROSSINGS) ** 2))
        weights = scale * _ROLL_OFF * np.sinc(_ROLL_OFF * away) * np.i0(_BETA * inside) / np.i0(_BETA)
        parts.append((first + lead, begin, np.where(np.abs(away) <= _CROSSINGS, weights, 0.0)))
    return _Resampling(step, made, lead, tuple(parts))


def _product(rows: Floats, matrix: Floats, out: Floats) -> None:
    """``rows @ matrix`` in pieces that BLAS does not divide among threads: a step has as many threads as it may."""
    size = max(1, _ONE_THREAD // matrix.size)
    whole = len(rows) // size * size
    if whole:
        out[:whole] = np.matmul(rows[:whole].reshape(whole // size, size, -1), matrix).reshape(whole, -1)
    if whole < len(rows):
        out[whole:] = rows[whole:] @ matrix


def resampled(pieces: Iterable[tuple[Samples, int]]) -> Iterator[Floats]:
    """Sound at 16 kHz, in pieces. ``n`` samples give ``ceil(n * 16000 / rate)``, as with ``librosa.load``."""
    rest: Floats = np.zeros(0)
    rate = given = made = 0
    for piece, own in pieces:
        if rate not in (0, own):
            raise MediaError(Reason.CORRUPT, f"the sound changes from {rate} to {own} Hz")
        if own == RATE:
            rate = own
            yield piece.astype(np.float64)
            continue
        how = _resampling(own)
        if not rate:
            rest, rate = np.zeros(how.lead), own
        given += len(piece)
        rest, block = _blocks(np.concatenate([rest, piece]), how)
        made += len(block)
        yield block
    if rate in (0, RATE):
        return
    how = _resampling(rate)
    wanted, full = -(-given * RATE // rate), given * RATE // rate
    short = -(-max(0, wanted - made) // how.made)
    _, block = _blocks(np.concatenate([rest, np.zeros(short * how.step + how.reads)]), how)
    block[max(0, full - made) :] = 0.0  # librosa fills up with a zero
    yield block[: wanted - made]


def _blocks(samples: Floats, how: _Resampling) -> tuple[Floats, Floats]:
    """The samples that are needed again, and all blocks that they give."""
    count = max(0, (len(samples) - how.reads) // how.step + 1)
    made = np.empty((count, how.made))
    for first, begin, matrix in how.parts if count else ():
        windows = np.lib.stride_tricks.sliding_window_view(samples[first:], len(matrix))[:: how.step][:count]
        _product(windows, matrix, made[:, begin : begin + matrix.shape[1]])
    return samples[count * how.step :], made.ravel()


def log_mel(pieces: Iterable[tuple[Samples, int]]) -> npt.NDArray[np.float32]:
    """The features, (frames, 80), between 0 and 1, of mono sound in pieces with their rate (see :func:`mono`).

    The sound's own loudness does not matter. Raises MediaError CORRUPT where there is no sample, or an odd rate.
    """
    bands, found = mel_bands(), list[Floats]()
    rest: Floats = np.zeros(HOP)
    samples, squares = 0, 0.0
    for piece in resampled(pieces):
        samples, squares = samples + len(piece), squares + float(np.einsum("i,i->", piece, piece))
        rest = np.concatenate([rest, piece])
        rest, made = _magnitudes(rest, bands)
        found += made
    if not samples:
        raise MediaError(Reason.CORRUPT, "there is no sound")
    lacking = frames_of(samples) - sum(map(len, found))
    _, made = _magnitudes(
        np.concatenate([rest, np.zeros(lacking * HOP + WINDOW)])[: (lacking - 1) * HOP + WINDOW], bands
    )
    # The transform and the bands are linear, so that the sound may be scaled after them.
    whole = np.concatenate([*found, *made]) * (_RMS / max(_LEAST_RMS, (squares / samples) ** 0.5))
    levels = 20 * np.log10(np.maximum(_LEAST, whole)) - _REFERENCE_DB
    features: npt.NDArray[np.float32] = np.clip((levels + _FLOOR_DB) / _FLOOR_DB, 0, 1).astype(np.float32)
    return features


def _magnitudes(samples: Floats, bands: Floats) -> tuple[Floats, list[Floats]]:
    """The samples that are needed again, and the magnitudes of the bands in all whole windows."""
    count = max(0, (len(samples) - WINDOW) // HOP + 1)
    if not count:
        return samples, []
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[: count * HOP : HOP]
    found = []
    for at in range(0, count, _FRAMES_AT_ONCE):
        magnitudes = np.abs(np.fft.rfft(windows[at : at + _FRAMES_AT_ONCE] * _window()))
        found.append(np.empty((len(magnitudes), BANDS)))
        _product(magnitudes, bands, found[-1])
    return samples[count * HOP :], found


def features_of(wav: Path) -> npt.NDArray[np.float32]:
    """The features of a wav file of any rate and number of channels. Raises MediaError CORRUPT if it is none.

    A rate that has little in common with 16 kHz would need a large matrix, and is brought to 48 kHz first.
    """
    return log_mel(mono(wav, _through))


def _through(rate: int) -> int:
    odd = max(RATE, rate) // max(1, gcd(RATE, rate)) > _COARSEST
    return _BETWEEN if odd else rate


def features_problem(found: npt.NDArray[Any]) -> str | None:
    """What is wrong with an array of features, or None."""
    if found.dtype != np.float32 or found.ndim != 2 or found.shape[1] != BANDS:
        return f"it is {found.dtype} of {'x'.join(map(str, found.shape))}, not float32 of {BANDS} bands"
    if not len(found) or not np.isfinite(found).all():
        return "it is empty, or a number in it is not finite"
    if found.min() < 0 or found.max() > 1:
        return f"its numbers go from {found.min():g} to {found.max():g}, not from 0 to 1"
    return None
