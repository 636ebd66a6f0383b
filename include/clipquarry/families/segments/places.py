"""Places of the lists of proposals in the layout."""

from __future__ import annotations

from pathlib import Path

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.options import ProposalOptions, segments_options
from clipquarry.settings import DataRoot


def _options(spec: DatasetSpec) -> ProposalOptions:
    options = segments_options(spec).proposals
    assert options is not None, f"{spec.name} has no lists of proposals"
    return options


def published_list(spec: DatasetSpec, split: str) -> str:
    """Path of a split's published list, below the data set's folder."""
    return _options(spec).normalised.replace("{split}", split)


def list_file(spec: DatasetSpec, data: DataRoot, split: str) -> Path:
    """The list with the numbers of the local frames."""
    return data.dataset(spec.root, _options(spec).list.replace("{split}", split))


def list_link(spec: DatasetSpec, data: DataRoot, split: str) -> Path | None:
    """The second place of that list; None if there is none."""
    alias = _options(spec).alias
    return None if alias is None else data.dataset(spec.root, alias.replace("{split}", split))
