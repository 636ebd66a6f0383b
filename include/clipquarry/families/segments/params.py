"""Run parameters of labelled intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.options import FEATURES, segments_options
from clipquarry.pipeline.flow_params import FlowParams
from clipquarry.pipeline.params import RunParams

CountRule = Literal["rgb", "all_files"]


class SegmentsParams(FlowParams):
    """Parameters of labelled intervals."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to make": ("frames", *FlowParams.flow_names, "pool_features"),
        "Lists": ("frame_count_rule",),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *RunParams.groups,
        ("frames", *FlowParams.flow_names, "pool_features"),
        ("frame_count_rule",),
    )

    frames: bool = Field(
        default=False,
        description="Also extract raw frames (JPEG), every one; lists of proposals and of frames need them.",
    )
    pool_features: bool = Field(
        default=False,
        description="Also pool the scores of each video's clips, which a model has put into the data set's folders, to csv.",
    )

    frame_count_rule: CountRule = Field(
        default="rgb",
        description="What lists of frames count in a folder: rgb, its frames, or all_files, its optical flow too, as mmaction2's tool for "
        "ActivityNet does.",
    )

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        if self.frame_count_rule != "rgb" and segments_options(spec).frame_lists is None:
            yield f"frame_count_rule={self.frame_count_rule} is about lists of frames with offsets, and {spec.name} has none: leave it out."
        if self.pool_features and FEATURES[-1] not in spec.layout:
            yield f"pool_features=true needs a folder '{FEATURES[-1]}' in the layout of {spec.name}'s YAML, which names none."
