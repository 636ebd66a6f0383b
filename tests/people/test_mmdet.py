"""The network detector against mmdet's own loop, and checkpoints that are not what they should be.

Runs in the environment of ``make detect-env``: by itself when that is where pytest runs, else in a child of it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.errors import MachineError, UserError
from clipquarry.microseconds import of
from clipquarry.people.device import choose_device

PROJECT = Path(__file__).parents[2]
THERE = PROJECT / ".venv-detect/bin/python"
HERE = find_spec("mmdet") is not None

needs_mmdet = pytest.mark.skipif(not HERE, reason="mmdet is not in this environment: its own runs these tests")
pytestmark = pytest.mark.timeout(900)


@pytest.mark.skipif(HERE, reason="this is that environment")
def test_in_the_environment_of_mmdet() -> None:
    if not THERE.exists():
        pytest.skip("There is no .venv-detect (make detect-env): the mmdet detector is not tested.")
    done = subprocess.run(
        [THERE, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "--noconftest", __file__],
        cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """RTMDet-tiny: mmdet's model, and its weights in a file."""
    import mmdet_models

    model = mmdet_models.random_model(mmdet_models.RTMDET)
    return model, mmdet_models.save(model, tmp_path_factory.mktemp("weights") / "tiny.pth")


def reference(model: Any, picture: np.ndarray, least: float) -> np.ndarray:
    """Rows x1, y1, x2, y2, score in pixels of the people whom mmdet's own loop finds."""
    from mmdet.apis import inference_detector

    found = inference_detector(model, picture[..., ::-1].copy()).pred_instances
    rows = np.concatenate([found.bboxes.numpy(), found.scores.numpy()[:, None]], axis=1)
    return rows[(found.labels.numpy() == 0) & (found.scores.numpy() > np.float32(least))].astype(np.float64)


SIZES = [(120, 160), (90, 160), (120, 160), (160, 120), (90, 160), (120, 160), (121, 160)]


@needs_mmdet
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", ["rtmdet_tiny_8xb32-300e_coco", "faster-rcnn_r50_fpn_1x_coco"])
def test_box_by_box_as_mmdets_own_loop(name: str, batch: int, tmp_path: Path) -> None:
    import mmdet_models
    from clipquarry.people.detector import as_fractions
    from clipquarry.people.mmdet import MmdetDetector

    config = mmdet_models.small(name, tmp_path)
    model = mmdet_models.random_model(config)
    least = 0.5
    detector = MmdetDetector(
        mmdet_models.save(model, tmp_path / "w.pth"), config, device="cpu", cpu_batch=batch, least=least
    )
    pictures = mmdet_models.scenes(*SIZES)
    found = detector.detect(pictures)
    assert len(found) == len(pictures)
    for picture, boxes in zip(pictures, found, strict=True):
        height, width = picture.shape[:2]
        expected = as_fractions(reference(model, picture, least), width, height)
        assert len(expected) >= 5, "the heads are made to find something"
        if batch == 1:
            np.testing.assert_array_equal(boxes, expected)
            continue
        assert boxes.shape == expected.shape
        np.testing.assert_allclose(boxes[:, 4], expected[:, 4], atol=1e-5)
        # Nearly equal scores may change places: each box has its like.
        off = np.abs(boxes[:, None] - expected[None]).max(axis=2)
        assert off.min(axis=1).max() < 1e-4
        assert off.min(axis=0).max() < 1e-4


@needs_mmdet
def test_batches_hold_pictures_of_one_size(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import mmdet_models
    from clipquarry.people.mmdet import MmdetDetector

    detector = MmdetDetector(tiny[1], mmdet_models.small(mmdet_models.RTMDET, tmp_path), device="cpu", cpu_batch=2)
    seen = []
    inner = detector._found
    detector._found = lambda pictures: seen.append([p.shape[:2] for p in pictures]) or inner(pictures)  # type: ignore[method-assign]
    detector.detect(mmdet_models.scenes(*SIZES))
    assert seen == [[(90, 160)] * 2, [(120, 160)] * 2, [(120, 160)], [(121, 160)], [(160, 120)]]
    assert detector.detect([]) == []
    with pytest.raises(ValueError, match="a frame is"):
        detector.detect([np.zeros((4, 4), np.uint8)])


@needs_mmdet
def test_the_name_changes_with_the_answer(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import mmdet_models
    from clipquarry.files import sha256_of
    from clipquarry.people.mmdet import MmdetDetector, config_path

    def name(checkpoint: Path, config: str = mmdet_models.RTMDET, **more: Any) -> str:
        return MmdetDetector(checkpoint, config, device="cpu", **more).name

    first = name(tiny[1])
    assert first.startswith("mmdet-3.3.0 rtmdet_tiny_8xb32-300e_coco-")
    assert first.endswith(f" weights-{sha256_of(tiny[1])[:8]}")
    assert name(tiny[1], batch=7, half=True) == first, "half precision is for GPUs"
    own = tmp_path / "own.py"
    own.write_text(f"_base_ = {str(config_path(mmdet_models.RTMDET))!r}\nmodel = dict(test_cfg=dict(score_thr=0.2))\n")
    before = name(tiny[1], str(own))
    assert before.split()[1].startswith("own-")
    own.write_text(own.read_text().replace("0.2", "0.3"))
    assert name(tiny[1], str(own)) != before
    with pytest.raises(UserError, match="wanted is 000"):
        name(tiny[1], sha256="0" * 64)
    assert name(tiny[1], sha256=sha256_of(tiny[1]).upper()) == first


class Bomb:
    """What a hostile pickle does."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@needs_mmdet
@pytest.mark.parametrize("how", ["zip", "old", "pickle"])
def test_a_hostile_checkpoint_is_refused_and_not_run(how: str, tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import torch
    from clipquarry.people.checkpoint import load_weights

    mark, file = tmp_path / "ran", tmp_path / "bad.pth"
    content = {"state_dict": tiny[0].state_dict(), "meta": Bomb(mark)}
    if how == "pickle":
        file.write_bytes(pickle.dumps(content["meta"]))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(
        UserError, match=r"bad\.pth is refused: it holds '\w+\.system'|not a readable checkpoint"
    ) as told:
        load_weights(file)
    assert "\n" not in str(told.value)
    assert how == "pickle" or "is refused" in str(told.value)
    assert not mark.exists()


@needs_mmdet
def test_what_openmmlabs_checkpoints_hold_is_read(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import mmdet_models
    import torch
    from clipquarry.people.checkpoint import load_weights
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("test")
    for step in range(3):
        hub.update_scalar("train/loss", np.float64(step))
        hub.update_scalar("train/acc", torch.tensor(0.5))
    meta = {
        "dataset_meta": {"CLASSES": ("person",), "palette": [(1, 2, 3)]},
        "seed": np.int64(3),
        "lr": np.float32(0.1),
    }
    state = tiny[0].state_dict()
    old = OrderedDict((f"module.{name}", value) for name, value in state.items())
    for file in (
        mmdet_models.save(tiny[0], tmp_path / "new.pth", message_hub=hub.state_dict(), meta=meta),
        tmp_path / "old.pth", tmp_path / "bare.pth",
    ):  # fmt: skip
        if file.name == "old.pth":
            torch.save({"state_dict": old, "meta": meta}, file, _use_new_zipfile_serialization=False)
        elif file.name == "bare.pth":
            torch.save(state, file)
        weights = load_weights(file)
        assert list(weights) == list(state), file
        assert all(torch.equal(weights[name], state[name]) for name in state)


@needs_mmdet
@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 torn", b"\x80\x02]q\x00."])
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    from clipquarry.people.checkpoint import load_weights

    file = tmp_path / "x.pth"
    with pytest.raises(UserError, match="There is no checkpoint"):
        load_weights(file)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"not a readable checkpoint|holds no weights") as told:
        load_weights(file)
    assert "\n" not in str(told.value)


@needs_mmdet
def test_a_torn_checkpoint(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    from clipquarry.people.checkpoint import load_weights

    file = tmp_path / "x.pth"
    file.write_bytes(tiny[1].read_bytes()[:-1000])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_weights(file)


@needs_mmdet
def test_a_checkpoint_of_another_model(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import mmdet_models
    import torch
    from clipquarry.people.mmdet import MmdetDetector

    with pytest.raises(
        UserError, match=r"another model: \d\d+ weights of the config's model are missing, \d\d+ are unexp"
    ):
        MmdetDetector(tiny[1], mmdet_models.FASTER, device="cpu")
    state = dict(tiny[0].state_dict())
    name = next(name for name in state if name.endswith("conv.weight"))
    torch.save(state | {name: torch.zeros(1, 2, 3, 4)}, tmp_path / "shape.pth")
    with pytest.raises(UserError, match="another model: 1 weights have another shape"):
        MmdetDetector(tmp_path / "shape.pth", mmdet_models.RTMDET, device="cpu")
    del state[name]
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "one.pth")
    with pytest.raises(UserError, match=rf"1 weights .* missing, 1 are unexpected \(such as {name}, more\)"):
        MmdetDetector(tmp_path / "one.pth", mmdet_models.RTMDET, device="cpu")


@needs_mmdet
@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("no_such", "ships no config 'no_such'"), ("/no/such.py", "There is no config"), ("syntax", "makes no detector: Syntax"),
        ("model = dict(type='Nonsense')", "makes no detector"), ("x = 1", "makes no detector"), ("../rtmdet", "ships no config"),
    ],
)  # fmt: skip
def test_configs_that_make_nothing(config: str, sentence: str, tiny: tuple[Any, Path], tmp_path: Path) -> None:
    from clipquarry.people.mmdet import MmdetDetector

    if config == "syntax" or "=" in config:
        (tmp_path / "c.py").write_text("model = (" if config == "syntax" else config)
        config = str(tmp_path / "c.py")
    with pytest.raises(UserError, match=sentence):
        MmdetDetector(tiny[1], config, device="cpu")


@needs_mmdet
def test_the_step_with_a_network(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    import json

    import cv2
    import mmdet_models
    from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
    from clipquarry.steps.detect import DetectStep
    from clipquarry.steps.runner import run_step

    data = tmp_path / "data"
    (data / "models").mkdir(parents=True)
    (data / "models/tiny.pth").write_bytes(tiny[1].read_bytes())
    rows = []
    for number in range(3):
        clip = f"-wR5jVB-{number:03d}_000010_000014"
        (data / "k/rawframes" / clip).mkdir(parents=True)
        (picture,) = mmdet_models.scenes((120, 160), seed=number)
        cv2.imwrite(str(data / "k/rawframes" / clip / "img_00031.jpg"), picture[..., ::-1])
        rows.append({"item_id": f"train/{clip[:11]},0011", "video_id": clip[:11], "clip_id": clip, "split": "train",
                     "label_index": -1, "start": of(11), "end": of(12)})  # fmt: skip
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), rows)
    params = {
        "root": "k",
        "backend": "mmdet",
        "config": mmdet_models.RTMDET,
        "checkpoint": "models/tiny.pth",
        "device": "cpu",
    }
    results = []
    for jobs in (1, 3):
        out = tmp_path / f"out/part-{jobs}.parquet"
        done = run_step(
            DetectStep(), items=tmp_path / "items.parquet", params=json.dumps(params), out=out, data=data, jobs=jobs
        )
        assert done.exit == 0, done.sentence
        results.append(list(read_rows(out)))
    assert [row["status"] for row in results[0] + results[1]] == ["done"] * 3 + ["kept"] * 3
    assert [row["boxes"] for row in results[0]] == [row["boxes"] for row in results[1]]
    assert all(row["boxes"] and row["detector"].startswith("mmdet-3.3.0 rtmdet") for row in results[0])


# --- without mmdet


def test_without_the_packages_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    if HERE:
        pytest.skip("mmdet is here")
    from clipquarry.people.make import make_detector

    with pytest.raises(MachineError, match=r"needs torch 2\.13\.0.*mmcv 2\.1\.0.*mmdet 3\.3\.0.*make detect-env"):
        make_detector("mmdet", checkpoint=tmp_path / "x.pth")
    with pytest.raises(UserError, match="needs a checkpoint"):
        make_detector("mmdet")


def test_devices() -> None:
    assert choose_device("cpu", {"CLIPQUARRY_DEVICE": "cuda"}) == "cpu"
    assert choose_device("auto", {"CLIPQUARRY_DEVICE": "cpu"}) == "cpu"
    with pytest.raises(UserError, match="CLIPQUARRY_DEVICE is 'gpu'"):
        choose_device("auto", {"CLIPQUARRY_DEVICE": "gpu"})
    with pytest.raises(UserError, match="the device is 'tpu'"):
        choose_device("tpu", {})


@needs_mmdet
def test_devices_that_are_not_there() -> None:
    import torch

    if torch.cuda.is_available():
        assert choose_device("auto", {}).startswith("cuda:")
        with pytest.raises(MachineError, match="they count from 0"):
            choose_device("cuda:99", {})
        return
    assert choose_device("auto", {}) == "cpu"
    with pytest.raises(MachineError, match="shows PyTorch no GPU"):
        choose_device("cuda:0", {})
