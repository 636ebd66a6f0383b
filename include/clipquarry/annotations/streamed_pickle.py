"""Writer of large pickles, one sample at a time: a plain list, or a package ``{annotations: [...], split: {...}}``.

``pickle.dump`` needs all samples at once, and remembers every one of them. Here the file is written instruction by instruction: an open list,
then each sample and ``APPEND``, and at the end what closes it. Every value is pickled alone, in protocol 3, and remembers nothing
(``pickletools.optimize`` takes out what it remembers without need). So memory holds one sample, here and in the unpickler's memo, and
``pickle.load`` reads the file like any other. Arrays carry numpy's old module name, which every numpy since 1.7 knows.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from clipquarry.files import writing

Sample = Mapping[str, Any]
"""Texts, numbers, tuples of them, and arrays of numbers."""

_BEGIN = pickle.PROTO + b"\x03"
_MOST_BYTES = (1 << 32) - 1


def _value(value: object) -> bytes:
    """The instructions that put a value on the stack, and remember nothing of it beyond its own end."""
    if isinstance(value, np.ndarray):
        return _array(value)
    return pickletools.optimize(pickle.dumps(value, protocol=3))[len(_BEGIN) : -1]


def _array(array: npt.NDArray[Any]) -> bytes:
    """The same as numpy's own: ``_reconstruct(ndarray, (0,), b"b")``, and its state (1, shape, dtype, whether in Fortran's order, bytes)."""
    if array.dtype.kind not in "fiu":
        raise TypeError(f"an array of {array.dtype}, not of numbers")
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    if len(plain) > _MOST_BYTES:
        raise TypeError("an array of more than 4 GB")
    return b"".join(
        (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01",
            _value(array.shape),
            _dtype(array.dtype.newbyteorder("<")),
            pickle.NEWFALSE,
            pickle.BINBYTES + len(plain).to_bytes(4, "little"),
            plain,
            pickle.TUPLE + pickle.BUILD,
        )
    )


@lru_cache(maxsize=64)
def _dtype(dtype: np.dtype[Any]) -> bytes:
    return _value(dtype)


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return _value(key)


def _sample(sample: Sample) -> bytes:
    parts = [part for key, value in sample.items() for part in (_key(key), _value(value))]
    return b"".join((pickle.EMPTY_DICT, pickle.MARK, *parts, pickle.SETITEMS, pickle.APPEND))


def _appender(handle: IO[bytes]) -> Callable[[Sample], None]:
    def append(sample: Sample) -> None:
        handle.write(_sample(sample))

    return append


@contextmanager
def writing_list(target: Path) -> Iterator[Callable[[Sample], None]]:
    """A pickle of a list of samples: the block calls what it gets with each. ``target`` appears whole when the block ends without an
    error, else not at all.
    """
    with writing(target, "wb") as handle:
        handle.write(_BEGIN + pickle.EMPTY_LIST)
        yield _appender(handle)
        handle.write(pickle.STOP)


@contextmanager
def writing_package(target: Path, split: Mapping[str, Sequence[str]]) -> Iterator[Callable[[Sample], None]]:
    """The same for ``{"annotations": [sample, ...], "split": {name: [frame_dir, ...]}}``. ``split`` is read when the block ends, so that
    the block may fill it.
    """
    with writing(target, "wb") as handle:
        handle.write(_BEGIN + pickle.EMPTY_DICT + pickle.MARK + _value("annotations") + pickle.EMPTY_LIST)
        yield _appender(handle)
        plain = {name: list(members) for name, members in split.items()}
        handle.write(_value("split") + _value(plain) + pickle.SETITEMS + pickle.STOP)
