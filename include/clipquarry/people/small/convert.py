"""Converter of a TensorFlow.js graph model to ONNX: the operations of NanoDet-g, no others.

TensorFlow computes convolutions on arrays of order NHWC, ONNX on NCHW. NanoDet-g was trained with NCHW, so its graph
transposes around each convolution. Here a tensor is known by the array that ONNX computes and by the order of its axes
(:class:`_Tensor`): a transposition only changes the order, and the pairs cancel without a node. Paddings are kept
beside the tensor in the same way, until the convolution or the pooling that takes them in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.errors import UserError
from clipquarry.people.small.onnx_file import OnnxFile
from clipquarry.people.small.tfjs import Graph, Node

_NCHW = (0, 3, 1, 2)
"""Order of the axes of an NHWC array in an NCHW one."""


@dataclass(frozen=True)
class _Tensor:
    """Axis ``i`` of TensorFlow's tensor is axis ``order[i]`` of ONNX's ``name``. ``pads``: cells before and after each of
    TensorFlow's axes that are still to be added, of the value ``fill``.
    """

    name: str
    order: tuple[int, ...]
    pads: tuple[tuple[int, int], ...] = ()
    fill: float = 0.0

    def moved(self, permutation: tuple[int, ...]) -> _Tensor:
        """The tensor after TensorFlow's transposition."""
        pads = tuple(self.pads[axis] for axis in permutation) if self.pads else ()
        return replace(self, order=tuple(self.order[axis] for axis in permutation), pads=pads)


_Value = _Tensor | npt.NDArray[Any]


def to_onnx(graph: Graph, size: tuple[int, int]) -> bytes:
    """The model as an ONNX file, for an input of ``size`` (height, width) and shape (1, 3, height, width), float32.

    Its outputs have the names of the graph's. Raises UserError for an operation, or a form of one, that NanoDet-g has not.
    """
    return _Conversion(graph, size).run()


class _Conversion:
    def __init__(self, graph: Graph, size: tuple[int, int]) -> None:
        self._graph, self._size = graph, size
        self._file = OnnxFile("graph")
        self._values: dict[str, _Value] = dict(graph.weights)
        self._grown: dict[str, float] = {}
        """By how much each tensor's height and width differ from the input's."""
        self._without_bias: dict[str, int] = {}
        """Convolutions whose only reader may still give them a bias: place of the node in the file."""
        self._readers: dict[str, int] = {}
        for node in graph.nodes:
            for text in node.inputs:
                self._readers[text] = self._readers.get(text, 0) + 1

    def run(self) -> bytes:
        for node in self._graph.nodes:
            make = _OPERATIONS.get(node.op)
            if make is None:
                raise UserError(f"The model has the operation '{node.op}' ({node.name}), which cannot be converted.")
            try:
                made = make(self, node)
            except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
                raise UserError(
                    f"The operation '{node.op}' ({node.name}) has a form that cannot be converted: {str(error)[:200]}."
                ) from None
            for number, value in enumerate(made):
                self._values[f"{node.name}:{number}" if number else node.name] = value
        for name in self._graph.outputs:
            tensor = self._tensor(name)
            self._file.add("Identity", [self._plain(tensor)], [f"out/{name}"])
            self._file.outputs[f"out/{name}"] = len(tensor.order)
        return self._file.as_bytes()

    # The parts of which operations are made.

    def _tensor(self, name: str) -> _Tensor:
        value = self._values[name]
        if not isinstance(value, _Tensor):
            raise ValueError(f"'{name}' is a constant")
        return value

    def _constant(self, name: str) -> npt.NDArray[Any]:
        value = self._values[name]
        if isinstance(value, _Tensor):
            raise ValueError(f"'{name}' is no constant")
        return value

    def _plain(self, tensor: _Tensor, order: tuple[int, ...] | None = None) -> str:
        """ONNX's name of the tensor with its axes in TensorFlow's order, or in ``order`` of TensorFlow's axes."""
        self._unpadded(tensor)
        wanted = order or tuple(range(len(tensor.order)))
        permutation = tuple(tensor.order[axis] for axis in wanted)
        if permutation == tuple(range(len(permutation))):
            return tensor.name
        name = f"{tensor.name}/{''.join(map(str, permutation))}"
        if name not in self._grown:
            self._file.add("Transpose", [tensor.name], [name], perm=permutation)
            self._grown[name] = self._grown[tensor.name]
        return name

    @staticmethod
    def _unpadded(tensor: _Tensor) -> _Tensor:
        if tensor.pads:
            raise ValueError("it reads a padded tensor")
        return tensor

    def _padding(self, tensor: _Tensor, fill: float) -> tuple[str, list[int]]:
        """NCHW name and ONNX's ``pads`` (top, left, bottom, right) of an NHWC tensor whose reader pads with ``fill``."""
        pads = tensor.pads or ((0, 0),) * 4
        if any(pads[0]) or any(pads[3]) or (tensor.pads and tensor.fill != fill):
            raise ValueError(f"a padding {pads} of {tensor.fill}")
        name = self._plain(replace(tensor, pads=()), _NCHW)
        return name, [pads[1][0], pads[2][0], pads[1][1], pads[2][1]]

    def _windows(self, node: Node) -> list[int]:
        """Strides of height and width. Only TensorFlow's VALID in NHWC: the graph pads by itself."""
        strides = node.integers("strides")
        if node.word("padding") != "VALID" or node.word("data_format") not in ("", "NHWC") or len(strides) != 4:
            raise ValueError("it is not VALID in NHWC")
        return list(strides[1:3])

    def _added(self, name: str, tensor: _Tensor | None = None, factor: float = 1.0) -> None:
        self._grown[name] = factor * (self._grown[tensor.name] if tensor else 1.0)

    # Operations, by TensorFlow's names. Each returns its outputs.

    def placeholder(self, node: Node) -> list[_Value]:
        shape = [int(part["size"]) for part in node.attributes["shape"]["shape"]["dim"]]
        if len(shape) != 4 or shape[:2] != [1, 3]:
            raise ValueError(f"its shape is {shape}, not 1, 3, height, width")
        self._trained = shape[2:]
        self._file.inputs[node.name] = (1, 3, *self._size)
        self._added(node.name)
        return [_Tensor(node.name, (0, 1, 2, 3))]

    def identity(self, node: Node) -> list[_Value]:
        return [self._values[node.inputs[0]]]

    def transpose(self, node: Node) -> list[_Value]:
        permutation = tuple(int(axis) for axis in self._constant(node.inputs[1]))
        return [self._tensor(node.inputs[0]).moved(permutation)]

    def pad(self, node: Node) -> list[_Value]:
        tensor = self._unpadded(self._tensor(node.inputs[0]))
        pads = tuple((int(before), int(after)) for before, after in self._constant(node.inputs[1]))
        fill = float(self._constant(node.inputs[2])) if len(node.inputs) > 2 else 0.0
        return [replace(tensor, pads=pads, fill=fill)]

    def conv(self, node: Node) -> list[_Value]:
        strides = self._windows(node)
        if set(node.integers("dilations")) - {1}:
            raise ValueError("it is dilated")
        tensor = self._tensor(node.inputs[0])
        name, pads = self._padding(tensor, 0.0)
        kernel = self._constant(node.inputs[1]).transpose(3, 2, 0, 1)  # height, width, in, out: out, in, height, width
        self._file.weights[f"{node.name}/kernel"] = kernel
        self._file.add(
            "Conv", [name, f"{node.name}/kernel"], [node.name],
            kernel_shape=kernel.shape[2:], strides=strides, pads=pads, dilations=[1, 1], group=1,
        )  # fmt: skip
        self._added(node.name, tensor, 1 / strides[0])
        if self._readers.get(node.name) == 1:
            self._without_bias[node.name] = len(self._file.nodes) - 1
        return [_Tensor(node.name, (0, 2, 3, 1))]

    def max_pool(self, node: Node) -> list[_Value]:
        strides = self._windows(node)
        tensor = self._tensor(node.inputs[0])
        name, pads = self._padding(tensor, float("-inf"))
        window = node.integers("ksize")[1:3]
        self._file.add("MaxPool", [name], [node.name], kernel_shape=window, strides=strides, pads=pads)
        self._added(node.name, tensor, 1 / strides[0])
        return [_Tensor(node.name, (0, 2, 3, 1))]

    def add(self, node: Node) -> list[_Value]:
        one, other = (self._values[name] for name in node.inputs)
        if not isinstance(one, _Tensor) and not isinstance(other, _Tensor):
            return [np.asarray(one + other)]  # shapes, computed from constants
        if isinstance(one, _Tensor) and isinstance(other, _Tensor):
            self._unpadded(one)
            right = self._plain(other, tuple(one.order.index(axis) for axis in range(len(one.order))))
            self._file.add("Add", [one.name, right], [node.name])
            self._added(node.name, one)
            return [replace(one, name=node.name)]
        tensor, constant = (one, other) if isinstance(one, _Tensor) else (other, one)
        assert isinstance(tensor, _Tensor) and isinstance(constant, np.ndarray)
        place = self._without_bias.pop(tensor.name, None)
        if place is None or constant.ndim != 1 or tensor.order[-1] != 1:
            raise ValueError("a constant is added to something else than a convolution")
        self._file.weights[f"{node.name}/bias"] = constant
        self._file.nodes[place][1].append(f"{node.name}/bias")
        return [tensor]

    def leaky_relu(self, node: Node) -> list[_Value]:
        return self._each(node, "LeakyRelu", alpha=node.number("alpha", 0.2))

    def sigmoid(self, node: Node) -> list[_Value]:
        return self._each(node, "Sigmoid")

    def _each(self, node: Node, op: str, **attributes: float) -> list[_Value]:
        tensor = self._unpadded(self._tensor(node.inputs[0]))
        self._file.add(op, [tensor.name], [node.name], **attributes)
        self._added(node.name, tensor)
        return [replace(tensor, name=node.name)]

    def concat(self, node: Node) -> list[_Value]:
        tensors = [self._unpadded(self._tensor(name)) for name in node.inputs[:-1]]
        axis = int(self._constant(node.inputs[-1]))
        first = tensors[0]
        inverse = tuple(first.order.index(place) for place in range(len(first.order)))
        names = [self._plain(tensor, inverse) for tensor in tensors]
        self._file.add("Concat", names, [node.name], axis=first.order[axis])
        self._added(node.name, first)
        return [replace(first, name=node.name)]

    def split(self, node: Node) -> list[_Value]:
        tensor = self._unpadded(self._tensor(node.inputs[0]))
        sizes, axis = self._constant(node.inputs[1]), int(self._constant(node.inputs[2]))
        names = [f"{node.name}/{number}" for number in range(len(sizes))]
        self._file.weights[f"{node.name}/sizes"] = sizes
        self._file.add("Split", [tensor.name, f"{node.name}/sizes"], names, axis=tensor.order[axis])
        for name in names:
            self._added(name, tensor)
        return [replace(tensor, name=name) for name in names]

    def reshape(self, node: Node) -> list[_Value]:
        tensor = self._tensor(node.inputs[0])
        shape = self._constant(node.inputs[1])
        if int((shape == -1).sum()) != 1:
            raise ValueError(f"its shape {shape.tolist()} fits one size of the input only")
        self._file.weights[f"{node.name}/shape"] = shape
        self._file.add("Reshape", [self._plain(tensor), f"{node.name}/shape"], [node.name])
        self._added(node.name, tensor)
        return [_Tensor(node.name, tuple(range(len(shape))))]

    def resize(self, node: Node) -> list[_Value]:
        if node.flag("align_corners") or not node.flag("half_pixel_centers"):
            raise ValueError("it is not of half pixels")
        tensor = self._tensor(node.inputs[0])
        height, width = (int(size) for size in self._constant(node.inputs[1]))
        factor = height / self._trained[0] / self._grown[tensor.name]
        if factor not in (0.5, 2.0) or width * self._trained[0] != height * self._trained[1]:
            raise ValueError("it neither doubles nor halves")
        self._file.weights[f"{node.name}/scales"] = np.array([1, 1, factor, factor], np.float32)
        self._file.add(
            "Resize", [self._plain(tensor, _NCHW), "", f"{node.name}/scales"], [node.name],
            mode="linear", coordinate_transformation_mode="half_pixel",
        )  # fmt: skip
        self._added(node.name, tensor, factor)
        return [_Tensor(node.name, (0, 2, 3, 1))]

    def sparse_to_dense(self, node: Node) -> list[_Value]:
        places, size, values, default = (self._constant(name) for name in node.inputs)
        if places.size or values.size:
            raise ValueError("it has values")
        return [np.full([int(s) for s in size], default)]


_OPERATIONS: dict[str, Callable[[_Conversion, Node], list[_Value]]] = {
    "Placeholder": _Conversion.placeholder, "Identity": _Conversion.identity, "Transpose": _Conversion.transpose,
    "Pad": _Conversion.pad, "PadV2": _Conversion.pad, "Conv2D": _Conversion.conv, "MaxPool": _Conversion.max_pool,
    "Add": _Conversion.add, "AddV2": _Conversion.add, "LeakyRelu": _Conversion.leaky_relu,
    "Sigmoid": _Conversion.sigmoid, "ConcatV2": _Conversion.concat, "SplitV": _Conversion.split,
    "Reshape": _Conversion.reshape, "ResizeBilinear": _Conversion.resize, "SparseToDense": _Conversion.sparse_to_dense,
}  # fmt: skip
