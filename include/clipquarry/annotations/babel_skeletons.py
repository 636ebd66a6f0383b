"""BABEL's published arrays to the lists that mmaction2 reads (specification 5.4).

``train_ntu_sk_120.npy`` holds key points [N, 3, 150, 25, 1]: x, y, z, frames, the joints of NTU RGB+D's skeleton, one person. ``train_label_120.pkl`` is
``(ids, (labels, a, b, c))``, each of N values. A sample becomes ``{keypoint [1, 150, 25, 3] float16, label, frame_dir, total_frames}`` with the
name ``<id>_<a>_<b>_<c>``, and the file a plain list, without splits. ``total_frames`` is always 150, as in the reference's
``tools/data/skeleton/babel2mma2.py``.
"""

from __future__ import annotations

import tokenize
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.safe_pickle import Array, load
from clipquarry.annotations.streamed_pickle import writing_list
from clipquarry.errors import UserError, unread
from clipquarry.reasons import Reason, Status

FRAMES, JOINTS = 150, 25
_SHAPE = (3, FRAMES, JOINTS, 1)
_MOST_HEADER = 4096
_MOST_NAME = 300
_HALF = 65_520.0
"""From here on float16 is infinite."""


@dataclass(frozen=True)
class Subset:
    """One of the four lists: its files as published, its file here, and its number of classes."""

    name: str
    x: str
    y: str
    file: str
    classes: int


def _subset(part: str, classes: int) -> Subset:
    name = f"babel{classes}_{part}"
    return Subset(name, f"{part}_ntu_sk_{classes}.npy", f"{part}_label_{classes}.pkl", f"{name}.pkl", classes)


SUBSETS: Mapping[str, Subset] = {
    subset.name: subset for subset in (_subset(part, classes) for classes in (60, 120) for part in ("train", "val"))
}


class BabelRow(NamedTuple):
    """What became of sample ``number`` (from 0). ``sentence``: why it is not in the list, or a remark on one that is."""

    number: int
    name: str
    status: Status
    reason: Reason
    sentence: str = ""
    label: int | None = None


def write_subset(x: Path, y: Path, target: Path, subset: Subset, note: Callable[[BabelRow], None]) -> Counter[Status]:
    """Write the list of a subset, whole or not at all; returns how many samples ended how. ``note`` gets a row for each.

    Memory holds one sample, and all labels and names; the array stays on the disk. Raises :class:`UserError` for files that are not such a pair,
    or hold no usable sample.
    """
    points = read_points(x)
    columns = read_labels(y)
    if len(columns[0]) != len(points):
        raise UserError(
            f"{x} holds {len(points)} samples, but {y} labels {len(columns[0])}: put two files of one subset there."
        )
    ended: Counter[Status] = Counter()
    first: dict[str, int] = {}
    with writing_list(target) as append:
        for index, values in enumerate(zip(*columns, strict=True)):
            row, keypoint = _sample(index, values, points, subset)
            if keypoint is not None:
                before = first.setdefault(row.name, index)
                if before != index:
                    row = row._replace(sentence=f"sample {before} has the same name")
                append({"keypoint": keypoint, "label": row.label, "frame_dir": row.name, "total_frames": FRAMES})
            ended[row.status] += 1
            note(row)
        if not ended[Status.DONE]:
            raise UserError(f"No sample of {x} can be used for {subset.name}: the files are not those of this subset.")
    return ended


def read_points(path: Path) -> npt.NDArray[Any]:
    """The key points [N, 3, 150, 25, 1], not read yet. Raises :class:`UserError` for any other file."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is no file: put BABEL's key points there.")
        array = np.lib.format.open_memmap(path, mode="r", max_header_size=_MOST_HEADER)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (
        ValueError,
        TypeError,
        EOFError,
        OverflowError,
        SyntaxError,
        MemoryError,
        RecursionError,
        tokenize.TokenError,
    ) as error:
        raise UserError(
            f"{path} is no array of numpy, or is cut off ({visible(unread(error), 120)}): get it again."
        ) from error
    if array.dtype.kind != "f" or array.shape[1:] != _SHAPE or not len(array):
        raise UserError(
            f"{path} holds an array {list(array.shape)} of {array.dtype}, not [N, 3, {FRAMES}, {JOINTS}, 1] of fractions."
        )
    return array


def read_labels(path: Path) -> tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]:
    """Ids, labels, a, b and c, equally many of each. Nothing of the pickle is executed. Raises :class:`UserError` for any other file."""
    value = load(path, "file of labels")
    if (
        isinstance(value, tuple | list)
        and len(value) == 2
        and isinstance(value[1], tuple | list)
        and len(value[1]) == 4
    ):
        columns = [_column(part) for part in (value[0], *value[1])]
        found = [column for column in columns if column is not None]
        if len(found) == 5 and len({len(column) for column in found}) == 1:
            return found[0], found[1], found[2], found[3], found[4]
    raise UserError(f"{path} is not (ids, (labels, a, b, c)) with as many of each: put BABEL's file of labels there.")


def _column(value: Any) -> list[Any] | None:
    if isinstance(value, Array):
        try:
            return list(value.numpy().tolist())
        except (ValueError, TypeError):
            return None
    return list(value) if isinstance(value, tuple | list) else None


def _sample(
    index: int, values: tuple[Any, ...], points: npt.NDArray[Any], subset: Subset
) -> tuple[BabelRow, npt.NDArray[np.float16] | None]:
    sid, label, *rest = map(_plain, values)
    if not all(isinstance(part, str | int | float) for part in (sid, *rest)):
        return BabelRow(
            index, f"#{index}", Status.REJECTED, Reason.BAD_ID, "a part of the name is neither text nor a number"
        ), None
    name = "_".join(str(part) for part in (sid, *rest))
    shown = visible(name, 100)
    if not name.isprintable() or len(name) > _MOST_NAME:
        return BabelRow(
            index, shown, Status.REJECTED, Reason.BAD_ID, "the name is too long or holds a control character"
        ), None
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < subset.classes:
        sentence = f"the label {visible(str(label), 40)} is none of 0 to {subset.classes - 1}"
        return BabelRow(index, shown, Status.REJECTED, Reason.UNKNOWN_LABEL, sentence), None
    held = np.asarray(points[index])
    if not (np.abs(held) < _HALF).all():  # NaN compares false
        return BabelRow(index, shown, Status.FAILED, Reason.CORRUPT, "a coordinate is no number of metres", label), None
    keypoint: npt.NDArray[np.float16] = held.transpose(3, 1, 2, 0).astype(np.float16)
    return BabelRow(index, name, Status.DONE, Reason.OK, "", label), keypoint


def _plain(value: Any) -> Any:
    """A scalar of numpy as Python's number."""
    if isinstance(value, Array):
        try:
            found = value.numpy()
        except (ValueError, TypeError):
            return None
        return found.item() if found.shape == () else None
    return value
