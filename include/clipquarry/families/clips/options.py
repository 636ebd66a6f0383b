"""Keys of ``options`` in the YAML of a data set of labelled clips."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from clipquarry.datasets.model import DatasetName, DatasetSpec, Model, Options
from clipquarry.datasets.words import RelativePath, SplitName

READERS = tuple(sorted(path.stem for path in (Path(__file__).parent / "readers").glob("[a-z]*.py")))
"""Formats of annotation files, by the modules that read them."""


ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[0-9]{4})?$", max_length=30)]


class FrameOptions(Model):
    """Recipe of the raw frames. ``rate`` 0 keeps every frame; ``quality`` is ffmpeg's JPEG scale, 1 (best) to 31.

    Smaller clips keep their size, and the long side is rounded; ``even`` rounds it to an even number. ``parity``
    enlarges and truncates as mmaction2's ``build_rawframes.py --use-opencv`` does.
    """

    rate: float = Field(default=0, ge=0, le=240)
    quality: int = Field(default=2, ge=1, le=31)
    parity: bool = False
    even: bool = False

    @model_validator(mode="before")
    @classmethod
    def _former(cls, value: Any) -> Any:
        # Before there was one rule, smaller clips were enlarged unless a YAML said otherwise.
        if not isinstance(value, dict) or not isinstance(value.get("enlarge"), bool):
            return value
        new = {name: one for name, one in value.items() if name != "enlarge"}
        return new | ({"parity": True} if value["enlarge"] else {})

    @model_validator(mode="after")
    def _one_rule(self) -> FrameOptions:
        if self.parity and self.even:
            raise ValueError("parity truncates the long side, even rounds it: choose one")
        return self


class Release(Model):
    """A release that a data set holds with others: the data set that has it alone, and the number of its classes."""

    data_set: DatasetName
    classes: int = Field(ge=1, le=1_000_000)


class NamedList(Model):
    """A further list of a data set: the splits ``of`` whose files it names, and how many it has as published."""

    of: tuple[SplitName, ...]
    count: int | None = Field(default=None, ge=1)


class ClipsOptions(Options):
    """``reader``: format of the annotation files. ``group``: a regular expression whose first group is what no two
    splits of one number may share, such as the scene in a clip's name. ``val_share``: of a person's files in class
    folders without splits, the share that becomes ``val``. ``kept_apart``: releases of Kinetics
    with whose evaluation training is compared. ``releases``: those that the data set holds, by the beginnings of the names
    of their splits (``k400`` of ``k400_train``): each numbers its own classes. ``holds``: what an item of a split is, where splits
    differ: a ``file``, a ``folder`` of files, or a long video that is cut into ``parts`` of ``part_seconds``. ``lists_of``: the lists
    that such a data set has, the splits' own and further ones, by their paths.
    """

    reader: str
    group: str | None = None
    val_share: float = Field(default=0, ge=0, lt=1)
    kept_apart: tuple[DatasetName, ...] = ()
    releases: dict[ReleaseName, Release] = Field(default={})
    holds: dict[SplitName, Literal["file", "folder", "parts"]] = Field(default={})
    part_seconds: float = Field(default=10, gt=0, le=86_400)
    lists_of: dict[RelativePath, NamedList] = Field(default={})
    frames: FrameOptions = FrameOptions()

    @field_validator("group")
    @classmethod
    def _has_a_group(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if groups != 1:
                raise ValueError(f"it has {groups} groups in brackets: it needs exactly one")
        return value

    @model_validator(mode="after")
    def _is_read(self) -> ClipsOptions:
        if self.val_share and self.reader != "own_files":
            raise ValueError(f"the reader {self.reader} has splits of its own: val_share is for own_files")
        if (self.holds or self.lists_of) and self.reader != "omnisource":
            raise ValueError(f"all splits of the reader {self.reader} hold the same: leave holds and lists_of out")
        if self.releases and self.reader != "kinetics_releases":
            raise ValueError(f"the reader {self.reader} knows no releases: they are for kinetics_releases")
        return self

    @field_validator("reader")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value not in READERS:
            raise ValueError(f"there is no reader {value[:60]!r}; known: {', '.join(READERS)}")
        return value


def clips_options(spec: DatasetSpec) -> ClipsOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, ClipsOptions), f"{spec.name} is of another family"
    return spec.options
