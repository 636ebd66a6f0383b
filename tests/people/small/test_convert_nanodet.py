"""The converter against a plain computation of the same graph, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.people.small.convert import to_onnx
from clipquarry.people.small.tfjs import Graph, read_graph
from plain_graph import compute
from tiny_nanodet import MODEL_SHA256, PERSON, SIZE, Maker, tiny


def graph_of(made: Maker) -> Graph:
    return read_graph(json.dumps(made.document()).encode(), made.values, "tiny")


def run(onnx: bytes, image: np.ndarray) -> dict[str, np.ndarray]:
    net = cv2.dnn.readNetFromONNX(np.frombuffer(onnx, np.uint8))
    names = net.getUnconnectedOutLayersNames()
    net.setInput(image)
    return {name.removeprefix("out/"): value for name, value in zip(names, net.forward(names), strict=True)}


def image_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)


def test_opencv_computes_what_the_graph_says() -> None:
    graph, image = graph_of(tiny()), image_of(SIZE, SIZE)
    wanted, found = compute(graph, image), run(to_onnx(graph, (SIZE, SIZE)), image)
    assert sorted(found) == sorted(wanted)
    for name, value in wanted.items():
        assert value.std() > 0.01, "the comparison would say nothing"
        np.testing.assert_allclose(found[name], value, atol=2e-5, rtol=1e-5)


def test_a_model_takes_inputs_of_other_sizes() -> None:
    graph, image = graph_of(tiny()), image_of(96, 160)
    wide, square = run(to_onnx(graph, (96, 160)), image), run(to_onnx(graph, (SIZE, SIZE)), image)
    assert {name: value.shape for name, value in wide.items()} == {
        **{f"Identity{end}": (1, cells, 80) for end, cells in (("", 240), ("_1", 60), ("_2", 15))},
        **{f"Identity{end}": (1, cells, 44) for end, cells in (("_3", 240), ("_4", 60), ("_5", 15))},
    }
    for name, value in wide.items():
        np.testing.assert_array_equal(square[name], value)


def test_the_bytes_are_the_same_everywhere() -> None:
    """Where this fails because the converter writes another file, the sum of NanoDet-g's in package.py changes as well."""
    assert hashlib.sha256(to_onnx(graph_of(tiny(PERSON)), (SIZE, SIZE))).hexdigest() == MODEL_SHA256


def change(op: str, how: Callable[[dict[str, Any]], object]) -> Graph:
    """The tiny graph, the first node of ``op`` changed."""
    made = tiny()
    how(next(node for node in made.nodes if node["op"] == op))
    return graph_of(made)


@pytest.mark.parametrize(
    ("op", "how", "said"),
    [
        ("LeakyRelu", lambda node: node.update(op="Elu"), "the operation 'Elu' .stem/relu., which cannot be converted"),
        ("Conv2D", lambda node: node["attr"].update(padding={"s": "U0FNRQ=="}), "not VALID in NHWC"),
        ("Conv2D", lambda node: node["attr"].update(dilations={"list": {"i": ["1", "2", "2", "1"]}}), "dilated"),
        ("MaxPool", lambda node: node["attr"].pop("strides"), "not VALID in NHWC"),
        ("ResizeBilinear", lambda node: node["attr"].update(align_corners={"b": True}), "half pixels"),
        ("Reshape", lambda node: node["input"].reverse(), "is a constant"),
        ("Placeholder", lambda node: node["attr"]["shape"]["shape"]["dim"].reverse(), "its shape is"),
        ("Sigmoid", lambda node: node["input"].append("pool/pads"), None),
        ("Add", lambda node: node["input"].__setitem__(1, "concat/axis"), "something else than a convolution"),
    ],
)
def test_another_graph_is_refused_with_a_sentence(
    op: str, how: Callable[[dict[str, Any]], object], said: str | None
) -> None:
    graph = change(op, how)
    if said is None:
        to_onnx(graph, (SIZE, SIZE))
        return
    with pytest.raises(UserError, match=said):
        to_onnx(graph, (SIZE, SIZE))
