"""Read a release with mmaction2's own classes and configs, and say what they saw: ``prove.py ASKED.json ANSWER.json``.

Runs in the environment of ``make readers-env`` and imports nothing of Clipquarry. The configs are those in mmaction2's wheel, with their paths as they
are (``data/ava/annotations/…``): the data root is linked as ``data`` below a working folder. Asked is an object with

- ``data``: the data root; ``work``: a folder that may be filled; ``most``: of how many samples of a list details are wanted;
- ``boxes``: names of :data:`BOXES`; ``lists``: names of :data:`LISTS`; ``train``: a name of :data:`BOXES`, or null;
- ``sets``: arguments of a data set class by a name, ``type`` among them, with paths below the working folder: see :func:`prove_set`;
- ``unreadable``: further ones, of which the error is told;
- ``configs``: configs of detection that the product wrote, by their paths below the working folder;
- ``numbers``: whether every picture says its own number (a strip of 20 squares along its top: 16 bits of the number, 4 of its checksum).
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import mmaction
import numpy as np
from mmengine.config import Config

# mmaction2's wheel lacks this folder, which its models import.
_DRN = types.ModuleType("mmaction.models.localizers.drn.drn")
_DRN.DRN = type("DRN", (), {})  # type: ignore[attr-defined]
sys.modules["mmaction.models.localizers.drn"] = types.ModuleType("mmaction.models.localizers.drn")
sys.modules["mmaction.models.localizers.drn.drn"] = _DRN

from mmaction.registry import DATASETS, METRICS, TRANSFORMS  # noqa: E402
from mmaction.utils import register_all_modules  # noqa: E402

CONFIGS = Path(mmaction.__file__).parent / ".mim" / "configs"
BOXES = {
    "ava_v2.1": "detection/slowonly/slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb.py",
    "ava_v2.2": "detection/slowfast/slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb.py",
    "ava_kinetics": "detection/slowonly/slowonly_k400-pre-r50_8xb8-4x16x1-10e_ava-kinetics-rgb.py",
}
LISTS = {
    "kinetics400": "recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb.py",
    "kinetics700": "recognition/slowonly/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb.py",
}
OF_CLASSES = {
    "VideoDataset": "recognition/c3d/c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb.py",
    "RawframeDataset": "recognition/c3d/c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb.py",
    "Flow": "recognition/tsn/tsn_imagenet-pretrained-r50_8xb32_5x1x3-110e_kinetics400-flow.py",
    "AudioDataset": "recognition_audio/resnet/tsn_r18_8xb320-64x1x1-100e_kinetics400-audio-feature.py",
}
"""The config whose pipeline a class gets; of flow, by its modality."""
DECODERS = ("Decord", "PyAV", "OpenCV")
SAMPLINGS = ((4, 16), (8, 8), (16, 4), (32, 2))
"""Clip length and frame interval of all published AVA configs."""
_DRAWS = 50
_CELLS = 20


def read_number(picture: np.ndarray) -> int:
    """The number in a picture (height, width, 3). Raises ValueError when its checksum does not fit."""
    gray = picture.astype(np.float64).mean(axis=2)
    height, width = gray.shape
    strip = gray[2 : max(3, max(8, height // 10) - 2)] if height < 120 else gray[height // 40 : 3 * height // 40]
    code = 0
    for left, right in pairwise(np.linspace(0, width, _CELLS + 1)):
        quarter = (right - left) / 4
        code = code << 1 | int(strip[:, int(left + quarter) : int(right - quarter) + 1].mean() > 127)
    number = code >> 4
    if code & 15 != sum(number >> shift & 15 for shift in (0, 4, 8, 12)) % 16:
        raise ValueError(f"the strip reads {number}, but its checksum does not fit")
    return number


def through(dataset: Any, index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """A sample's way through the pipeline: the transform's name, and what is there behind it."""
    results = dataset.get_data_info(index)
    yield "", results
    for transform in dataset.pipeline.transforms:
        results = transform(results)
        yield type(transform).__name__, results


def sample(dataset: Any, index: int, numbers: bool) -> dict[str, Any]:
    """What the reader and its pipeline made of one sample, in plain numbers."""
    told: dict[str, Any] = {}
    for name, results in through(dataset, index):
        if not name:
            told |= {key: results[key] for key in ("label", "total_frames", "timestamp", "img_key") if key in results}
            told["path"] = next(results[key] for key in ("frame_dir", "filename", "audio_path") if key in results)
            for key in ("gt_bboxes", "proposals", "scores", "entity_ids"):
                if key in results:
                    told[key] = np.asarray(results[key]).tolist()
            if "gt_labels" in results:
                told["actions"] = [np.flatnonzero(row).tolist() for row in results["gt_labels"]]
        elif name.startswith("Sample"):
            told |= {
                "frame_inds": np.asarray(results["frame_inds"]).tolist(),
                "total_frames": results.get("total_frames"),
            }
        elif name.endswith("Decode") and "imgs" in results:
            told["size"] = list(results["imgs"][0].shape[1::-1])
            if results["modality"] == "Flow":
                told["levels"] = [int(picture[0, 0, way]) for picture in results["imgs"] for way in (0, 1)]
                told["channels"] = results["imgs"][0].shape[2]
            elif numbers:
                told["numbers"] = [read_number(picture) for picture in results["imgs"]]
        elif name == "LoadAudioFeature":
            told |= {
                "features": list(results["audios"].shape),
                "range": [float(results["audios"].min()), float(results["audios"].max())],
            }
        elif name == "PackActionInputs":
            told["inputs"] = list(results["inputs"].shape)
            packed = results["data_samples"]
            if "gt_instances" in packed:
                told["packed"] = {
                    "boxes": packed.gt_instances.bboxes.tolist(),
                    "labels": list(packed.gt_instances.labels.shape),
                }
                told["packed"]["proposals"] = packed.proposals.bboxes.tolist()
            else:
                told["packed"] = {"label": packed.gt_label.tolist()}
    return told


def key_image(dataset: Any, index: int, numbers: bool) -> dict[str, Any]:
    """The one image that the reader takes for the key frame: the middle of its samplings, without jitter."""
    sampling = TRANSFORMS.build({"type": "SampleAVAFrames", "clip_len": 1, "frame_interval": 1, "test_mode": True})
    results = sampling(dataset.get_data_info(index))
    told: dict[str, Any] = {"key_image": int(results["frame_inds"][0])}
    if numbers:
        decode = TRANSFORMS.build({"type": "RawFrameDecode"})
        told["key_number"] = read_number(decode(results)["imgs"][0])
    return told


def files_of_all_samplings(dataset: Any) -> dict[str, Any]:
    """The images that any published sampling may read (of at most 1,000 samples): how many, and the names of those that are not on disk."""
    wanted: set[str] = set()
    for index in np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), 1000)).round()).astype(int):
        info = dataset.get_data_info(int(index))
        for length, interval in SAMPLINGS:
            for test_mode in (True, *[False] * _DRAWS):
                transform = TRANSFORMS.build({"type": "SampleAVAFrames", "clip_len": length, "frame_interval": interval, "test_mode": test_mode})  # fmt: skip
                inds = transform(dict(info))["frame_inds"]
                wanted.update(os.path.join(info["frame_dir"], info["filename_tmpl"].format(int(i))) for i in inds)  # noqa: PTH118
    return {"wanted": len(wanted), "absent": sorted(name for name in wanted if not Path(name).is_file())[:20]}


def prove_boxes(name: str, most: int, numbers: bool) -> dict[str, Any]:
    """The data sets of a detection config, as its train and val loaders build them; a split without a csv has no answer."""
    config = Config.fromfile(CONFIGS / BOXES[name])
    answer: dict[str, Any] = {}
    for split in ("train", "val"):
        if not Path(config[f"ann_file_{split}"]).is_file():
            continue
        dataset = DATASETS.build(config[f"{split}_dataloader"].dataset)
        assert type(dataset).__module__ == "mmaction.datasets.ava_dataset"
        first = range(min(most, len(dataset)))
        told = [sample(dataset, index, numbers) | key_image(dataset, index, numbers) for index in first]
        answer[split] = {
            "class": type(dataset).__name__, "samples": len(dataset), "told": told,
            "sampling": [config[f"{split}_pipeline"][0][key] for key in ("clip_len", "frame_interval")],
            "files": files_of_all_samplings(dataset),
        }  # fmt: skip
    return answer


def prove_config(path: str, most: int, numbers: bool) -> dict[str, Any]:
    """The data sets of a config that the product wrote, as its loaders build them, and the classes of its metrics."""
    config = Config.fromfile(path)
    answer: dict[str, Any] = {"classes": config.model.roi_head.bbox_head.num_classes}
    for split in ("train", "val"):
        if config.get(f"{split}_dataloader") is None:
            continue
        dataset = DATASETS.build(config[f"{split}_dataloader"].dataset)
        first = range(min(most, len(dataset)))
        told = [sample(dataset, index, numbers) | key_image(dataset, index, numbers) for index in first]
        answer[split] = {"class": type(dataset).__name__, "samples": len(dataset), "told": told}
    if config.get("val_evaluator"):
        answer["metric"] = type(METRICS.build(config.val_evaluator)).__name__
    return answer


def prove_lists(name: str, most: int, numbers: bool) -> dict[str, Any]:
    """The list files of a recognition config: the videos by every decoder, and the raw frames where there is a list of them."""
    config = Config.fromfile(CONFIGS / LISTS[name])
    answer: dict[str, Any] = {}
    for split in ("train", "val"):
        told: dict[str, Any] = {}
        base = config[f"{split}_dataloader"].dataset
        if not Path(base.ann_file).is_file():
            continue
        for decoder in DECODERS:
            pipeline = _decoding(config.val_pipeline, decoder)
            told[decoder] = _told(base | {"pipeline": pipeline}, most, numbers)
        told["train pipeline"] = _told(base | {"pipeline": config.train_pipeline}, most, False)
        frames = base.ann_file.replace("_videos.", "_rawframes.")
        if Path(frames).is_file():
            pipeline = [step for step in _decoding(config.val_pipeline, "RawFrame") if step["type"] != "RawFrameInit"]
            folder = base.data_prefix.video.replace("videos_", "rawframes_")
            told["rawframes"] = _told(
                {"type": "RawframeDataset", "ann_file": frames, "data_prefix": {"img": folder}, "pipeline": pipeline}, most, numbers
            )  # fmt: skip
        answer[split] = told
    return answer


def prove_set(asked: dict[str, Any], most: int, numbers: bool) -> dict[str, Any]:
    """The samples of one list, through the published pipeline of its class; ``config`` true or the name of one: the arguments
    are the config's own (its val loader), and those asked come on top.
    """
    asked = dict(asked)
    name = asked["config"] if isinstance(asked.get("config"), str) else OF_CLASSES[asked.get("modality", asked["type"])]
    config = Config.fromfile(CONFIGS / name)
    pipeline = config.val_pipeline
    if asked["type"] == "RawframeDataset" and asked.get("modality") != "Flow":
        pipeline = [step for step in _decoding(pipeline, "RawFrame") if step["type"] != "RawFrameInit"]
    base = dict(config.val_dataloader.dataset) if asked.pop("config", False) else {"pipeline": pipeline}
    return _told(base | asked, most, numbers)


def error_of(asked: dict[str, Any]) -> str:
    """The first error of reading a list, or of its first sample; empty if there is none."""
    try:
        prove_set(asked, 1, False)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _decoding(pipeline: list[Any], decoder: str) -> list[dict[str, Any]]:
    """A published pipeline, which has Decord, with another decoder."""
    return [{**step, "type": step.type.replace("Decord", decoder)} for step in pipeline]


def _told(config: dict[str, Any], most: int, numbers: bool) -> dict[str, Any]:
    dataset = DATASETS.build(config)
    told = [sample(dataset, index, numbers) for index in range(min(most, len(dataset)))]
    return {"class": type(dataset).__name__, "samples": len(dataset), "told": told}


def train(name: str) -> dict[str, Any]:
    """Two iterations of two samples and one validation with AVAMetric, by mmengine's Runner; the config's own model without its checkpoint."""
    from mmengine.runner import Runner

    config = Config.fromfile(CONFIGS / BOXES[name])
    config.work_dir = str(Path("training").absolute())
    config.model.init_cfg = None
    config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 1, "val_begin": 1, "val_interval": 1}
    config.param_scheduler = []
    config.optim_wrapper.optimizer.lr = 1e-4
    config.default_hooks.checkpoint = {"type": "CheckpointHook", "interval": -1}
    config.default_hooks.logger.interval = 1
    config.randomness = {"seed": 7}
    for split, count in (("train", 4), ("val", 4)):
        loader = config[f"{split}_dataloader"]
        loader.batch_size, loader.num_workers, loader.persistent_workers = 2 if split == "train" else 1, 0, False
        loader.dataset.indices = count
        for step in loader.dataset.pipeline:
            step |= {"RandomRescale": {"scale_range": (112, 128)}, "RandomCrop": {"size": 112}, "Resize": {"scale": (-1, 112)}}.get(step.type, {})  # fmt: skip
    # A fresh data set can have fewer samples than that.
    for split in ("train", "val"):
        loader = config[f"{split}_dataloader"]
        whole = DATASETS.build({key: value for key, value in loader.dataset.items() if key != "indices"})
        loader.dataset.indices = min(loader.dataset.indices, len(whole))
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = runner.message_hub.log_scalars
    losses = [float(value) for value in scalars["train/loss"].data[0]]
    return {"losses": losses, "iterations": runner.iter, "metrics": {key: float(scalars[key].current()) for key in scalars if key.startswith("val/mAP")}}  # fmt: skip


def prove(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to what the module's documentation describes."""
    work = Path(asked["work"])
    work.mkdir(parents=True, exist_ok=True)
    (work / "data").symlink_to(Path(asked["data"]).absolute(), target_is_directory=True)
    os.chdir(work)
    register_all_modules(init_default_scope=True)
    most, numbers = asked["most"], asked["numbers"]
    return {
        "boxes": {name: prove_boxes(name, most, numbers) for name in asked["boxes"]},
        "lists": {name: prove_lists(name, most, numbers) for name in asked["lists"]},
        "sets": {name: prove_set(one, most, numbers) for name, one in asked["sets"].items()},
        "unreadable": {name: error_of(one) for name, one in asked["unreadable"].items()},
        "configs": {path: prove_config(path, most, numbers) for path in asked["configs"]},
        "classes": sorted(DATASETS.module_dict),
        "training": train(asked["train"]) if asked["train"] else None,
    }


if __name__ == "__main__":
    target = Path(sys.argv[2]).absolute()
    answer = prove(json.loads(Path(sys.argv[1]).read_text()))
    target.write_text(json.dumps(answer, indent=1))
