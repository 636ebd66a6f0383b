"""Keys of ``options`` in the YAML of a data set of tubes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from clipquarry.datasets.model import DatasetSpec, Options
from clipquarry.datasets.words import below


class TubesOptions(Options):
    """``flow``: the folder of the published optical flow, below the data set's, with a folder for each video as that of the frames.
    ``flow_pattern``: names of its images, one for each frame. ``whole_video``: each video has one tube, from its first frame to its last.
    """

    flow: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(below)]
    flow_pattern: Annotated[str, Field(max_length=60)] = "{:05d}.jpg"
    whole_video: bool = False


def tubes_options(spec: DatasetSpec) -> TubesOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, TubesOptions), f"{spec.name} is of another family"
    return spec.options
