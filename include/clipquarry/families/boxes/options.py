"""Keys of ``options`` in the YAML of a data set of labelled person boxes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from clipquarry.annotations.ava_time import Reader
from clipquarry.datasets.model import DatasetName, DatasetSpec, Model, Options

Version = Literal["v2.1", "v2.2"]
"""Of AVA's annotations."""
Items = Literal["videos", "windows", "key_frames", "crops"]
READERS: dict[Items, Reader] = {
    "videos": "ava", "windows": "ava_kinetics", "key_frames": "ava_kinetics", "crops": "ava",
}  # fmt: skip
"""mmaction2's reader of the data set, which centres on a frame of its own."""


class Detection(Model):
    """Settings of the person detector. ``score``: detections with a higher score become proposals.

    ``proposals``: where a run's proposals come from by default; None: the parameter's own default.
    """

    backend: Literal["hog", "small", "mmdet"] = "hog"
    config: str | None = None
    checkpoint: str | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    score: float = Field(default=0.7, ge=0, lt=1)
    proposals: Literal["fetch", "detect", "none"] | None = None


class BoxesOptions(Options):
    """``items``: what is fetched: whole ``videos`` (AVA), ``windows`` of another data set's clips (AVA-Kinetics),
    what is around each of the ``key_frames``: six seconds of its video, or with ``windows_of`` 2.5 seconds of a clip, or
    ``crops`` of a person's raw videos, whose labels a person makes (custom AVA).

    ``windows_of`` is the data set whose clips contain the windows. ``merge_with`` is the one whose train split is
    merged with this one's, in the version ``merge_version``. The val and test splits of the data sets ``kept_apart``
    must contain none of the training videos.
    """

    items: Items
    windows_of: DatasetName | None = None
    merge_with: DatasetName | None = None
    kept_apart: tuple[DatasetName, ...] = ()
    merge_version: Version = "v2.2"
    detection: Detection = Detection()

    @model_validator(mode="after")
    def _fits(self) -> BoxesOptions:
        if self.items == "windows" and not self.windows_of:
            raise ValueError("items: windows needs windows_of: the data set whose clips hold the windows")
        if self.items in ("videos", "crops") and self.windows_of:
            raise ValueError(f"windows_of is for items: windows or key_frames, not {self.items}")
        if self.items != "windows" and self.merge_with:
            raise ValueError(f"merge_with is for items: windows, not {self.items}")
        if self.items != "videos" and self.detection.proposals == "fetch":
            raise ValueError("proposals are published for items: videos alone: detection.proposals is detect or none")
        return self


def boxes_options(spec: DatasetSpec) -> BoxesOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, BoxesOptions), f"{spec.name} is of another family"
    return spec.options


def is_flat(spec: DatasetSpec) -> bool:
    """True for clips around key frames, all in one folder."""
    return boxes_options(spec).items == "key_frames"


def is_cut(spec: DatasetSpec) -> bool:
    """True for clips around key frames that are cut out of another data set's clips: their names do not tell their times."""
    return is_flat(spec) and boxes_options(spec).windows_of is not None


def updated_folder(spec: DatasetSpec) -> str:
    """Folder of the flat layouts' annotations in the clips' own times, by the raw files' names; as the reference calls them."""
    return "ava_kinetics_700_updated_csv" if is_cut(spec) else "ava_kinetics_updated_csv"
