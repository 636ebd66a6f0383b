"""Small detectors of mmdetection with random weights, saved as checkpoints. Needs the packages of ``make detect-env``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

RTMDET = "rtmdet_tiny_8xb32-300e_coco"
FASTER = "faster-rcnn_r50_fpn_1x_coco"


def small(config: str, folder: Path) -> str:
    """A config as the shipped one, with a network input of at most 160 x 160."""
    from clipquarry.people.mmdet import config_path

    pad = "dict(type='Pad', size=(160, 160), pad_val=dict(img=(114, 114, 114)))," if config == RTMDET else ""
    path = folder / f"{config}_small.py"
    path.write_text(
        f"_base_ = {str(config_path(config))!r}\n"
        f"_steps = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(160, 160), keep_ratio=True), {pad}"
        " dict(type='PackDetInputs')]\ntest_dataloader = dict(dataset=dict(pipeline=_steps))\n"
    )
    return str(path)


def random_model(config: str) -> Any:
    """mmdet's own model of a shipped config; its heads are tuned to find people everywhere, each a little differently."""
    import torch
    from clipquarry.people.mmdet import config_path
    from mmdet.apis import init_detector

    torch.manual_seed(1)
    model = init_detector(str(config_path(config)), None, device="cpu")
    for name, part in model.named_modules():
        bias = getattr(part, "bias", None)
        if name.endswith("fc_cls"):
            part.bias.data[0] = 6
        elif "rtm_cls" in name and bias is not None:
            part.weight.data *= 300  # scores that lie apart: equal ones would change places by rounding
            bias.data[0] = 2
        elif "rtm_reg" in name and bias is not None:
            bias.data[:] = 4
    return model


def save(model: Any, path: Path, **more: Any) -> Path:
    """A checkpoint as OpenMMLab writes it."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": model.state_dict(), "meta": {"CLASSES": ("person",), "epoch": 12}} | more, path)
    return path


def scenes(*sizes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    """Smooth pictures of the given (height, width) with blobs in them, RGB."""
    import cv2

    rng = np.random.default_rng(seed)
    made = []
    for height, width in sizes:
        coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        made.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return made
