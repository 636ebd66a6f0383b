"""Hostile pickles, one for each way out that scanners of pickles know, are refused with one sentence; numbers come through."""

from __future__ import annotations

import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations import pickle_weight, safe_pickle
from clipquarry.annotations.safe_pickle import Array, load
from clipquarry.errors import UserError

RAN: list[str] = []


def ran(text: str) -> str:
    """What a hostile pickle wants to call."""
    RAN.append(text)
    return text


HERE = __name__.encode()


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def glob(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def stacked(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


CALLED = {
    "GLOBAL and REDUCE": b"\x80\x02" + glob("os", "system") + b"X\x04\x00\x00\x00true\x85R.",
    "STACK_GLOBAL and REDUCE": b"\x80\x04" + stacked("os", "system") + short("true") + b"\x85R.",
    "GLOBAL of protocol 0": b"cposix\nsystem\n(S'true'\ntR.",
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(" + glob("os", "system") + b"S'true'\no.",
    "NEWOBJ": b"\x80\x02" + glob("collections", "OrderedDict") + b")\x81.",
    "NEWOBJ_EX": b"\x80\x04" + stacked("collections", "OrderedDict") + b")}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"Psomething\n.",
    "BINPERSID": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05C\x01a\x98.",
    "FROZENSET": b"\x80\x04(K\x01\x91.",
    "EMPTY_SET": b"\x80\x04\x8f.",
    "its own function": b"\x80\x02" + glob(HERE.decode(), "ran") + b"X\x01\x00\x00\x00a\x85R.",
    "eval of builtins": b"\x80\x02" + glob("__builtin__", "eval") + b"X\x01\x00\x00\x001\x85R.",
    "getattr": b"\x80\x04" + stacked("builtins", "getattr") + b"N" + short("a") + b"\x86R.",
    "a dotted name": b"\x80\x04" + stacked("numpy", "dtype.__class__.__base__") + b")R.",
    "a dotted name of a known function": b"\x80\x04" + stacked("_codecs", "encode.__globals__") + b")R.",
    "a name of numpy that imports": b"\x80\x02" + glob("numpy.testing._private.utils", "runstring") + b"X\x01\x00\x00\x00a}\x86R.",
    "another codec": b"\x80\x02" + glob("_codecs", "encode") + b"X\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
    "bytes of something": b"\x80\x02" + glob("__builtin__", "bytes") + b"J\x00\x00\x00\x40\x85R.",
    "the word ndarray is no function": b"\x80\x02" + glob("numpy", "ndarray") + b")R.",
    "a type of objects in a scalar": b"\x80\x02" + glob("numpy.core.multiarray", "scalar") + glob("numpy", "dtype")
        + b"X\x02\x00\x00\x00O8\x85RX\x08\x00\x00\x0012345678\x86R.",
    "a scalar with too many bytes": b"\x80\x02" + glob("numpy.core.multiarray", "scalar") + glob("numpy", "dtype")
        + b"X\x02\x00\x00\x00f8\x85RX\x09\x00\x00\x00123456789\x86R.",
    "a type whose name is a list": b"\x80\x02" + glob("numpy", "dtype") + b"]\x85R.",
    "a file that breaks off": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00N",
    "protocol 200": b"\x80\xc8N.",
    "bytes8 beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",
    "bytes8 of nearly 2^64": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "bytearray8 beyond the file": b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"abc.",
    "unicode8 beyond the file": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 33) + b"abc.",
    "binstring of a negative length": b"\x80\x02T\xff\xff\xff\xffabc.",
    "long4 of a negative length": b"\x80\x02\x8b\xff\xff\xff\xffabc.",
    "a memo number below zero": b"Np-1\n.",
    "pop of nothing": b"0.",
    "stop in the middle of a value": b"\x80\x02(K\x01.",
    "nothing": b".",
}  # fmt: skip


@pytest.mark.parametrize("way", CALLED)
def test_every_way_out_is_refused(tmp_path: Path, way: str) -> None:
    (tmp_path / "p.pkl").write_bytes(CALLED[way])
    with pytest.raises(UserError, match="was not executed") as told:
        load(tmp_path / "p.pkl", "file of tubes")
    assert len(str(told.value)) < 450 + len(str(tmp_path)) and "\n" not in str(told.value)
    assert RAN == []


@pytest.mark.parametrize("name", [("_codecs", "encode"), ("numpy.core.multiarray", "_reconstruct"), ("numpy", "dtype")])
@pytest.mark.parametrize("by", [glob, stacked])
@pytest.mark.parametrize("state", [b"}X\x01\x00\x00\x00aK\x01s", b"N}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86"])
def test_a_pickle_cannot_change_the_reader_for_those_after_it(
    tmp_path: Path, name: tuple[str, str], by: Any, state: bytes
) -> None:
    """BUILD on a function that STACK_GLOBAL names set attributes of it, such as its defaults."""
    before = safe_pickle._latin1.__defaults__
    (tmp_path / "p.pkl").write_bytes(b"\x80\x04" + by(*name) + state + b"b0N.")
    with pytest.raises(UserError, match="was not executed"):
        load(tmp_path / "p.pkl", "file")
    assert safe_pickle._latin1.__defaults__ == before


def test_what_is_known_refuses_a_new_state_whatever_weighs_it() -> None:
    for made in safe_pickle._KNOWN.values():
        if not isinstance(made, str):
            with pytest.raises(pickle.UnpicklingError):
                made.__setstate__({})
            with pytest.raises(AttributeError):
                made.anything = 1


def array_of(shape: tuple[int, ...], raw: bytes = b"") -> Array:
    array, kind = Array(), safe_pickle.Dtype("f8")
    array.__setstate__((1, shape, kind, False, raw))
    return array


@pytest.mark.parametrize(
    "shape",
    [(1 << 62,) * 300_000, (0, 1 << 62, 1 << 62), (-1, 5), (1 << 63 - 1, 2), (1,) * 33, ("5",), (5.0,), (None,)],
)
def test_shapes_that_no_array_has(shape: Any) -> None:
    """The product of hundreds of thousands of numbers took minutes before it was compared with the bytes."""
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"array|dimension|reshape"):
        array_of(shape).numpy()
    assert time.process_time() - begun < 10


def test_floods_of_instructions_of_one_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of them would take fifty of memory."""
    monkeypatch.setattr(pickle_weight, "MAX_WAITING", 1000)
    monkeypatch.setattr(pickle_weight, "MAX_MADE", 3000)
    floods = {
        "marks": b"(" * 5000,
        "values": b"N" * 5000,
        "lists": b"]" + (b"(" + b"]" * 500 + b"e") * 10 + b".",
        "memo": b"N" + b"\x94" * 5000 + b".",
    }
    for name, flood in floods.items():
        (tmp_path / "p.pkl").write_bytes(b"\x80\x04" + flood)
        with pytest.raises(UserError, match=r"nest deeper|millions of values|remembers more"):
            load(tmp_path / "p.pkl", name)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_come_through_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    given = {
        "labels": ["a", "b"],
        "tubes": {"a/x": {0: [np.arange(10, dtype="<f4").reshape(2, 5)], np.int64(1): [np.ones((1, 5), ">f8")]}},
        "nframes": {"a/x": 40, "b/y": np.int32(7)},
        "share": np.float64(0.5),
        "resolution": {"a/x": (240, 320)},
        "empty": [[] for _ in range(2000)],
    }
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(given, protocol=protocol))
    found = load(tmp_path / "p.pkl", "file of tubes")
    assert found["nframes"] == {"a/x": 40, "b/y": 7} and type(found["nframes"]["b/y"]) is int
    assert found["share"] == 0.5 and list(found["tubes"]["a/x"]) == [0, 1]
    assert np.array_equal(found["tubes"]["a/x"][0][0].numpy(), given["tubes"]["a/x"][0][0])  # type: ignore[index]
    assert np.array_equal(found["tubes"]["a/x"][1][0].numpy(), np.ones((1, 5)))
    assert found["resolution"] == {"a/x": (240, 320)} and len(found["empty"]) == 2000


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    for value in (np.array([1, "a"], dtype=object), np.zeros(2, [("a", "f4")]), np.array(["a"]), np.array([1j])):
        (tmp_path / "p.pkl").write_bytes(pickle.dumps(value, protocol=4))
        found = load(tmp_path / "p.pkl", "file")
        with pytest.raises(ValueError, match=r"values of type|something else"):
            found.numpy()
