"""Inspection of frame folders on disk: numbers without a gap, no empty file, every file a whole JPEG of one size.

A whole data set has hundreds of millions of frames, so each folder is probed at both ends. A sample, drawn by the
run's name, is listed name by name, with the sizes of its files and the headers of some.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry.datasets.model import Item
from clipquarry.quality.disk import place, sample

HEADERS: Final = 20_000
"""Frames whose headers are read, over all folders of the sample."""
SIZES: Final = 1_000_000
"""Frames whose file sizes are read, over all folders of the sample."""
_TAIL: Final = 1024
_NO_JPEG: Final = (0xD8, 0x01, *range(0xD0, 0xD8))
_LEAVES: Final = "the path leaves the data root"


@dataclass(frozen=True)
class Folders:
    """By folder, what is wrong with its numbers and with its frames (``""``: nothing); and how many were read."""

    gaps: list[str]
    odd: list[str]
    said: str


def look(item: Item, table: pd.DataFrame, root: Path, folders: int, seed: str) -> Folders:
    """Inspect the folders ``path`` of ``frames`` frames; with columns ``width`` and ``height`` (-1: unknown) also
    their sizes.

    ``folders``: how many are listed; all others are probed at both ends.
    """
    listed = sample(len(table), folders, seed)
    chosen = set(listed)
    paths, frames = table["path"].tolist(), table["frames"].tolist()
    sized = {"width", "height"} <= set(table.columns)
    widths, heights = (table[name].tolist() if sized else [-1] * len(table) for name in ("width", "height"))
    budget = _Budget(max(3, HEADERS // max(1, len(listed))), max(3, SIZES // max(1, len(listed))), seed)
    gaps, odd = [], []
    for index, (path, count) in enumerate(zip(paths, frames, strict=True)):
        where = place(root, path)
        if where is None:
            gaps.append(_LEAVES)
            odd.append("")
        elif index in chosen:
            gaps.append(_listed_gap(item, where, count))
            odd.append(_odd_images(item, where, count, (widths[index], heights[index]), budget))
        else:
            gap, empty = _probed(item, where, count)
            gaps.append(gap)
            odd.append(empty)
    said = (
        f"Looked at on disk: both ends of all {len(paths):,} folders, every name in {len(listed):,}, sizes of "
        f"{budget.sizes_seen:,} frames, headers of {budget.headers_seen:,}."
    )
    return Folders(gaps, odd, said)


@dataclass
class _Budget:
    """How many frames of one folder are read, and how many were."""

    headers: int
    sizes: int
    seed: str
    headers_seen: int = 0
    sizes_seen: int = 0


def _listed_gap(item: Item, folder: str, frames: int) -> str:
    there, name, first = _names(folder, item.rgb_prefix), item.rgb_pattern.format, item.start_index
    wanted = {name(number) for number in range(first, first + frames)}
    if absent := sorted(wanted - there):
        return f"{len(absent)} frames are absent, such as {absent[0]}"
    return f"{len(there - wanted)} frames too many, such as {min(there - wanted)}" if there - wanted else ""


def _probed(item: Item, folder: str, frames: int) -> tuple[str, str]:
    """What is wrong with the numbers, and which of the first and the last frame is empty."""
    first, name = item.start_index, item.rgb_pattern.format
    empty = ""
    for number in dict.fromkeys((first, first + frames - 1)):
        size = _size(f"{folder}/{name(number)}")
        if frames < 1 or size is None:
            return f"{name(number)} is absent", ""
        if size == 0:
            empty = empty or f"{name(number)} is empty"
    more = os.path.lexists(f"{folder}/{name(first + frames)}")
    return f"{name(first + frames)} is one too many" if more else "", empty


def _size(path: str) -> int | None:
    # Text, not Path objects: a data set has 650,000 folders, with three look-ups for each.
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return None


def _odd_images(item: Item, folder: str, frames: int, size: tuple[int, int], budget: _Budget) -> str:
    """The first thing that is wrong with a frame of a listed folder; the check of the numbers names absent ones."""
    name, first = item.rgb_pattern.format, item.start_index
    seed = f"{budget.seed} {folder}"
    for number in sample(max(0, frames), budget.sizes, seed):
        budget.sizes_seen += 1
        if _size(f"{folder}/{name(first + number)}") == 0:
            return f"{name(first + number)} is empty"
    if not item.rgb_pattern.lower().endswith((".jpg", ".jpeg")):
        return ""
    ends = {0, frames // 2, frames - 1} if frames > 0 else set()
    for number in sorted({*ends, *sample(max(0, frames), budget.headers, seed)}):
        budget.headers_seen += 1
        if problem := jpeg_problem(f"{folder}/{name(first + number)}", size):
            return f"{name(first + number)} {problem}"
    return ""


def jpeg_problem(path: str, size: tuple[int, int]) -> str:
    """What is wrong with a frame of a wanted width and height (-1: any), as the end of a sentence; ``""`` if it is
    absent.
    """
    try:
        with open(path, "rb") as handle:
            found = jpeg_size(handle.read(1 << 16))
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, end - _TAIL))
            whole = b"\xff\xd9" in handle.read()
    except (OSError, ValueError):
        return ""
    if found is None:
        return "is no JPEG"
    if min(size) > 0 and found != size:
        return f"is {found[0]}x{found[1]}, recorded is {size[0]}x{size[1]}"
    return "" if whole else "has no end: the file was cut off"


def _names(folder: str, prefix: str) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if name.startswith(prefix)}  # noqa: PTH208
    except (OSError, ValueError):
        return set()


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first bytes of a JPEG (ITU T.81, B.2.2), None if it has none."""
    at = 0
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_JPEG:  # padding, or a marker without a length
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9].ljust(4, b"\0"))
            return (width, height) if width and height else None
        (length,) = struct.unpack(">H", data[at + 2 : at + 4].ljust(2, b"\0"))
        at += 2 + max(length, 2)
    return None
