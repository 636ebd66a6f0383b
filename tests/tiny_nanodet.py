"""A tiny network with every operation and form of NanoDet-g's graph model, and its npm package."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from clipquarry.people.small.package import Package

SIZE = 64
MODEL_SHA256 = "a7b913fc9307db8641efa16d6612f55ad17fd0ec6f3e28c661ff441fa16befe9"
"""Of the ONNX file that the converter makes of ``tiny(PERSON)``, for :data:`SIZE`."""
PERSON = 2.0
_CLASSES, _EDGES = 80, 44


class Maker:
    """Collects nodes and weights in TensorFlow.js' form."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.entries: list[dict[str, Any]] = []
        self.values = b""
        self._drawn = 0

    def _draw(self, scale: float, *shape: int) -> np.ndarray:
        """Numbers without order from -scale to scale; the same with every version of numpy."""
        count = int(np.prod(shape))
        places = self._drawn + np.arange(count, dtype=np.int64)
        self._drawn += count
        return ((places * places * 7 + places * 37) % 1009 / 504.5 - 1).reshape(shape) * scale

    def const(self, name: str, value: Any, dtype: str) -> str:
        array = np.asarray(value)
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": dtype}
        if dtype == "float32" and array.size > 1:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        stored = {"int32": "<i4", "float32": "<f2" if "quantization" in entry else "<f4"}[dtype]
        self.entries.append(entry)
        self.values += array.astype(stored).tobytes()
        self.nodes.append({"name": name, "op": "Const", "attr": {}})
        return name

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attributes})
        return name

    def nhwc(self, name: str, value: str) -> str:
        perm = self.const(f"{name}/perm", [0, 2, 3, 1], "int32")
        return self.node("Transpose", f"{name}/nhwc", value, perm)

    def nchw(self, name: str, value: str) -> str:
        perm = self.const(f"{name}/perm2", [0, 3, 1, 2], "int32")
        return self.node("Transpose", f"{name}/nchw", value, perm)

    def conv(self, name: str, value: str, sizes: tuple[int, int, int], stride: int, bias: Any = None) -> str:
        """NCHW in and out; ``sizes``: kernel, channels in, channels out."""
        kernel, come, go = sizes
        if kernel > 1:
            pads = self.const(f"{name}/pads", [[0, 0], [0, 0], [1, 1], [1, 1]], "int32")
            value = self.node("Pad", f"{name}/pad", value, pads)
        weights = self._draw(1.7 / np.sqrt(kernel * kernel * come), kernel, kernel, come, go)
        self.const(f"{name}/kernel", weights, "float32")
        self.const(f"{name}/bias", self._draw(0.2, go) if bias is None else bias, "float32")
        done = self.node(
            "Conv2D", f"{name}/conv", self.nhwc(name, value), f"{name}/kernel",
            strides=numbers(1, stride, stride, 1), dilations=numbers(1, 1, 1, 1), padding=word("VALID"),
            data_format=word("NHWC"),
        )  # fmt: skip
        return self.nchw(name, self.node("Add", f"{name}/add", done, f"{name}/bias"))

    def block(self, name: str, value: str, come: int, go: int, stride: int) -> str:
        return self.node("LeakyRelu", f"{name}/relu", self.conv(name, value, (3, come, go), stride), alpha={"f": 0.1})

    def resized(self, name: str, value: str, size: int) -> str:
        self.const(f"{name}/size", [size, size], "int32")
        done = self.node(
            "ResizeBilinear", f"{name}/resize", self.nhwc(name, value), f"{name}/size",
            align_corners={"b": False}, half_pixel_centers={"b": True},
        )  # fmt: skip
        return self.nchw(name, done)

    def output(self, name: str, value: str, size: int, number: int) -> None:
        """Reshaped to (1, size, cells), then (1, cells, size), by a shape of which the graph computes a part."""
        self.const(f"{name}/where", np.zeros((0, 1)), "int32")
        self.const(f"{name}/shape_of", [3], "int32")
        self.const(f"{name}/none", [], "int32")
        self.const(f"{name}/zero", 0, "int32")
        self.const(f"{name}/shape", [1, size, -1], "int32")
        zeros = [f"{name}/where", f"{name}/shape_of", f"{name}/none", f"{name}/zero"]
        zero = self.node("SparseToDense", f"{name}/sparse", *zeros)
        shape = self.node("AddV2", f"{name}/shape2", f"{name}/shape", zero)
        flat = self.node("Reshape", f"{name}/reshape", value, shape)
        perm = self.const(f"{name}/perm3", [0, 2, 1], "int32")
        self.node(
            "Identity", f"Identity_{number}" if number else "Identity", self.node("Transpose", f"{name}/t", flat, perm)
        )

    def head(self, level: int, value: str, channels: int, bias: Any) -> None:
        both = self.conv(f"head{level}", value, (1, channels, _CLASSES + _EDGES), 1, bias)
        self.const(f"split{level}/sizes", [_CLASSES, _EDGES], "int32")
        self.const(f"split{level}/axis", 1, "int32")
        split = self.node("SplitV", f"split{level}", both, f"split{level}/sizes", f"split{level}/axis")
        self.output(f"classes{level}", self.node("Sigmoid", f"sigmoid{level}", split), _CLASSES, level)
        self.output(f"edges{level}", f"{split}:1", _EDGES, level + 3)

    def document(self) -> dict[str, Any]:
        outputs = {f"{node['name']}:0": {} for node in self.nodes if node["op"] == "Identity"}
        return {
            "format": "graph-model", "modelTopology": {"node": self.nodes},
            "signature": {"inputs": {"input_1:0": {}}, "outputs": outputs},
            "weightsManifest": [{"paths": ["tiny.bin"], "weights": self.entries}],
        }  # fmt: skip


def numbers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def word(text: str) -> dict[str, Any]:
    return {"s": base64.b64encode(text.encode()).decode()}


def tiny(person: float | None = None) -> Maker:
    """The network. With ``person`` everything is 0 but the biases of the head of 32 pixels: the logit of people
    is ``person``, and every edge lies one cell away.
    """
    made = Maker()
    dims = [{"size": str(size)} for size in (1, 3, SIZE, SIZE)]
    image = made.node("Placeholder", "input_1", shape={"shape": {"dim": dims}})
    stem = made.block("stem", image, 3, 6, 2)
    made.const("pool/pads", [[0, 0], [0, 0], [1, 1], [1, 1]], "int32")
    made.const("pool/fill", -np.inf, "float32")
    padded = made.node("PadV2", "pool/pad", stem, "pool/pads", "pool/fill")
    pool = made.node(
        "MaxPool", "pool", made.nhwc("pool", padded), ksize=numbers(1, 3, 3, 1), strides=numbers(1, 2, 2, 1),
        padding=word("VALID"), data_format=word("NHWC"),
    )  # fmt: skip
    low = made.block("low", made.nchw("pool", pool), 6, 6, 2)
    side = made.block("side", low, 6, 4, 1)
    made.const("concat/axis", 1, "int32")
    low = made.node("ConcatV2", "concat", low, side, "concat/axis", N={"i": "2"})
    middle = made.block("middle", low, 10, 10, 2)
    high = made.block("high", middle, 10, 10, 2)
    middle = made.node("Add", "down1", middle, made.resized("up1", high, SIZE // 16))
    low = made.node("Add", "down2", low, made.resized("up2", middle, SIZE // 8))
    middle = made.node("Add", "up3", middle, made.resized("half1", low, SIZE // 16))
    high = made.node("Add", "up4", high, made.resized("half2", middle, SIZE // 32))
    for level, value in enumerate((low, middle, high)):
        bias = None
        if person is not None:
            bias = np.full(_CLASSES + _EDGES, -9.0)
            bias[0] = person if level == 2 else -9
            bias[_CLASSES + np.arange(1, _EDGES, 11)] = 20
        made.head(level, value, 10, bias)
    if person is not None:
        made.values = _without_kernels(made)
    return made


def _without_kernels(made: Maker) -> bytes:
    kept, place = b"", 0
    for entry in made.entries:
        size = int(np.prod(entry["shape"])) * (2 if "quantization" in entry else 4)
        piece = made.values[place : place + size]
        kept += bytes(size) if entry["name"].endswith("/kernel") else piece
        place += size
    return kept


def archive(path: Path, made: Maker, members: dict[str, bytes] | None = None) -> Path:
    """The npm package of it; ``members``: what it holds instead."""
    inside = {"package/package.json": b"{}"} | (
        {"package/models/tiny.bin": made.values, "package/models/tiny.json": json.dumps(made.document()).encode()}
        if members is None
        else members
    )
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as out,
    ):
        for name, content in inside.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def package(archive: Path, model_sha256: str = MODEL_SHA256) -> Package:
    return Package(
        "tiny", f"/{archive.name}", hashlib.sha256(archive.read_bytes()).hexdigest(), "package/models/tiny.json",
        "package/models/tiny.bin", model_sha256, SIZE,
    )  # fmt: skip
