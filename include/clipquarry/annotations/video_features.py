"""Features of untrimmed videos (specification 4.1 of the other data sets): the scores of a video's clips, and their pooling.

A model gives scores of the classes for a clip around each frame 8, 24, 40 …: an array [T, 200] for a video, T = ceil((frames - 8) / 16),
of frames and one of optical flow. Networks for proposals read a csv of fixed length instead: a header ``f0`` to ``f399``, then 100 rows,
200 columns of the frames' scores and 200 of the flow's.
"""

from __future__ import annotations

import math
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.safe_pickle import Array, load
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError

ROWS, CLASSES = 100, 200
"""Rows of a pooled csv, and columns of each of its two halves."""
SUFFIXES = (".pkl", ".npy")
"""Of files with an array: mmaction2 pickles it, numpy has a format of its own."""
_STEP, _CENTRE = 16, 8
_BINS = 3
_EDGE = 1e-4
_MOST = 1 << 20
"""Clips of a video, at most: 190 hours at 25 frames a second."""

Scores = npt.NDArray[np.float32]


def clips_of(frames: int) -> int:
    """T, the clips of a video with so many frames; 0 for one that is too short."""
    return max(0, math.ceil((frames - _CENTRE) / _STEP))


def read_scores(path: Path) -> Scores:
    """The scores of a video's clips, [T, 200] float32, from a pickle of the array or a ``.npy``.

    Nothing of a pickle is executed (:mod:`~clipquarry.annotations.safe_pickle`). Raises :class:`UserError` with what is wrong, such as
    scores that were averaged over the clips, whose 200 numbers pooling would take for time.
    """
    found = _load_npy(path) if path.suffix == ".npy" else _load_pickle(path)
    if found.ndim == 1 or found.shape == (1, 1, CLASSES):
        raise UserError(
            f"{path} holds one row of scores ({_shape(found)}), an average over the video: extract it with --long-video-mode, "
            f"which gives a row for each clip [T, {CLASSES}]."
        )
    if found.ndim != 2 or found.shape[1] != CLASSES or not 1 <= found.shape[0] <= _MOST:
        raise UserError(f"{path} holds an array {_shape(found)}, not [T, {CLASSES}] with a row for each clip.")
    if found.dtype.kind not in "fiu":
        raise UserError(f"{path} holds values of type {found.dtype}, not numbers.")
    scores = np.ascontiguousarray(found, dtype=np.float32)
    if not np.isfinite(scores).all():
        raise UserError(f"{path} holds values that are no finite numbers: extract it again.")
    return scores


def _shape(array: npt.NDArray[Any]) -> str:
    return str(list(array.shape))


def _load_pickle(path: Path) -> npt.NDArray[Any]:
    value = load(path, "file of scores")
    if isinstance(value, list) and value and all(isinstance(row, Array) for row in value):
        rows = [_array(row, path) for row in value]
        if len({row.shape for row in rows}) == 1:
            return np.stack(rows)
    if not isinstance(value, Array):
        raise UserError(f"{path} holds a {type(value).__name__}, not an array [T, {CLASSES}].")
    return _array(value, path)


def _array(value: Array, path: Path) -> npt.NDArray[Any]:
    try:
        return value.numpy()
    except ValueError as error:
        raise UserError(f"{path} holds {error}, not an array [T, {CLASSES}].") from error


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _load_npy(path: Path) -> npt.NDArray[Any]:
    try:
        with open(path, "rb") as handle:
            read = _HEADERS.get(np.lib.format.read_magic(handle))
            if read is None:
                raise ValueError("of a version that is not known")
            shape, _, dtype = read(handle)
            # Before anything is allocated: a header of a few bytes may promise any size.
            if dtype.hasobject or math.prod(shape) * dtype.itemsize != path.stat().st_size - handle.tell():
                raise ValueError("its header does not fit its size")
            handle.seek(0)
            found: npt.NDArray[Any] = np.lib.format.read_array(handle, allow_pickle=False)
    except (ValueError, EOFError, KeyError, OverflowError, SyntaxError, TypeError, tokenize.TokenError) as error:
        raise UserError(f"{path} is no array of numpy ({str(error)[:100]}): extract it again.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    return found


def pool(scores: Scores) -> npt.NDArray[np.float64]:
    """The scores [T, K] pooled to [100, K]: each row is the mean of three points of the line through the clips' scores.

    By the reference's arithmetic, so that its digits come out: differences of neighbours in float32, all else in float64; the
    windows' beginnings are summed up one by one. One clip is repeated.
    """
    count = len(scores)
    if count == 1:
        return np.repeat(scores.astype(np.float64), ROWS, axis=0)
    begin, end = _EDGE, count - 1 - _EDGE
    width = (end - begin) / ROWS
    begins = np.add.accumulate(np.concatenate(([begin], np.full(ROWS - 1, width))))
    points = [_between(scores, begins + width * (n / _BINS)) for n in range(_BINS)]
    return (points[0] + points[1] + points[2]) / _BINS


def _between(scores: Scores, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The scores at fractional places, linear between the clips."""
    above = np.searchsorted(np.arange(len(scores)), places).clip(1, len(scores) - 1)
    below = above - 1
    slope: npt.NDArray[np.float64] = (scores[above] - scores[below]).astype(np.float64)
    found: npt.NDArray[np.float64] = slope * (places - below)[:, None] + scores[below]
    return found


_LINE = ",".join(["%.4f"] * (2 * CLASSES))
_HEADER = ",".join(f"f{n}" for n in range(2 * CLASSES))


def pooled_csv(rgb: Scores, flow: Scores) -> str:
    """The csv of a video: its text, byte for byte the reference's, without a newline at the end."""
    table = np.concatenate((pool(rgb), pool(flow)), axis=1)
    return "\n".join((_HEADER, *(_LINE % tuple(row) for row in table.tolist())))


def read_pooled(path: Path) -> npt.NDArray[np.float64]:
    """The numbers [100, 400] of a pooled csv. Raises :class:`UserError` with what is wrong: it has 100 rows of 400 finite numbers below a
    header, and may end with a newline.
    """
    try:
        text = read_small(path, "csv of features").decode("ascii")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text (byte {error.start}).") from error
    lines = text.removesuffix("\n").replace("\r\n", "\n").split("\n")
    if lines[0] != _HEADER:
        raise UserError(f"{path}: its header is not f0 to f{2 * CLASSES - 1}.")
    if len(lines) != ROWS + 1:
        raise UserError(f"{path} has {len(lines) - 1} rows, not {ROWS}.")
    table = np.empty((ROWS, 2 * CLASSES))
    for number, line in enumerate(lines[1:]):
        values = line.split(",")
        if len(values) != 2 * CLASSES:
            raise UserError(f"{path}, line {number + 2} has {len(values)} values, not {2 * CLASSES}.")
        try:
            table[number] = values
        except ValueError as error:
            raise UserError(f"{path}, line {number + 2} holds what is no number.") from error
    if not np.isfinite(table).all():
        number = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise UserError(f"{path}, line {number + 2} holds a number that is not finite.")
    return table
