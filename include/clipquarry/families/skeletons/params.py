"""Run parameters of packages of skeletons."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from pydantic import Field, model_validator

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.params import RunParams


class SkeletonsParams(RunParams):
    """Parameters of packages of skeletons. A package is a split of the data set, so that ``packages`` are the chosen splits."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {"What to prepare": ("packages",)}

    packages: list[str] = Field(
        default=[], description="Packages to fetch, such as ntu60_2d. Empty: the data set's default packages."
    )
    splits: list[str] = Field(
        default=[], description="The same as packages, as other data sets call it: choose one of the two."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_choice(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("packages") and not value.get("splits"):
            return {**value, "splits": value["packages"]}
        return value

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if self.packages and self.packages != self.splits:
            yield "Parameters 'packages' and 'splits' are one choice: leave 'splits' out."

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        for name in self.packages:
            if name not in spec.splits:
                yield f"{spec.name} has no package '{name[:60]}'; it has {', '.join(spec.splits)}."
