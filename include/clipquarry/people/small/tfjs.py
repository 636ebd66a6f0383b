"""Reader of TensorFlow.js graph models: ``model.json`` (the graph, and a list of weights) and one file of weights.

The format is that of TensorFlow.js' converter (``format: graph-model``): ``modelTopology.node`` is a GraphDef as JSON,
``weightsManifest`` lists groups of weights with shape, type and quantization; their values stand one behind another, in
little-endian. The files come from the network: whatever is not as described is a UserError.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clipquarry.errors import UserError, unread

_TYPES = {"float32": "<f4", "int32": "<i4"}
_MAX_NODES = 20_000
_MAX_SIZE = 1 << 28
"""Values in one weight."""


@dataclass(frozen=True)
class Node:
    """One operation. ``inputs``: names of nodes, with ``:n`` for an output other than the first; no control inputs."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def number(self, name: str, default: float = 0.0) -> float:
        """An attribute ``{"f": …}``."""
        return float(self.attributes.get(name, {}).get("f", default))

    def flag(self, name: str) -> bool:
        """An attribute ``{"b": …}``; false where it is left out."""
        return self.attributes.get(name, {}).get("b") is True

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute ``{"list": {"i": […]}}``, whose numbers may be texts; empty where it is left out."""
        return tuple(int(value) for value in self.attributes.get(name, {}).get("list", {}).get("i", ()))

    def word(self, name: str) -> str:
        """An attribute ``{"s": …}``: a text in base64; empty where it is left out."""
        return base64.b64decode(self.attributes.get(name, {}).get("s", ""), validate=True).decode("ascii")


@dataclass(frozen=True)
class Graph:
    """A graph model. ``nodes`` are in the order in which they run, without the weights; ``outputs`` are names of nodes."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, npt.NDArray[Any]]
    outputs: tuple[str, ...]


def read_graph(described: bytes, values: bytes, what: str) -> Graph:
    """The model. ``what`` names it in an error. Raises UserError where the bytes are no such model."""
    try:
        document = json.loads(described)
        nodes = {node.name: node for node in map(_node, document["modelTopology"]["node"])}
        weights = _weights(document["weightsManifest"], values)
        if len(nodes) > _MAX_NODES:
            raise ValueError(f"{len(nodes)} nodes are more than {_MAX_NODES}")
        outputs = tuple(name.partition(":")[0] for name in document["signature"]["outputs"])
        return Graph(_in_order(nodes, outputs, weights), weights, outputs)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        text = f"{type(error).__name__}: {unread(error)[:200]}"
        raise UserError(f"{what} is no graph model of TensorFlow.js ({text}): fetch it again.") from None


def _node(given: Mapping[str, Any]) -> Node:
    inputs = tuple(str(name).removesuffix(":0") for name in given.get("input", ()) if not str(name).startswith("^"))
    return Node(str(given["name"]), str(given["op"]), inputs, given.get("attr", {}))


def _weights(manifest: Any, values: bytes) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    place = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        quantization = entry.get("quantization")
        if quantization is not None and quantization.get("dtype") != "float16":
            raise ValueError(f"the weight {entry['name']!r} is quantized as {quantization.get('dtype')!r}")
        stored = np.dtype("<f2" if quantization else _TYPES[entry["dtype"]])
        shape = tuple(int(size) for size in entry["shape"])
        count = math.prod(shape)
        if min(shape, default=1) < 0 or count > _MAX_SIZE:
            raise ValueError(f"the weight {entry['name']!r} has the shape {shape}")
        if place + count * stored.itemsize > len(values):
            raise ValueError(f"the file of weights ends before {entry['name']!r}")
        value = np.frombuffer(values, stored, count, place).reshape(shape)
        found[str(entry["name"])] = value.astype(np.float32 if value.dtype.kind == "f" else np.int64)
        place += count * stored.itemsize
    if place != len(values):
        raise ValueError(f"the file of weights has {len(values) - place} bytes more than are listed")
    return found


def _in_order(
    nodes: Mapping[str, Node], outputs: tuple[str, ...], weights: Mapping[str, npt.NDArray[Any]]
) -> tuple[Node, ...]:
    """The nodes that the outputs need, each behind its inputs. Raises ValueError for a circle or a missing node."""
    done: dict[str, Node] = {}
    begun: set[str] = set()
    todo = list(reversed(outputs))
    while todo:
        name = todo[-1]
        if name in done or name in weights:
            todo.pop()
            continue
        node = nodes[name]
        open_ = [i for i in (text.partition(":")[0] for text in node.inputs) if i not in done and i not in weights]
        if not open_:
            done[name] = node
            todo.pop()
        elif name in begun:
            raise ValueError(f"the node {name!r} waits for itself")
        else:
            begun.add(name)
            todo.extend(open_)
    return tuple(done.values())
