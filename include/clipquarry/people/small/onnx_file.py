"""Writer of ONNX files, as far as one small network needs it: nodes, weights, inputs and outputs of float32.

The format is Protocol Buffers with the messages of ``onnx.proto3`` (github.com/onnx/onnx, onnx/onnx.proto3). The few fields
that are written stand here with their numbers, so that no package is needed to write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Attribute = int | float | str | Sequence[int]

_IR, _OPSET = 7, 13
"""Version of the format, and of the operators. OpenCV 4.11 and ONNX Runtime 1.8 and newer read them."""
_FLOAT, _INT64 = 1, 7
"""TensorProto.DataType."""


@dataclass
class OnnxFile:
    """A network in the making. All names are those of tensors; each is written by one node, or is a weight or an input.

    ``inputs``: their shapes. ``outputs``: how many axes each has.
    """

    name: str
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    weights: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    nodes: list[tuple[str, list[str], list[str], dict[str, Attribute]]] = field(default_factory=list)

    def add(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Attribute) -> None:
        """A node. Nodes stand in the order in which they run."""
        self.nodes.append((op, list(inputs), list(outputs), dict(attributes)))

    def as_bytes(self) -> bytes:
        """The file's content; the same for the same network."""
        graph = b"".join(_message(1, _node(*node)) for node in self.nodes)
        graph += _text(2, self.name)
        graph += b"".join(_message(5, _tensor(name, value)) for name, value in self.weights.items())
        graph += b"".join(_message(11, _value(name, shape)) for name, shape in self.inputs.items())
        graph += b"".join(_message(12, _value(name, [None] * axes)) for name, axes in self.outputs.items())
        opset = _text(1, "") + _number(2, _OPSET)
        return _number(1, _IR) + _text(2, "clipquarry") + _message(7, graph) + _message(8, opset)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as 64 bits
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_: int, value: int) -> bytes:
    return _varint(field_ << 3) + _varint(value)


def _message(field_: int, content: bytes) -> bytes:
    return _varint(field_ << 3 | 2) + _varint(len(content)) + content


def _text(field_: int, value: str) -> bytes:
    return _message(field_, value.encode())


def _node(op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]) -> bytes:
    """NodeProto: input 1, output 2, name 3, op_type 4, attribute 5."""
    out = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
    out += _text(3, outputs[0]) + _text(4, op)
    return out + b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto: name 1, f 2, i 3, s 4, ints 8, type 20."""
    out = _text(1, name)
    if isinstance(value, str):
        return out + _text(4, value) + _number(20, 3)
    if isinstance(value, float):
        return out + _varint(2 << 3 | 5) + np.float32(value).tobytes() + _number(20, 1)
    if isinstance(value, int):
        return out + _number(3, value) + _number(20, 2)
    return out + b"".join(_number(8, number) for number in value) + _number(20, 7)


def _tensor(name: str, value: npt.NDArray[Any]) -> bytes:
    """TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little-endian)."""
    kind, stored = (_FLOAT, "<f4") if value.dtype.kind == "f" else (_INT64, "<i8")
    out = b"".join(_number(1, size) for size in value.shape) + _number(2, kind) + _text(8, name)
    return out + _message(9, np.ascontiguousarray(value, dtype=stored).tobytes())


def _value(name: str, shape: Sequence[int | None]) -> bytes:
    """ValueInfoProto: name 1, type 2 (TypeProto: tensor_type 1 (elem_type 1, shape 2 (dim 1 (dim_value 1)))).

    A size None is left open.
    """
    dims = b"".join(_message(1, b"" if size is None else _number(1, size)) for size in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, _FLOAT) + _message(2, dims)))
