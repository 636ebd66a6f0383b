"""Person proposals: a pickle of ``{'{video_id},{second:04d}': array of [x1, y1, x2, y2, score]}``, all numbers in 0..1.

Pickles are programs: how those of strangers are read is in :mod:`~clipquarry.annotations.safe_pickle`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipquarry.annotations import safe_pickle
from clipquarry.errors import UserError
from clipquarry.files import writing

Boxes = npt.NDArray[np.float64]
"""(N, 5) rows ``x1, y1, x2, y2, score``, or (N, 4) without scores; fractions of the picture's width and height."""

_PIXELS = 2
"""A fraction of the picture that is larger than this was never one."""
KEY = re.compile(r"[A-Za-z0-9_-]{1,64},\d{4,7}\Z", re.ASCII)
_OLD_NAME, _NEW_NAME = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.multiarray\n_reconstruct\n"


def proposal_key(video_id: str, second: int) -> str:
    """``0f39OWEqJ24, 902`` gives ``0f39OWEqJ24,0902``. ``second`` counts from the start of the original video."""
    return f"{video_id},{second:04d}"


def _boxes(value: object) -> Boxes:
    array = value.numpy() if isinstance(value, safe_pickle.Array) else np.array(value, dtype=np.float64)
    boxes = np.ascontiguousarray(array, dtype=np.float64)
    if problem := boxes_problem(boxes):
        raise ValueError(problem)
    return boxes


def boxes_problem(boxes: Boxes) -> str | None:
    """Why the reference readers, or a person, would not want this array; None when it is well."""
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
        return f"its shape is {boxes.shape}, not (N, 5) or (N, 4)"
    if not len(boxes):
        return "it is empty: a key without boxes must not be stored"
    if not np.isfinite(boxes).all():
        return "it holds numbers that are not finite"
    most = boxes[:, :4].max()
    if most > _PIXELS:
        return f"its boxes are in pixels (numbers up to {most:g}), where fractions 0..1 of the picture are meant"
    if boxes.shape[1] == 5 and 1 < (score := boxes[:, 4].max()) <= 100:
        return f"its scores are in per cent (numbers up to {score:g}), where 0..1 is meant"
    if boxes.min() < 0 or boxes.max() > 1:
        return "it holds numbers outside 0..1"
    if (boxes[:, 0] >= boxes[:, 2]).any() or (boxes[:, 1] >= boxes[:, 3]).any():
        return "a box has no area"
    return None


def read_proposals(path: Path) -> tuple[dict[str, Boxes], dict[str, str]]:
    """All proposals by key, and what was rejected: key to reason. Arrays become float64.

    Raises :class:`UserError` when the file is not such a pickle, or wants to call anything but numpy's own array maker.
    """
    content = safe_pickle.load(path, "proposal file")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dict of proposals.")
    good: dict[str, Boxes] = {}
    rejected: dict[str, str] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not KEY.match(key):
            rejected[str(key)[:100]] = "the key is not VIDEO,SECOND"
            continue
        try:
            good[key] = _boxes(value)
        except (ValueError, TypeError, OverflowError) as error:
            rejected[key] = str(error)[:200]
    return good, rejected


def write_proposals(proposals: Mapping[str, Boxes], path: Path) -> None:
    """Write whole or not at all. Raises ValueError for a key or an array that readers would choke on.

    Protocol 3, with numpy's old module name: read by every numpy since 1.7 under Python 3, and by this one.
    """
    for key, boxes in proposals.items():
        if not KEY.match(key):
            raise ValueError(f"{key!r} is no proposal key")
        if problem := boxes_problem(boxes):
            raise ValueError(f"{key}: {problem}")
    plain = {key: np.ascontiguousarray(boxes, dtype="<f8") for key, boxes in proposals.items()}
    # The name stands once, before any number, because pickle refers back to it afterwards.
    text = pickle.dumps(plain, protocol=3).replace(_NEW_NAME, _OLD_NAME, 1)
    with writing(path, "wb") as handle:
        handle.write(text)


def merge_proposals(kinetics: Mapping[str, Boxes], ava: Mapping[str, Boxes]) -> dict[str, Boxes]:
    """Both, Kinetics first; AVA's arrays win where keys meet."""
    return {**kinetics, **ava}


def lacking(keys: set[str], proposals: Mapping[str, Boxes]) -> Iterator[str]:
    """Ground-truth keys without proposals, sorted: the reference's readers silently take the whole picture for them."""
    return iter(sorted(keys - proposals.keys()))
