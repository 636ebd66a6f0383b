"""Keys of ``options`` in the YAML of a data set of labelled intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from clipquarry.datasets.model import DatasetSpec, Model, Options
from clipquarry.ids import label_problem, normalise_label

READERS = tuple(sorted(path.stem for path in (Path(__file__).parent / "readers").glob("[a-z]*.py")))
"""Formats of annotation files, by the modules that read them."""

FEATURES = ("rgb_feat", "flow_feat", "features")
"""Keys of the layout: the folders of the scores of videos' clips, which a model gives (of frames and of optical flow, an array [T, 200]
for each video), and of the csv into which a run pools them.
"""

Template = Annotated[str, Field(min_length=1, max_length=200)]


class ProposalOptions(Model):
    """Lists of proposals of each split, below the data set's folder; ``{split}`` is the split.

    ``normalised`` is published, with fractions of the video; ``list`` is made of it, with the numbers of the local frames.
    ``alias``: a second place, where configs look for ``list``; a link.
    """

    normalised: Template
    list: Template
    alias: Template | None = None

    @model_validator(mode="after")
    def _different(self) -> ProposalOptions:
        names = [self.normalised, self.list, *([self.alias] if self.alias else [])]
        if len(set(names)) < len(names):
            raise ValueError("normalised, list and alias are different files")
        return self


class FrameLists(Model):
    """Lists of raw frames of each split with labels, below the data set's folder; ``{split}`` is the split.

    ``annotation``: ActivityNet's official JSON, in whose order they are. ``videos``: a line for each video. ``clips``: a line for each
    interval, with its first frame.
    """

    annotation: Template
    videos: Template
    clips: Template


class AnnotationCopies(Model):
    """Files that are made of the annotation, below the data set's folder.

    ``here``: a copy with the videos that are here alone. ``parts``: the annotation of each split, of ``full`` and of ``trainval``;
    ``{part}`` is the part.
    """

    here: Template | None = None
    parts: Template | None = None


class SegmentsOptions(Options):
    """``reader``: format of the annotation files. ``classes``: the classes in the order of their indices from 0, each with its
    number in the whole that they are chosen from; or ``class_list``: the name of a list of classes that is packaged.
    ``wrong_annotations``: videos whose annotations are known to be wrong. ``name_prefix`` stands before an id in the name of a video's
    file. ``unlabelled``: splits whose intervals are withheld. ``frame_short_edge``: pixels of frames; 0: those of the video.
    """

    reader: str
    classes: dict[Annotated[str, Field(min_length=1)], Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    class_list: str | None = None
    wrong_annotations: tuple[str, ...] = ()
    name_prefix: Annotated[str, Field(max_length=20, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    unlabelled: tuple[str, ...] = ()
    frame_short_edge: Annotated[int, Field(ge=0, le=4320)] = 0
    proposals: ProposalOptions | None = None
    frame_lists: FrameLists | None = None
    copies: AnnotationCopies | None = None

    @field_validator("classes")
    @classmethod
    def _can_be_names(cls, value: dict[str, int]) -> dict[str, int]:
        for name in value:
            if problem := label_problem(name):
                raise ValueError(f"{name[:60]!r}: {problem}")
            if "/" in name or normalise_label(name) != name:
                raise ValueError(f"{name[:60]!r} is part of a file's name: write it without blanks and quotes")
        if len(set(value.values())) < len(value):
            raise ValueError("two classes have one number")
        return value

    @field_validator("class_list")
    @classmethod
    def _is_packaged(cls, value: str | None) -> str | None:
        from clipquarry.annotations.name_lists import LISTS

        if value is not None and value not in LISTS:
            raise ValueError(f"there is no list {value[:60]!r}; known: {', '.join(LISTS)}")
        return value

    @field_validator("reader")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value not in READERS:
            raise ValueError(f"there is no reader {value[:60]!r}; known: {', '.join(READERS)}")
        return value

    @model_validator(mode="after")
    def _has_classes(self) -> SegmentsOptions:
        if bool(self.classes) == bool(self.class_list):
            raise ValueError("name the classes, either in 'classes' or by a 'class_list'")
        return self

    def numbered(self) -> dict[str, int]:
        """The classes in the order of their indices, each with its published number; those of a ``class_list`` from 0."""
        if self.class_list is None:
            return self.classes
        from clipquarry.annotations.name_lists import known_names

        return {name: index for index, name in enumerate(known_names(self.class_list))}


def segments_options(spec: DatasetSpec) -> SegmentsOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, SegmentsOptions), f"{spec.name} is of another family"
    return spec.options
