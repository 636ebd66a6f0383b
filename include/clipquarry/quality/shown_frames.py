"""Content of frames on disk: a seeded sample is decoded to the end and compared with the recorded fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from clipquarry import fingerprint
from clipquarry.datasets.model import Item
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import FrameDecoder, looked_at
from clipquarry.quality.disk import place, sample

FOLDERS: Final = 50
"""Folders with decoded frames."""
SAMPLED: Final = 400
"""Frames decoded over all folders, at least :data:`fingerprint.FRAMES` of each."""
_LEAST_RATE: Final = 10.0
"""Frames per second from which on one is near enough to every moment."""
_MOST_UNEVEN: Final = 0.02
"""Frame rate unevenness of a clip whose frames lie elsewhere in time."""


@dataclass(frozen=True)
class Shown:
    """By folder, what is wrong with its frames (``""``: nothing), and whether they show another clip; and how many
    were decoded.
    """

    odd: list[str]
    other: list[str]
    said: str


def look(item: Item, table: pd.DataFrame, root: Path, seed: str) -> Shown:
    """Decode frames of some folders. Columns: ``path``, ``frames``, ``source_duration`` (seconds) and
    ``fingerprint``.
    """
    odd, other = [""] * len(table), [""] * len(table)
    chosen = (
        sample(len(table), FOLDERS, f"{seed} decoded") if item.rgb_pattern.lower().endswith((".jpg", ".jpeg")) else []
    )
    columns = [table[name].tolist() for name in ("path", "frames", "source_duration", "fingerprint")]
    decoder, decoded = FrameDecoder(), 0
    for index in chosen:
        path, frames, seconds, recorded = (column[index] for column in columns)
        where = place(root, path)
        if where is None or frames < 1:
            continue
        moments = looked_at(frames, seconds)[::2] if seconds > 0 else []
        others = sample(frames, max(0, SAMPLED // len(chosen) - len(moments)), f"{seed} {path}")
        small = {}
        try:
            for number in sorted({*moments, *others}):
                small[number] = decoder.small(Path(where) / item.rgb_pattern.format(item.start_index + number))
                decoded += 1
        except MediaError as error:
            odd[index] = error.evidence
        except (OSError, ValueError):
            pass  # the check of the numbers names absent ones
        else:
            if moments and recorded:
                found = fingerprint.fingerprint(np.stack([small[number] for number in moments]))
                other[index] = "other frames than were recorded" if _unlike([found], [recorded])[0] else ""
    return Shown(odd, other, f"Decoded to the end: {decoded:,} frames of {len(chosen):,} folders.")


def unlike_clip(table: pd.DataFrame) -> list[str]:
    """By folder, whether its fingerprint surely shows another video than ``clip_fingerprint``; ``""`` if not, or not
    known.

    Folders of few frames per second (``fps``), and of clips of a variable rate (``clip_uneven``), lie elsewhere in
    time.
    """
    known = (table["fps"] >= _LEAST_RATE) & (table["clip_uneven"] >= 0) & (table["clip_uneven"] <= _MOST_UNEVEN)
    unlike = _unlike(table["fingerprint"].where(known, "").tolist(), table["clip_fingerprint"].tolist())
    return ["other frames than the clip has" if one else "" for one in unlike]


def _unlike(ones: list[str], others: list[str]) -> list[bool]:
    mine, theirs = fingerprint.read(ones), fingerprint.read(others)
    rows, at, to = np.intersect1d(mine.rows, theirs.rows, return_indices=True)
    unlike = [False] * len(ones)
    for row in rows[fingerprint.unlike(mine, at, theirs, to)]:
        unlike[row] = True
    return unlike
