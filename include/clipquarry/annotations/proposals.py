"""Reader and writer of person proposals: a pickle of ``{'{video_id},{second:04d}': array of [x1, y1, x2, y2,
score]}``, all numbers in 0..1.

Pickles are programs: :mod:`~clipquarry.annotations.safe_pickle` reads untrusted ones.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipquarry.annotations import safe_pickle
from clipquarry.errors import UserError
from clipquarry.files import writing

Boxes = npt.NDArray[np.float64]
"""(N, 5) rows ``x1, y1, x2, y2, score``, or (N, 4) without scores; fractions of the frame's width and height."""

_PIXELS = 2
"""A larger value is not a fraction of the frame."""
_AT_ONCE = 10_000
"""Keys whose boxes are checked together; a copy of them is held meanwhile."""
KEY = re.compile(r"[^,\s/\\]{1,150},[0-9]{4,7}\Z")
"""A video may be called anything without a comma, as in data sets of people's own."""
_OLD_NAME, _NEW_NAME = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.multiarray\n_reconstruct\n"


def proposal_key(video_id: str, second: int) -> str:
    """``0f39OWEqJ24, 902`` gives ``0f39OWEqJ24,0902``. ``second`` counts from the start of the original video."""
    return f"{video_id},{second:04d}"


def _boxes(value: object) -> Boxes:
    array = value.numpy() if isinstance(value, safe_pickle.Array) else np.array(value, dtype=np.float64)
    return np.ascontiguousarray(array, dtype=np.float64)


def boxes_problem(boxes: Boxes) -> str | None:
    """Why the reference readers, or a person, would reject this array; None if it is valid."""
    if problem := _shape_problem(boxes):
        return problem
    if not np.isfinite(boxes).all():
        return "it holds numbers that are not finite"
    most = boxes[:, :4].max()
    if most > _PIXELS:
        return f"its boxes are in pixels (numbers up to {most:g}), where fractions 0..1 of the frame are expected"
    if boxes.shape[1] == 5 and 1 < (score := boxes[:, 4].max()) <= 100:
        return f"its scores are in per cent (numbers up to {score:g}), where 0..1 is expected"
    if boxes.min() < 0 or boxes.max() > 1:
        return "it holds numbers outside 0..1"
    if (boxes[:, 0] >= boxes[:, 2]).any() or (boxes[:, 1] >= boxes[:, 3]).any():
        return "a box has no area"
    return None


def _shape_problem(boxes: Boxes) -> str | None:
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
        return f"its shape is {boxes.shape}, not (N, 5) or (N, 4)"
    if not len(boxes):
        return "it is empty: a key without boxes must not be stored"
    return None


def _problems(proposals: Mapping[str, Boxes]) -> dict[str, str]:
    """:func:`boxes_problem` of many arrays, in their order, without the valid ones.

    The boxes of thousands of keys are checked as one array: a check costs as much for one box as for many.
    """
    problems: dict[str, str] = {}
    keys = iter(proposals)
    while some := list(islice(keys, _AT_ONCE)):
        found = {key: problem for key in some if (problem := _shape_problem(proposals[key]))}
        for columns in (4, 5):
            alike = [key for key in some if key not in found and proposals[key].shape[1] == columns]
            found |= {key: str(boxes_problem(proposals[key])) for key in _suspects(alike, proposals)}
        problems |= {key: found[key] for key in some if key in found}
    return problems


def _suspects(keys: Sequence[str], proposals: Mapping[str, Boxes]) -> list[str]:
    """The keys with an invalid box; all their arrays have boxes, of as many columns."""
    if not keys:
        return []
    arrays = [proposals[key] for key in keys]
    boxes = np.concatenate(arrays)
    # NaN compares false with everything.
    well = ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    if well.all():
        return []
    of_key = np.repeat(np.arange(len(keys)), [len(array) for array in arrays])
    return [keys[number] for number in np.unique(of_key[~well])]


def read_proposals(path: Path) -> tuple[dict[str, Boxes], dict[str, str]]:
    """All proposals by key, and the rejected ones: key to reason. Arrays become float64.

    Raises :class:`UserError` if the file is not such a pickle, or calls anything but numpy's own array constructor.
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
    for key, problem in _problems(good).items():
        rejected[key] = problem[:200]
        del good[key]
    return good, rejected


def write_proposals(proposals: Mapping[str, Boxes], path: Path) -> None:
    """Write whole or not at all. Raises ValueError for a key or an array that readers would reject.

    Protocol 3, with numpy's old module name: every numpy since 1.7 under Python 3 reads it.
    """
    for key in proposals:
        if not KEY.match(key):
            raise ValueError(f"{key!r} is no proposal key")
    for key, problem in _problems(proposals).items():
        raise ValueError(f"{key}: {problem}")
    plain = {key: np.ascontiguousarray(boxes, dtype="<f8") for key, boxes in proposals.items()}
    # The name stands once, before any number, because pickle refers back to it afterwards.
    text = pickle.dumps(plain, protocol=3).replace(_NEW_NAME, _OLD_NAME, 1)
    with writing(path, "wb") as handle:
        handle.write(text)


def merge_proposals(kinetics: Mapping[str, Boxes], ava: Mapping[str, Boxes]) -> dict[str, Boxes]:
    """Both sets, Kinetics first. If both have a key, AVA's array is used."""
    return {**kinetics, **ava}


def lacking(keys: set[str], proposals: Mapping[str, Boxes]) -> Iterator[str]:
    """Ground-truth keys without proposals, sorted: the reference's readers silently take the whole frame for them."""
    return iter(sorted(keys - proposals.keys()))
