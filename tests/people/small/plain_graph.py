"""A graph model of TensorFlow.js, computed plainly in TensorFlow's own order of axes: what the converted network is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from clipquarry.people.small.tfjs import Graph, Node

Array = np.ndarray


def _windows(value: Array, kernel: tuple[int, int], strides: tuple[int, ...]) -> Array:
    """(1, rows, columns, channels, kernel height, kernel width) of an NHWC array, VALID."""
    view = np.lib.stride_tricks.sliding_window_view(value, kernel, axis=(1, 2))
    return view[:, :: strides[1], :: strides[2]]


def _conv(value: Array, kernel: Array, node: Node) -> Array:
    windows = _windows(value, kernel.shape[:2], node.integers("strides"))
    flat = windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)
    return flat @ kernel.reshape(-1, kernel.shape[3])


def _resize(value: Array, size: Any) -> Array:
    """Bilinear, centres of cells at half numbers."""
    for axis, target in zip((1, 2), size.tolist(), strict=True):
        source = value.shape[axis]
        at = ((np.arange(target) + 0.5) * source / target - 0.5).clip(0, source - 1)
        low = np.floor(at).astype(int)
        share = (at - low).astype(value.dtype).reshape([-1 if a == axis else 1 for a in range(4)])
        value = value.take(low, axis) * (1 - share) + value.take(np.minimum(low + 1, source - 1), axis) * share
    return value


def _split(value: Array, sizes: Any, axis: Any) -> list[Array]:
    return np.split(value, np.cumsum(sizes)[:-1], int(axis))


def compute(graph: Graph, image: Array) -> dict[str, Array]:
    """The outputs by name, for an image (1, 3, height, width) of the size that the graph was made for."""
    values: dict[str, Any] = dict(graph.weights)
    for node in graph.nodes:
        given = [values[name] for name in node.inputs]
        match node.op:
            case "Placeholder":
                made = image
            case "Identity":
                made = given[0]
            case "Transpose":
                made = given[0].transpose(given[1])
            case "Pad" | "PadV2":
                made = np.pad(given[0], given[1], constant_values=given[2] if len(given) > 2 else 0)
            case "Conv2D":
                made = _conv(given[0], given[1], node)
            case "MaxPool":
                made = _windows(given[0], node.integers("ksize")[1:3], node.integers("strides")).max(axis=(4, 5))
            case "Add" | "AddV2":
                made = given[0] + given[1]
            case "LeakyRelu":
                made = np.where(given[0] > 0, given[0], given[0] * np.float32(node.number("alpha")))
            case "Sigmoid":
                made = 1 / (1 + np.exp(-given[0]))
            case "ConcatV2":
                made = np.concatenate(given[:-1], int(given[-1]))
            case "SplitV":
                for number, part in enumerate(_split(*given)):
                    values[f"{node.name}:{number}" if number else node.name] = part
                continue
            case "Reshape":
                made = given[0].reshape(given[1])
            case "ResizeBilinear":
                made = _resize(*given)
            case "SparseToDense":
                made = np.full(given[1], given[3])
            case other:
                raise AssertionError(other)
        values[node.name] = made
    return {name: values[name] for name in graph.outputs}
