"""Checks of a YAML's file formats and names against what steps can read and write: annotation csvs, clips, frames."""

from __future__ import annotations

from collections.abc import Iterator

from clipquarry.datasets.model import DatasetSpec

Problem = tuple[tuple[str | int, ...], str]
"""Place of a key in the YAML, and the sentence."""

PATTERNS = {"img_{:05d}.jpg": "img_%05d.jpg", "{:06d}.jpg": "%06d.jpg"}
"""``item.rgb_pattern`` to ffmpeg's pattern: mmaction2's, and that of kinetics-download-prep."""


def ffmpeg_pattern(spec: DatasetSpec) -> str:
    """The pattern of a data set whose YAML has no :func:`frame_problems`."""
    return PATTERNS[spec.item.rgb_pattern]


def csv_problems(spec: DatasetSpec, reader: str) -> Iterator[Problem]:
    """Annotation files of splits that a ``reader`` of csv files cannot read."""
    for split, path in spec.splits.items():
        if path.lower().endswith((".json", ".jsonl")):
            yield ("splits", split), f"{path!r}: {reader} reads csv files, not JSON"


def clip_problems(spec: DatasetSpec) -> Iterator[Problem]:
    """Suffixes of clips, which the store makes."""
    if spec.has_files:  # they keep theirs
        return
    if "mp4" not in spec.item.ext:
        yield ("item", "ext"), "clips are kept as mp4, whatever suffix they have where they come from: put mp4 into it"


def frame_problems(spec: DatasetSpec, *, from_zero: bool = False) -> Iterator[Problem]:
    """Names of frames that no step can write. ``from_zero``: the family's steps number from 0 too."""
    if "rawframes" not in spec.layout:
        return
    if spec.item.rgb_pattern not in PATTERNS:
        yield ("item", "rgb_pattern"), f"{spec.item.rgb_pattern!r}: frames are written as {' or '.join(PATTERNS)}"
    elif not spec.item.rgb_pattern.startswith(spec.item.rgb_prefix):
        yield ("item", "rgb_prefix"), f"{spec.item.rgb_prefix!r} does not begin the names of {spec.item.rgb_pattern!r}"
    if spec.item.start_index != 1 and not from_zero:
        yield ("item", "start_index"), "frames are numbered from 1: leave it out"
