"""Inspection of images of optical flow on disk: numbers without a gap, whole JPEGs of the frames' size that decode."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry.datasets.model import Item
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import FrameDecoder
from clipquarry.quality import frame_folders
from clipquarry.quality.disk import place, sample
from clipquarry.quality.frame_folders import FLOW, Folders

FOLDERS: Final = 50
"""Folders with decoded images."""
DECODED: Final = 800
"""Images decoded over all folders, both ends of each direction included."""


def look_at_counts(item: Item, table: pd.DataFrame, root: Path, folders: int, seed: str) -> Folders:
    """As :func:`clipquarry.quality.frame_folders.look`, of ``frames`` images of flow of each direction."""
    gaps, odd, said = [""] * len(table), [""] * len(table), ""
    for prefix in FLOW:
        named = item.model_copy(update={"rgb_pattern": f"{prefix}{{:05d}}.jpg", "rgb_prefix": prefix})
        found = frame_folders.look(named, table, root, folders, seed)
        gaps = [one or other for one, other in zip(gaps, found.gaps, strict=True)]
        odd = [one or other for one, other in zip(odd, found.odd, strict=True)]
        said = said or found.said
    return Folders(gaps, odd, said)


def look(item: Item, table: pd.DataFrame, root: Path, folders: int, seed: str) -> Folders:
    """Inspect the flow in the folders ``path``: ``flow_x`` images of each direction, of ``width`` x ``height``.

    ``folders``: how many are listed name by name; all others are probed at both ends. Some images are decoded.
    """
    wanted = table[["path", "width", "height"]].assign(frames=table["flow_x"])
    counted = look_at_counts(item, wanted, root, folders, seed)
    odd, decoded, decoder = counted.odd, 0, FrameDecoder()
    paths, counts = table["path"].tolist(), table["flow_x"].tolist()
    chosen = sample(len(table), FOLDERS, f"{seed} flow")
    for index in chosen:
        where, count = place(root, paths[index]), counts[index]
        if where is None:
            continue
        some = sample(count, max(1, DECODED // (2 * len(chosen)) - 2), f"{seed} {where}")
        for number in sorted({0, count - 1, *some}):
            for prefix in FLOW:
                try:
                    decoder.small(Path(where) / f"{prefix}{item.start_index + number:05d}.jpg")
                    decoded += 1
                except MediaError as error:
                    odd[index] = odd[index] or error.evidence
                except OSError:
                    pass  # the check of the numbers names absent ones
    said = f"{counted.said} Decoded to the end: {decoded:,} images of flow of {len(chosen):,} folders."
    return Folders(counted.gaps, odd, said)
