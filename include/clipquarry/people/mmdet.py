"""Backend for any detector of mmdetection: a config, a checkpoint, and frames in batches.

Frames go through the config's own test pipeline and the model's own preprocessing, as in
``mmdet.apis.inference_detector``, which takes them one by one. A batch contains frames of one size only: padding
beside a smaller frame would change the detections.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from clipquarry.errors import MachineError, UserError
from clipquarry.files import sha256_of
from clipquarry.people.checkpoint import fit_weights, load_weights
from clipquarry.people.detector import Boxes, Frame, as_fractions, check_frame
from clipquarry.people.device import choose_device

CONFIG = "cascade-rcnn_x101-64x4d_fpn_1x_coco"
"""The detector that made mmaction2's proposals of AVA-Kinetics: Cascade R-CNN, ResNeXt-101-64x4d, FPN, COCO."""
PERSON = 0
"""COCO's class."""
_NEEDS = "torch 2.13.0, mmengine 0.10.7, mmcv 2.1.0 with its operators and mmdet 3.3.0 (image clipquarry-detect, or 'make detect-env')"


class MmdetDetector:
    """See :class:`clipquarry.people.detector.Detector`.

    ``config``: a path, or the name of a config that mmdet ships. **A config is a Python program and is run**: use
    your own or mmdet's. ``checkpoint``: weights only (:mod:`clipquarry.people.checkpoint`). ``sha256``: the
    checkpoint's expected one, if known. ``device``: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``
    (:mod:`clipquarry.people.device`). ``batch``: frames at once on a GPU. ``cpu_batch``: on a CPU, where more than
    one save no time (``bench/bench_detect.py``) and cost memory. ``half``: half precision, on a GPU only. ``least``:
    a score must be greater. ``label``: the class to detect.

    Raises MachineError without the packages or the device, UserError for a config or a checkpoint that cannot be
    used.
    """

    def __init__(
        self,
        checkpoint: Path,
        config: str = CONFIG,
        *,
        sha256: str | None = None,
        device: str = "auto",
        batch: int = 4,
        cpu_batch: int = 1,
        half: bool = False,
        least: float = 0.5,
        label: int = PERSON,
    ) -> None:
        self._torch = _imported()
        self._least, self._label = np.float32(least), label
        self._device = choose_device(device)
        self._batch = cpu_batch if self._device == "cpu" else batch
        self._half = half and self._device != "cpu"
        found = config_path(config)
        weights = load_weights(checkpoint)
        digest = sha256_of(checkpoint)
        if sha256 is not None and digest != sha256.lower():
            raise UserError(f"The sha256 of {checkpoint} is {digest}, wanted is {sha256}: it is another file.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mmdet's warnings about older spellings of torch
            self._model, self._pipeline, described = _built(found)
            fit_weights(self._model, weights, checkpoint)
            self._model.to(self._device).eval()
        self._name = f"mmdet-{import_module('mmdet').__version__} {found.stem}-{described[:8]} weights-{digest[:8]}"

    @property
    def name(self) -> str:
        return f"{self._name} half" if self._half else self._name

    @property
    def device(self) -> str:
        """The device: ``cpu`` or ``cuda:N``."""
        return self._device

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        for frame in frames:
            check_frame(frame)
        found: list[Boxes | None] = [None] * len(frames)
        for places in self._batches(frames):
            for place, boxes in zip(places, self._found([frames[place] for place in places]), strict=True):
                found[place] = boxes
        return [boxes for boxes in found if boxes is not None]

    def _batches(self, frames: Sequence[Frame]) -> Iterator[list[int]]:
        """Positions of frames of one size, at most a batch at a time."""

        def size(place: int) -> tuple[int, ...]:
            return frames[place].shape

        for _, same in groupby(sorted(range(len(frames)), key=size), size):
            places = list(same)
            yield from (places[begin : begin + self._batch] for begin in range(0, len(places), self._batch))

    def _found(self, frames: Sequence[Frame]) -> list[Boxes]:
        torch = self._torch
        # mmdet expects OpenCV's order: blue first.
        ready = [self._pipeline({"img": frame[..., ::-1].copy(), "img_id": 0}) for frame in frames]
        data = {name: [one[name] for one in ready] for name in ("inputs", "data_samples")}
        kind = self._device.partition(":")[0]
        try:
            with warnings.catch_warnings(), torch.no_grad(), torch.autocast(kind, torch.float16, enabled=self._half):
                warnings.simplefilter("ignore")
                results = self._model.test_step(data)
        except torch.OutOfMemoryError:
            raise MachineError(
                f"{self._device} has too little memory for {len(frames)} frames at once: ask for a smaller batch."
            ) from None
        return [self._people(one, frame) for one, frame in zip(results, frames, strict=True)]

    def _people(self, result: Any, frame: Frame) -> Boxes:
        """Boxes of the class with more than the least score; compared in float32, as the reference does."""
        found = result.pred_instances
        scores = found.scores.float().cpu().numpy()
        kept = (found.labels.cpu().numpy() == self._label) & (scores > self._least)
        rows = np.concatenate([found.bboxes.float().cpu().numpy()[kept], scores[kept, None]], axis=1)
        return as_fractions(rows.astype(np.float64), frame.shape[1], frame.shape[0])


def _imported() -> Any:
    """The module torch, if everything that mmdet needs is installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch = import_module("torch")
            for name in ("mmcv.ops", "mmdet.models"):
                import_module(name)
    except (ImportError, AssertionError) as error:  # mmdet asserts the versions it knows
        raise MachineError(f"The mmdet detector cannot run here ({error}): it needs {_NEEDS}.") from None
    return torch


def config_path(config: str) -> Path:
    """The file of a config: a path with ``.py``, or the name of one that mmdet ships. Raises UserError."""
    if config.endswith(".py"):
        if not Path(config).is_file():
            raise UserError(f"There is no config {config}.")
        return Path(config)
    shipped = Path(str(import_module("mmdet").__file__)).parent / ".mim" / "configs"
    found = sorted(path for path in shipped.glob("*/*.py") if path.stem == config)
    if not found:
        raise UserError(f"mmdet ships no config '{config}'; name one of its configs, or the path of a .py file.")
    return found[0]


def _built(path: Path) -> tuple[Any, Any, str]:
    """Model (random weights, on the CPU), test pipeline for a frame in memory, and a hash of their definitions."""
    from mmcv.transforms import Compose
    from mmdet.registry import MODELS
    from mmdet.utils import get_test_pipeline_cfg
    from mmengine.config import Config
    from mmengine.model.utils import revert_sync_batchnorm
    from mmengine.registry import DefaultScope

    try:
        config = Config.fromfile(str(path))
        _without_downloads(config.model)
        steps = get_test_pipeline_cfg(config.copy())
        steps[0]["type"] = "mmdet.LoadImageFromNDArray"
        described = json.dumps([config.model.to_dict(), steps], sort_keys=True, default=str)
        with DefaultScope.overwrite_default_scope(config.get("default_scope", "mmdet")):
            pipeline = Compose(steps)
            model = revert_sync_batchnorm(MODELS.build(config.model))
    except Exception as error:  # a config is somebody's program: it may raise anything
        raise UserError(f"The config {path} makes no detector: {type(error).__name__}: {str(error)[:300]}.") from error
    return model, pipeline, hashlib.sha256(described.encode()).hexdigest()


def _without_downloads(part: Any) -> None:
    """Remove the addresses of pretrained parts from a model's config: the checkpoint has all weights."""
    if isinstance(part, dict):
        if isinstance(part.get("init_cfg"), dict) and part["init_cfg"].get("type") == "Pretrained":
            part["init_cfg"] = None
        part.pop("pretrained", None)
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ():
        _without_downloads(inner)
