"""Run parameters of optical flow, which every family with frames has."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from clipquarry.pipeline.params import RunParams, idle


class FlowParams(RunParams):
    """Parameters of a run that makes optical flow beside its frames. Subclasses have the field ``frames`` or :attr:`has_frames`, and place
    ``flow_names`` in a section and a group.
    """

    has_frames: ClassVar[bool] = False
    """The items are frames, so that none are made."""
    flow_names: ClassVar[tuple[str, ...]] = ("flow", "flow_type", "flow_tool")

    flow: bool = Field(
        default=False,
        description="Also make optical flow beside the frames: flow_x and flow_y as grey JPEGs, one pair less than frames.",
    )
    flow_type: Literal["tvl1", "farneback", "dis"] = Field(
        default="tvl1",
        description="How flow is found: tvl1 (what models were trained on; seconds a frame), farneback, or dis (50 times as fast).",
    )
    flow_tool: Literal["opencv", "denseflow"] = Field(
        default="opencv",
        description="What makes the flow: OpenCV, or the program denseflow where it is installed (tvl1 and farneback).",
    )

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if self.flow and not self.has_frames and not getattr(self, "frames", False):
            yield "Optical flow lies beside the frames, and frames=false makes none: also set frames=true."
        if not self.flow:
            yield from idle(("flow_type", "flow_tool"), chosen, "set flow=true")
        elif self.flow_tool == "denseflow" and self.flow_type == "dis":
            yield "denseflow makes no DIS flow: choose flow_type=tvl1 or farneback, or flow_tool=opencv."
