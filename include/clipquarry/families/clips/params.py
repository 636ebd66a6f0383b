"""Run parameters of labelled clips."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

from pydantic import Field

from clipquarry.ids import normalise_label
from clipquarry.pipeline.params import Named, Only, RunParams, idle


class ClipsParams(RunParams):
    """Parameters of labelled clips."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("classes",),
        "What to make": ("resize", "frames", "short_edge", "frame_width", "frame_height", "frame_rate"),
        "Checks": ("compare_with", "label_map"),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *RunParams.groups,
        ("label_map",),
        ("compare_with",),
        ("resize", "frames", "short_edge", "frame_width", "frame_height", "frame_rate"),
    )
    trial: ClassVar[tuple[str, ...]] = (*RunParams.trial, "classes")
    partial: ClassVar[tuple[str, ...]] = (*RunParams.partial, "classes")

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
            yield from idle(("frame_width", "frame_height", "frame_rate"), chosen, "set frames=true")
        if not self.frames and not self.resize:
            yield from idle(("short_edge",), chosen, "set resize=true or frames=true")
        if self.frames and self.frame_width and not self.resize:
            yield from idle(("short_edge",), chosen, "frame_width and frame_height take its place; set resize=true")

    def names(self) -> Iterator[Named]:
        yield from super().names()
        if self.label_map:
            yield Named("label_map", self.label_map)

    def only(self) -> Iterator[Only]:
        if self.classes:
            wanted = frozenset(map(normalise_label, self.classes))
            yield Only("class_dir", wanted, "class", "write it as in the csv or as its folder")
