"""What a run needs that the model of a YAML does not ask for by itself: keys that depend on other keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from clipquarry.datasets.model import AnnotationFormat, DatasetSpec

Need = tuple[tuple[str | int, ...], str]
"""Place of the key in the YAML, and the sentence."""

LAYOUT: dict[AnnotationFormat, tuple[str, ...]] = {
    "kinetics_csv": ("videos",),
    "ava_csv": ("videos", "excerpts", "rawframes"),
    "ava_kinetics_csv": ("videos", "rawframes"),
}
"""Folders that every run of a format reads or writes; others are needed when a run asks for what goes there."""
_ITEM_KINDS = ("http", "local", "youtube", "dataset", "manual")
_VERSIONS = ("v2.1", "v2.2")


def run_needs(spec: DatasetSpec, *, described: bool = True) -> Iterator[Need]:
    """What is missing or impossible, with the key that it belongs to.

    ``described``: a data set without an annotation format has no runs, and needs nothing.
    """
    if spec.family != "crawl":
        return
    if spec.annotation_format is None:
        if not described:
            known = ", ".join(get_args(AnnotationFormat))
            yield ("family",), f"a run of family 'crawl' needs annotation_format, one of {known}"
        return
    format_ = spec.annotation_format
    for key in LAYOUT[format_]:
        if key not in spec.layout:
            yield ("layout",), f"a run of {format_} needs the folder '{key}' in it"
    if not spec.parts:
        yield ("splits",), "a run needs at least one split with its annotation file"
    if not spec.item_sources:
        yield ("sources",), "a run needs a source that provides items"
    for index, source in enumerate(spec.sources):
        if source.provides == "items" and source.kind not in _ITEM_KINDS:
            yield ("sources", index, "kind"), f"items cannot be had from a source of kind '{source.kind}'"
    if format_ == "kinetics_csv" and "videos" not in spec.lists:
        yield ("lists",), "a run of kinetics_csv needs the name of the list 'videos' in it"
    if format_ == "ava_csv" and spec.default_variant not in (None, *_VERSIONS):
        yield ("default_variant",), f"the versions of AVA are {' and '.join(_VERSIONS)}"
