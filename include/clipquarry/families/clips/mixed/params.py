"""Run parameters of data sets whose splits hold different things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.options import clips_options
from clipquarry.pipeline.params import RunParams


class MixedParams(RunParams):
    """Each source is a split, so that ``splits`` chooses the sources."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {"What to make": ("delete_source",)}
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (*RunParams.groups, ("delete_source",))

    delete_source: bool = Field(
        default=False,
        description="Delete each long video once its parts are verified, as mmaction2's script does. Off: it stays beside them.",
    )

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        holds = clips_options(spec).holds
        splits = self.splits or spec.default_splits or list(spec.splits)
        if self.delete_source and "parts" not in {holds.get(split) for split in splits}:
            yield "delete_source deletes long videos that were cut into parts, and no chosen split holds any: leave it out."
