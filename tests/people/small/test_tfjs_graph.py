"""Graph models of TensorFlow.js are data from the network: whatever is wrong with one is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.people.small.tfjs import read_graph
from tiny_nanodet import tiny

Document = dict[str, Any]


def test_nodes_in_their_order_and_weights_by_name() -> None:
    made = tiny()
    made.nodes.reverse()
    graph = read_graph(json.dumps(made.document()).encode(), made.values, "tiny")
    place = {node.name: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        for name in (text.partition(":")[0] for text in node.inputs):
            assert name in graph.weights or place[name] < place[node.name]
    assert graph.weights["pool/fill"] == -np.inf
    assert graph.weights["stem/kernel"].shape == (3, 3, 3, 6)
    assert graph.weights["stem/kernel"].dtype == np.float32
    assert set(graph.outputs) == {"Identity", *(f"Identity_{number}" for number in range(1, 6))}


def _weights(document: Document) -> list[Document]:
    return document["weightsManifest"][0]["weights"]


def _circle(document: Document) -> None:
    node = next(node for node in document["modelTopology"]["node"] if node["name"] == "stem/relu")
    node["input"] = ["head0/add"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda d: d.pop("modelTopology"), "KeyError"),
        (lambda d: d.update(modelTopology=[]), "TypeError"),
        (lambda d: d["modelTopology"].update(node=[None]), "AttributeError"),
        (lambda d: _weights(d)[0].update(shape=[-1]), "has the shape"),
        (lambda d: _weights(d)[0].update(shape=[1 << 40]), "has the shape"),
        (lambda d: _weights(d)[0].update(dtype="complex64"), "KeyError"),
        (lambda d: _weights(d)[0].update(quantization={"dtype": "uint8"}), "is quantized as 'uint8'"),
        (lambda d: _weights(d).pop(), "bytes more than are listed"),
        (lambda d: _weights(d).append({"name": "x", "shape": [9], "dtype": "int32"}), "ends before 'x'"),
        (lambda d: d["signature"]["outputs"].update({"nobody:0": {}}), "KeyError"),
        (_circle, "waits for itself"),
    ],
)
def test_a_damaged_model_is_a_sentence(how: Callable[[Document], object], said: str) -> None:
    made = tiny()
    document = json.loads(json.dumps(made.document()))
    how(document)
    with pytest.raises(UserError, match=f"tiny is no graph model of TensorFlow.js.*{said}"):
        read_graph(json.dumps(document).encode(), made.values, "tiny")


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_document(text: bytes) -> None:
    with pytest.raises(UserError, match="is no graph model"):
        read_graph(text, b"", "it")
