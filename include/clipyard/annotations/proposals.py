"""Person proposals: a pickle of ``{'{video_id},{second:04d}': array of [x1, y1, x2, y2, score]}``, all numbers in 0..1.

Pickles are programs. The ones from the net are read by an unpickler that knows three names of numpy and gives each a
stand-in that only keeps what it is told; arrays are made from that afterwards. Nothing else of a pickle is ever called.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from clipyard.errors import UserError
from clipyard.files import writing

Boxes = npt.NDArray[np.float64]
"""(N, 5) rows ``x1, y1, x2, y2, score``, or (N, 4) without scores; fractions of the picture's width and height."""

KEY = re.compile(r"[A-Za-z0-9_-]{1,64},\d{4,7}\Z", re.ASCII)
MAX_BYTES = 2_000_000_000
_NUMBERS = re.compile(r"([<>=|]?)([fiu])([1248])\Z", re.ASCII)
_OLD_NAME, _NEW_NAME = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.multiarray\n_reconstruct\n"


def proposal_key(video_id: str, second: int) -> str:
    """``0f39OWEqJ24, 902`` gives ``0f39OWEqJ24,0902``. ``second`` counts from the start of the original video."""
    return f"{video_id},{second:04d}"


class _Dtype:
    """Stands for ``numpy.dtype``."""

    def __init__(self, name: object, *_: object) -> None:
        self.name, self.order = str(name), "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = str(state[1])

    def numpy(self) -> np.dtype[Any]:
        found = _NUMBERS.match(self.name)
        if found is None:
            raise ValueError(f"values of type {self.name[:40]!r}")
        return np.dtype(f"{(found[1] or self.order).replace('|', '=')}{found[2]}{found[3]}")


class _Array:
    """Stands for ``numpy.ndarray``."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def numpy(self) -> npt.NDArray[Any]:
        shape, dtype, fortran, raw = self.state[-4:]
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # python 2
        if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            raise ValueError("an array of something else than numbers")
        kind = dtype.numpy()
        if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array whose shape {shape!r} does not fit its {len(raw)} bytes"[:200])
        return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(raw: object, dtype: object, shape: object, order: object = "C") -> _Array:
    array = _Array()
    array.state = (shape, dtype, order == "F", raw)
    return array


def _latin1(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("it encodes text")
    return text.encode("latin-1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument
    ("_codecs", "encode"): _latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}"[:200]) from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside")


def _boxes(value: object) -> Boxes:
    array = value.numpy() if isinstance(value, _Array) else np.array(value, dtype=np.float64)
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
    if not np.isfinite(boxes).all() or boxes.min() < 0 or boxes.max() > 1:
        return "it holds numbers outside 0..1"
    if (boxes[:, 0] >= boxes[:, 2]).any() or (boxes[:, 1] >= boxes[:, 3]).any():
        return "a box has no area"
    return None


def read_proposals(path: Path) -> tuple[dict[str, Boxes], dict[str, str]]:
    """All proposals by key, and what was rejected: key to reason. Arrays become float64.

    Raises :class:`UserError` when the file is not such a pickle, or wants to call anything but numpy's own array maker.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES} bytes: that is not a proposal file.")
        with open(path, "rb") as handle:
            content = _Unpickler(handle, encoding="latin1").load()
    except OSError as error:
        raise UserError(f"The proposals {path} cannot be read: {error.strerror}.") from error
    except MemoryError:
        raise UserError(f"{path} claims more data than it holds: it is damaged or hostile.") from None
    except Exception as error:  # noqa: BLE001  a damaged pickle raises whatever its bytes lead to
        raise UserError(f"{path} is no proposal file, and was not executed: {error}"[:400].rstrip(".") + ".") from None
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
