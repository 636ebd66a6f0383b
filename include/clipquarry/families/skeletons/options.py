"""Keys of ``options`` in the YAML of a data set of packages of skeletons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from clipquarry.datasets.model import DatasetSpec, Model, Options, SplitExpected
from clipquarry.datasets.words import RelativePath, SplitName

Benchmark = tuple[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]]
"""Names of the split that is trained on and of the one that is evaluated on."""


class MadeOf(Model):
    """The files that a person places in ``folder``, of which a run makes the package.

    ``kind``: ``ntu``, a folder of NTU RGB+D's .skeleton files; ``babel``, the arrays of a part of BABEL. ``part``: ``ntu60``, ``ntu120``;
    ``babel60_train`` and so on.
    """

    kind: Literal["ntu", "babel"]
    part: str
    folder: RelativePath

    @model_validator(mode="after")
    def _is_known(self) -> MadeOf:
        if self.part not in (known := _PARTS[self.kind]):
            raise ValueError(f"there is no part {self.part[:40]!r}; known: {', '.join(known)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files; empty: all of the folder."""
        part, classes = self.part.partition("_")[2], self.part.partition("_")[0].removeprefix("babel")
        return () if self.kind == "ntu" else (f"{part}_ntu_sk_{classes}.npy", f"{part}_label_{classes}.pkl")

    @property
    def howto(self) -> str:
        """What to place."""
        return "the .skeleton files of NTU RGB+D" if self.kind == "ntu" else " and ".join(self.names)


_PARTS = {"ntu": ("ntu60", "ntu120"), "babel": ("babel60_train", "babel60_val", "babel120_train", "babel120_val")}


class PackageOptions(Model):
    """One package: its form, and what is published of it.

    ``content``: ``samples`` with their key points; ``contents``, a table of contents whose key points are in a file of each sample, in the
    folder ``points_in``; ``boxes`` of people by the name of a sample of the package ``boxes_of``. ``points`` and ``coordinates`` of a skeleton.
    ``splits``: the names in the package, each with its published size. ``benchmarks``: pairs of splits that share no sample. ``made_of``: a run makes it.
    """

    content: Literal["samples", "contents", "boxes"] = "samples"
    points: Annotated[int, Field(ge=1, le=1000)] = 17
    coordinates: Literal[2, 3] = 2
    classes: Annotated[int, Field(ge=1, le=100_000)] | None = None
    samples: SplitExpected | None = None
    splits: dict[str, SplitExpected | None] = Field(default_factory=dict)
    benchmarks: dict[str, Benchmark] = Field(default_factory=dict)
    points_in: RelativePath | None = None
    boxes_of: SplitName | None = None
    made_of: MadeOf | None = None

    @model_validator(mode="after")
    def _fits(self) -> PackageOptions:
        if (self.content == "contents") != (self.points_in is not None):
            raise ValueError("a package of content 'contents' has a folder points_in, and no other has one")
        if (self.content == "boxes") != (self.boxes_of is not None):
            raise ValueError("a package of content 'boxes' names the package boxes_of, and no other does")
        if self.content == "boxes" and (self.classes or self.splits or self.benchmarks):
            raise ValueError("boxes have neither classes nor splits")
        if self.content != "boxes" and self.classes is None:
            raise ValueError("say how many classes it has")
        named = [split for pair in self.benchmarks.values() for split in pair]
        if unknown := next((split for split in named if split not in self.splits), None):
            raise ValueError(f"benchmarks name the split {unknown[:60]!r}, which splits lacks")
        return self


class SkeletonsOptions(Options):
    """``packages`` by the name of their file without its suffix, which is also that of a split of the data set."""

    packages: Annotated[dict[SplitName, PackageOptions], Field(min_length=1)]


def skeletons_options(spec: DatasetSpec) -> SkeletonsOptions:
    """The options of a data set of this family."""
    assert isinstance(spec.options, SkeletonsOptions), f"{spec.name} is of another family"
    return spec.options
