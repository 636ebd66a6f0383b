"""Inspection of frame folders on disk: numbers without a gap, no empty file, every file a whole JPEG or PNG of one size.

A whole data set has hundreds of millions of frames, so each folder is probed at both ends. A sample, drawn by the
run's name, is listed name by name, with the sizes of its files and the headers of some.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry.datasets.model import Item
from clipquarry.files import sha256_of_files
from clipquarry.ids import FLOW_X, FLOW_Y
from clipquarry.media.frame_content import TAIL, frame_size, has_end, kind_of
from clipquarry.quality.disk import CONTENT_BYTES, CONTENTS, place, sample

HEADERS: Final = 20_000
"""Frames whose headers are read, over all folders of the sample."""
SIZES: Final = 1_000_000
"""Frames whose file sizes are read, over all folders of the sample."""
FLOW: Final = (FLOW_X, FLOW_Y)
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


def other_contents(item: Item, table: pd.DataFrame, root: Path, seed: str) -> Folders:
    """Read a few folders whole, and compare them with the ``sha256`` of their rows (of ``frames`` frames, ``bytes`` together)."""
    odd = [""] * len(table)
    columns = [table[name].tolist() for name in ("path", "frames", "bytes", "sha256")]
    read, left = 0, CONTENT_BYTES
    for index in sample(len(table), CONTENTS, f"{seed} contents"):
        path, count, size, recorded = (column[index] for column in columns)
        where = place(root, path)
        if where is None or not recorded or not 0 < size <= left:
            continue
        left -= int(size)
        read += 1
        names = (item.rgb_pattern.format(item.start_index + number) for number in range(count))
        try:
            found, _ = sha256_of_files(Path(where) / name for name in names)
        except OSError:
            continue  # the check of the numbers names absent ones
        odd[index] = "" if found == recorded else "other frames than were recorded"
    return Folders([""] * len(table), odd, f"Contents of {read:,} folders.")


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
    if not item.rgb_pattern.lower().endswith((".jpg", ".jpeg", ".png")):
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
            found = frame_size(handle.read(1 << 16), path)
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, end - TAIL))
            whole = has_end(handle.read(), path)
    except (OSError, ValueError):
        return ""
    if found is None:
        return f"is no {kind_of(path)}"
    if min(size) > 0 and found != size:
        return f"is {found[0]}x{found[1]}, recorded is {size[0]}x{size[1]}"
    return "" if whole else "has no end: the file was cut off"


def _names(folder: str, prefix: str) -> set[str]:
    """Names with a prefix, which may be empty; images of flow only where it names them."""
    other = () if prefix.startswith(FLOW) else FLOW
    try:
        return {name for name in os.listdir(folder) if name.startswith(prefix) and not name.startswith(other)}  # noqa: PTH208
    except (OSError, ValueError):
        return set()
