"""Run parameters of labelled person boxes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from pydantic import Field

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.options import Version
from clipquarry.ids import is_youtube_id
from clipquarry.pipeline.flow_params import FlowParams
from clipquarry.pipeline.params import Named, Only, RunParams, idle


class BoxParams(FlowParams):
    """Parameters of all data sets of labelled person boxes; alone, those of six-second clips around key frames."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("videos",),
        "What to make": ("frames", *FlowParams.flow_names),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (*RunParams.groups, ("frames", *FlowParams.flow_names))
    trial: ClassVar[tuple[str, ...]] = (*RunParams.trial, "videos")
    partial: ClassVar[tuple[str, ...]] = (*RunParams.partial, "videos")

    videos: list[str] = Field(default=[], description="Only these source videos (YouTube ids). Empty: all of them.")
    frames: bool = Field(default=True, description="Extract raw frames, 30 a second (JPEG): what readers train on.")

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        for video in self.videos:
            if not is_youtube_id(video):
                yield f"Parameter 'videos' of {spec.name}: {video[:40]!r} is not a YouTube id."

    def only(self) -> Iterator[Only]:
        if self.videos:
            yield Only("video_id", frozenset(self.videos), "video", "ids are those of the annotations")


_LOW = 0.5
"""Few people get a higher score of the detector ``small``."""


class DetectParams(BoxParams):
    """Parameters of data sets of boxes whose people can be detected here."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "People": (
            "detector", "detector_config", "detector_checkpoint", "detector_sha256", "detector_batch", "device", "half", "score",
            "frame_offset",
        ),
    }  # fmt: skip
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *BoxParams.groups,
        (
            "proposals", "detector", "detector_config", "detector_checkpoint", "detector_sha256", "detector_batch", "device",
            "half", "score", "frame_offset",
        ),
    )  # fmt: skip

    detector: Literal["hog", "small", "mmdet"] = Field(
        default="hog",
        description="What finds people: mmdet (a network; needs the detect image or packages), small (a small network on the CPU; "
        "144 MB are fetched once) or hog (OpenCV; for trying out).",
    )
    detector_config: str = Field(default="", description="mmdet: a config's path, or the name of one that mmdet ships.")
    detector_checkpoint: str = Field(
        default="", description="mmdet: its weights, as a path or an http(s) URL. Empty: the data set's YAML."
    )
    detector_sha256: str = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="sha256 of weights from a URL; OpenMMLab's names carry it.",
    )
    detector_batch: int = Field(default=8, ge=1, le=512, description="mmdet: frames in one batch.")
    device: str = Field(
        default="auto", pattern="^(auto|cpu|cuda(:[0-9]{1,2})?)$", description="mmdet: auto, cpu, cuda or cuda:N."
    )
    half: bool = Field(default=True, description="mmdet: half precision on a GPU.")
    score: float = Field(
        default=0.7, ge=0, lt=1, description="Detections must score more than this to become proposals."
    )
    frame_offset: Literal["true", "mmaction2"] = Field(
        default="true",
        description="Which frame stands for a second in detection: the true one, or the one mmaction2's readers centre on.",
    )

    @property
    def detects(self) -> bool:
        """Whether people are to be detected."""
        return getattr(self, "proposals", "none") == "detect"

    @property
    def looking(self) -> tuple[str, ...]:
        """The steps that use the detector."""
        return ("detect",)

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if self.detects and not self.frames:
            yield "People are detected in frames, and frames=false makes none: also set proposals=none."
        of_mmdet = ("detector_config", "detector_checkpoint", "detector_sha256", "detector_batch", "device", "half")
        if not self.detects:
            yield from idle(("detector", *of_mmdet, "score", "frame_offset"), chosen, "set proposals=detect")
        elif self.detector != "mmdet":
            yield from idle(of_mmdet, chosen, "set detector=mmdet")
        elif self.detector_checkpoint and not self.detector_checkpoint.startswith(("http://", "https://")):
            yield from idle(("detector_sha256",), chosen, "it is of weights from a URL; set detector_checkpoint to one")
        if self.detects and self.detector == "small" and self.score > _LOW and "score" not in chosen:
            yield (
                f"The detector small gives few people more than {_LOW}, and 'score' is {self.score} here: also set score=0.3, "
                "or a score of your own."
            )

    def in_lock(self) -> dict[str, Any]:
        """Without paths, which differ from machine to machine."""
        if not self.detects:
            return super().in_lock()
        mmdet = {
            "detector_config": PurePath(self.detector_config).name,
            "detector_checkpoint": PurePath(self.detector_checkpoint).name,
            "half": self.half,
        }
        told = {"detector": self.detector, "score": self.score, "frame_offset": self.frame_offset}
        return {**super().in_lock(), **told, **(mmdet if self.detector == "mmdet" else {})}

    def names(self) -> Iterator[Named]:
        yield from super().names()
        if self.detector_checkpoint and not self.detector_checkpoint.startswith(("http://", "https://")):
            yield Named("detector_checkpoint", self.detector_checkpoint, by_step=True)


class VideosParams(DetectParams):
    """Of boxes in whole videos: AVA."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("version",),
        "What to make": ("excerpts",),
        "People": ("proposals",),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (*DetectParams.groups, ("version",), ("excerpts",))

    version: Version = Field(default="v2.2", description="Version of the annotations.")
    excerpts: bool = Field(
        default=True, description="Make videos_15min, the 15th to 30th minute at 30 frames a second."
    )
    proposals: Literal["fetch", "detect", "none"] = Field(
        default="fetch", description="Person proposals: fetch the published ones, detect people here, or none."
    )


class WindowsParams(DetectParams):
    """Of boxes in windows of another data set's clips: AVA-Kinetics."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("kinetics_list",),
        "What to make": ("merge",),
        "People": ("proposals",),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (*DetectParams.groups, ("kinetics_list",), ("merge",))
    partial: ClassVar[tuple[str, ...]] = (*DetectParams.partial, "kinetics_list")

    proposals: Literal["detect", "none"] = Field(
        default="detect", description="Person proposals: detect people here, or none."
    )
    kinetics_list: str = Field(
        default="",
        description="A list file of Kinetics-700 clips; only these are cut. Empty: all clips of its annotations.",
    )
    merge: bool = Field(default=True, description="Merge with AVA: annotations, proposals, links to its frames.")

    def names(self) -> Iterator[Named]:
        yield from super().names()
        if self.kinetics_list:
            yield Named("kinetics_list", self.kinetics_list)
