"""What a person may choose for one run: the trigger form of the DAG and the options of ``clipquarry run``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipquarry.datasets.model import AnnotationFormat, DatasetSpec

MAX_SHARDS = 1000
"""Airflow maps a task at most 1,024 times; shards are mapped, never items."""


class RunParams(BaseModel):
    """Parameters of every run. Every description is shown in Airflow's trigger form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    splits: list[str] = Field(default=[], description="Splits to prepare. Empty: the data set's default splits.")
    limit: int | None = Field(
        default=None, ge=1, description="At most this many items of each split, in the order of the csv. Empty: all."
    )
    sources: list[str] = Field(
        default=[], description="Sources in the order to try. Empty: the order of the data set's YAML."
    )
    annotation_sources: list[str] = Field(
        default=[],
        description="Sources of the annotation files: only these are asked, in this order. Empty: all, in the order of the data set's YAML.",
    )
    local_folder: str = Field(default="", description="A folder with clips or whole videos that you already have.")
    mirror_url: str = Field(
        default="",
        description="A mirror as http(s) URL template with {split}, {class}, {clip} or {id}; http://host/{clip}.mp4",
    )
    shards: int | None = Field(
        default=None, ge=1, le=MAX_SHARDS, description="Into how many tasks the work is cut. Empty: by size."
    )
    jobs: int = Field(default=2, ge=1, le=64, description="Parallel downloads or encodes inside one task.")
    dry_run: bool = Field(default=False, description="Only plan: say what would be fetched and why, and stop.")
    retry_all: bool = Field(default=False, description="Ask again for everything missing, also what is not due yet.")
    as_of: datetime | None = Field(
        default=None, description="Pretend that it is this time (with time zone) when deciding what is due."
    )
    annotation_counts: Literal["strict", "warn"] = Field(
        default="strict", description="Row counts other than the published ones: stop (strict) or only warn."
    )

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        """Sentences on what was ``chosen`` (fields with other values than the defaults) and would do nothing in this run.

        An option that is accepted and dropped costs days: it is refused instead.
        """
        if self.as_of is not None and self.as_of.tzinfo is None:
            yield "as_of needs a time zone: write 2026-11-21T00:00:00+00:00."
        if self.retry_all and "as_of" in chosen:
            yield "retry_all asks for everything that is missing, so that as_of decides nothing: leave one of them out."
        for name in ("splits", "sources", "annotation_sources", "compare_with"):
            values = getattr(self, name, [])
            if twice := next((value for value in values if values.count(value) > 1), None):
                yield f"Parameter '{name}' names '{twice}' twice: leave one out."


def _needs(names: Collection[str], chosen: Collection[str], what: str) -> Iterator[str]:
    """A sentence when one of ``names`` was chosen, though ``what`` it is of is not made."""
    if idle := next((name for name in names if name in chosen), None):
        yield f"Parameter '{idle}' does nothing in this run: {what}, or leave '{idle}' out."


class KineticsParams(RunParams):
    """Of a data set of labelled clips (``kinetics_csv``)."""

    classes: list[str] = Field(default=[], description="Only these classes (label or folder name). Empty: all of them.")
    resize: bool = Field(default=False, description="Also make short-edge copies with dense key frames.")
    frames: bool = Field(default=False, description="Also extract raw frames (JPEG).")
    short_edge: int = Field(
        default=256,
        ge=16,
        le=4320,
        multiple_of=2,
        description="Short edge of resized copies and frames, pixels; even. The data set's recipe says the default.",
    )
    frame_width: int = Field(
        default=0, ge=0, description="Fixed frame width, pixels; with frame_height instead of short_edge."
    )
    frame_height: int = Field(default=0, ge=0, description="Fixed frame height, pixels.")
    frame_rate: float = Field(
        default=0, ge=0, le=240, description="Frames per second of raw frames; 0 keeps every frame."
    )
    compare_with: list[str] = Field(
        default=[],
        description="Other data sets on this disk, such as kinetics400: clips that show the same as theirs are told.",
    )
    label_map: str = Field(default="", description="A label map file (one class per line); default: the train csv.")

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if bool(self.frame_width) != bool(self.frame_height):
            yield "A fixed frame size needs both frame_width and frame_height."
        if not self.frames:
            yield from _needs(("frame_width", "frame_height", "frame_rate"), chosen, "set frames=true")
        if not self.frames and not self.resize:
            yield from _needs(("short_edge",), chosen, "set resize=true or frames=true")
        if self.frames and self.frame_width and not self.resize:
            yield from _needs(("short_edge",), chosen, "frame_width and frame_height take its place; set resize=true")


class FlatKineticsParams(KineticsParams):
    """Of labelled clips in one folder (``arrangement: flat``), whose frames have a rate of their own (specification 1.13)."""

    frame_rate: float = Field(
        default=30, ge=0, le=240, description="Frames per second of raw frames; 0 keeps every frame of the video."
    )


class BoxParams(RunParams):
    """Of a data set of labelled person boxes (``ava_csv``, ``ava_kinetics_csv``); by itself, of a flat one."""

    videos: list[str] = Field(default=[], description="Only these source videos (YouTube ids). Empty: all of them.")
    frames: bool = Field(default=True, description="Extract raw frames, 30 a second (JPEG): what readers train on.")


class DetectParams(BoxParams):
    """Of a data set of boxes whose people can be detected here."""

    detector: Literal["hog", "mmdet"] = Field(
        default="hog",
        description="What finds people: mmdet (a network; needs the detect image or packages) or hog (OpenCV; for trying out).",
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
    detector_batch: int = Field(default=8, ge=1, le=512, description="mmdet: pictures in one batch.")
    device: str = Field(
        default="auto", pattern="^(auto|cpu|cuda(:[0-9]{1,2})?)$", description="mmdet: auto, cpu, cuda or cuda:N."
    )
    half: bool = Field(default=True, description="mmdet: half precision on a GPU.")
    score: float = Field(
        default=0.7, ge=0, lt=1, description="Detections must score more than this to become proposals."
    )
    frame_offset: Literal["true", "mmaction2"] = Field(
        default="true",
        description="Which image stands for a second in detection: the true one, or the one mmaction2's readers centre on.",
    )

    @property
    def detects(self) -> bool:
        """Whether people are to be detected."""
        return getattr(self, "proposals", "none") == "detect"

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if self.detects and not self.frames:
            yield "People are detected in frames, and frames=false makes none: also set proposals=none."
        of_mmdet = ("detector_config", "detector_checkpoint", "detector_sha256", "detector_batch", "device", "half")
        if not self.detects:
            yield from _needs(("detector", *of_mmdet, "score", "frame_offset"), chosen, "set proposals=detect")
        elif self.detector != "mmdet":
            yield from _needs(of_mmdet, chosen, "set detector=mmdet")
        elif self.detector_checkpoint and not self.detector_checkpoint.startswith(("http://", "https://")):
            yield from _needs(
                ("detector_sha256",), chosen, "it is of weights from a URL; set detector_checkpoint to one"
            )


class AvaParams(DetectParams):
    """Of AVA (``ava_csv``)."""

    version: Literal["v2.1", "v2.2"] = Field(default="v2.2", description="Version of the annotations.")
    excerpts: bool = Field(
        default=True, description="Make videos_15min, the 15th to 30th minute at 30 frames a second."
    )
    proposals: Literal["fetch", "detect", "none"] = Field(
        default="fetch", description="Person proposals: fetch the published ones, detect people here, or none."
    )


class AvaKineticsParams(DetectParams):
    """Of AVA-Kinetics (``ava_kinetics_csv``)."""

    proposals: Literal["detect", "none"] = Field(
        default="detect", description="Person proposals: detect people here, or none."
    )
    kinetics_list: str = Field(
        default="",
        description="A list file of Kinetics-700 clips; only these are cut. Empty: all clips of its annotations.",
    )
    merge: bool = Field(default=True, description="Merge with AVA: annotations, proposals, links to its frames.")


PARAMS: dict[AnnotationFormat, type[RunParams]] = {
    "kinetics_csv": KineticsParams,
    "ava_csv": AvaParams,
    "ava_kinetics_csv": AvaKineticsParams,
}
FLAT_PARAMS: dict[AnnotationFormat, type[RunParams]] = {
    "kinetics_csv": FlatKineticsParams,
    "ava_kinetics_csv": BoxParams,
}
"""Of data sets of one folder. A flat AVA-Kinetics has no detector, no merge and no choice of windows."""


def params_model(spec: DatasetSpec) -> type[RunParams]:
    """The parameters that runs of a data set have."""
    assert spec.annotation_format is not None, f"{spec.name} has no runs"
    usual = PARAMS[spec.annotation_format]
    return FLAT_PARAMS.get(spec.annotation_format, usual) if spec.arrangement == "flat" else usual


def default_params(spec: DatasetSpec) -> dict[str, Any]:
    """What the data set's YAML says instead of the model's own defaults."""
    said: dict[str, Any] = {"short_edge": spec.recipe.short_edge, "detector": spec.detection.backend,
                            "score": spec.detection.score, "proposals": spec.detection.proposals,
                            "version": spec.default_variant}  # fmt: skip
    fields = params_model(spec).model_fields
    return {name: value for name, value in said.items() if name in fields and value is not None}
