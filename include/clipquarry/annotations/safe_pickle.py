"""Safe reader of untrusted pickles that hold plain values and arrays of numbers.

A pickle is a program. Before any of it runs, its instructions are read once
(:mod:`~clipquarry.annotations.pickle_weight`): their nesting, their size if shared values count as often as they are
used, the number of remembered values, and whether announced data is there. Then an unpickler that knows a few names
of numpy builds it, with a placeholder for each that only keeps its arguments. Arrays are made from those afterwards
(:meth:`Array.numpy`). Nothing else of a pickle is ever called.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.pickle_weight import weigh
from clipquarry.errors import UserError

MAX_BYTES = 2_000_000_000
MAX_DIMENSIONS = 32
_NUMBERS = re.compile(r"([<>=|]?)([fiu])([1248])\Z", re.ASCII)


class Dtype:
    """Placeholder for ``numpy.dtype``."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str):
            raise pickle.UnpicklingError("it has a type without a name")
        self.name, self.order = name, "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = str(state[1])

    def numpy(self) -> np.dtype[Any]:
        found = _NUMBERS.match(self.name)
        if found is None:
            raise ValueError(f"values of type {self.name[:40]!r}")
        return np.dtype(f"{(found[1] or self.order).replace('|', '=')}{found[2]}{found[3]}")


class Array:
    """Placeholder for ``numpy.ndarray``."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return "an array"  # without an address, so that messages are the same each time

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def numpy(self) -> npt.NDArray[Any]:
        """The array. Raises ValueError for anything but an array of numbers."""
        shape, dtype, fortran, raw = self.state[-4:]
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # python 2
        if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, Dtype) or not isinstance(shape, tuple):
            raise ValueError("an array of something else than numbers")
        kind = dtype.numpy()
        if len(shape) > MAX_DIMENSIONS:  # the product of a million numbers takes hours
            raise ValueError(f"an array of {len(shape)} dimensions")
        if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array whose shape {shape!r} does not fit its {len(raw)} bytes"[:200])
        return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> Array:
    return Array()


def _from_buffer(raw: object, dtype: object, shape: object, order: object = "C") -> Array:
    array = Array()
    array.state = (shape, dtype, order == "F", raw)
    return array


def _latin1(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("it encodes text")
    return text.encode("latin-1")


def _no_bytes(*arguments: object) -> bytes:
    if arguments:
        raise pickle.UnpicklingError("it makes bytes of something")
    return b""


def _scalar(dtype: object, raw: object = b"") -> Any:
    """The number that a numpy scalar holds."""
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # python 2
    if not isinstance(dtype, Dtype) or not isinstance(raw, bytes | bytearray):
        raise pickle.UnpicklingError("it has a scalar of something else than a number")
    kind = dtype.numpy()
    if len(raw) != kind.itemsize:
        raise pickle.UnpicklingError(f"it has a number of type {dtype.name} in {len(raw)} bytes")
    return np.frombuffer(raw, kind)[0].item()


class _Call:
    """A function that a pickle may call and nothing else. Of a plain function it could change the defaults, for all later pickles."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("it changes a function")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Call(Dtype),
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument
    ("_codecs", "encode"): _Call(_latin1),
    # The way in which protocols 0 to 2 write the bytes of an empty array.
    ("__builtin__", "bytes"): _Call(_no_bytes),
    ("builtins", "bytes"): _Call(_no_bytes),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Call(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Call(_from_buffer) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Call(_scalar) for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}"[:200]) from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside")


def load(path: Path, what: str) -> Any:
    """The value of a pickle; ``what`` is the kind of file for messages (``proposal file``).

    Raises :class:`UserError` if it cannot be read, is too large or damaged, or calls anything.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES} bytes: that is not a {what}.")
        if not size:
            raise UserError(f"{path} is empty: that is not a {what}.")
        with open(path, "rb") as handle:
            with mmap(handle.fileno(), 0, access=ACCESS_READ) as content:
                weigh(content)
            return _Unpickler(handle, encoding="latin1").load()
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    except MemoryError:
        raise UserError(f"{path} claims more data than it holds: it is damaged or hostile.") from None
    except Exception as error:  # noqa: BLE001  a damaged pickle raises whatever its bytes lead to
        text = " ".join(str(error).encode("unicode_escape").decode().split())
        raise UserError(f"{path} is no {what}, and was not executed: {text}"[:400].rstrip(".") + ".") from None
