"""Keys that a run of any family needs and the model of a YAML does not require."""

from __future__ import annotations

from collections.abc import Iterator

from clipquarry.datasets.model import DatasetSpec

Need = tuple[tuple[str | int, ...], str]
"""Place of the key in the YAML, and the sentence."""


def run_needs(spec: DatasetSpec) -> Iterator[Need]:
    """Missing or impossible values, with their keys."""
    if not spec.splits:
        yield ("splits",), "a run needs at least one split with its annotation file"
    if not spec.item_sources:
        yield ("sources",), "a run needs a source that provides items"
