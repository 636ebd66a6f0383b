"""Clips that content checks named, with strips of frames that show what is odd about them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.errors import ClipquarryError
from clipquarry.files import inside
from clipquarry.manifest import read_table
from clipquarry.media.errors import MediaError
from clipquarry.report.data import Check, Gate, OddClip, OddClips

CHECKS = {
    "clips.black": "Black", "clips.one_colour": "Of one colour", "clips.frozen": "One frozen frame",
    "clips.slide_show": "Slide shows", "clips.near_copy": "The same video under two ids",
    "clips.uneven_rate": "Of a variable rate", "clips.silent": "Without a sound",
}  # fmt: skip
"""Checks whose clips are shown, in this order, with their titles."""
SHOWN = 4
"""Clips shown per check."""
FRAMES = 5
WIDTH = 96
"""Pixels. A whole strip weighs about 10 kB."""
MAX_BYTES = 12_000
"""Bytes of one frame."""

_COPY = re.compile(r"copy_of (?P<id>\S+) \([^()]*\)")


def odd_clips(recorded: Path, gates: Iterable[Gate]) -> tuple[OddClips, ...]:
    """The clips that content checks named, and their paths by ``recorded.parquet``; empty without that table."""
    named = [
        check for name in CHECKS for gate in gates for check in gate.checks if check.name == name and check.unexpected
    ]
    wanted = {item for check in named for row in check.worst[:SHOWN] for item in (row[0], _copy(row[1])) if item}
    if not wanted or not recorded.is_file():
        return ()
    try:
        table = read_table(recorded, ("item_id", "path", "duration"))
    except (ClipquarryError, KeyError, OSError, pa.ArrowException):
        return ()  # the report says that the table is damaged
    table = table.filter(pc.is_in(table["item_id"], pa.array(sorted(wanted), pa.string())))
    found = {row["item_id"]: row for row in table.to_pylist()}
    return tuple(_of_check(check, found) for check in named)


def _copy(text: str) -> str:
    """The id of the clip that a row copies; ``""`` if it names none of this data set."""
    match = _COPY.search(text)
    return match["id"] if match else ""


def _of_check(check: Check, found: dict[str, dict[str, object]]) -> OddClips:
    clips: list[OddClip] = []
    for item, text in check.worst[:SHOWN]:
        clips.append(_clip(item, text, found))
        if other := _copy(text):
            clips.append(_clip(other, "the clip that shows the same", found))
    return OddClips(check.name, CHECKS[check.name], check.level, check.sentence, tuple(clips))


def _clip(item: str, text: str, found: dict[str, dict[str, object]]) -> OddClip:
    row = found.get(item, {})
    path, duration = row.get("path"), row.get("duration")
    return OddClip(item, text, str(path or ""), float(duration) if isinstance(duration, float) else 0.0)


@dataclass(frozen=True)
class Strip:
    """Frames of a clip from beginning to end, base64 of JPEGs; or the sentence that says why there are none."""

    clip: OddClip
    images: tuple[str, ...] = ()
    problem: str = ""


def strips(odd: Sequence[OddClips], root: Path) -> list[tuple[OddClips, list[Strip]]]:
    """The strips of all clips. ``root`` is the data root; no path may leave it."""
    return [(one, [_strip(clip, root) for clip in one.clips]) for one in odd]


def _strip(clip: OddClip, root: Path) -> Strip:
    from clipquarry.media.thumbnail import thumbnail_jpeg  # decodes videos: not needed to import a report

    if not clip.path:
        return Strip(clip, problem="Its file is not known.")
    try:
        path = inside(root, clip.path)
        if not path.resolve().is_relative_to(root.resolve()):
            return Strip(clip, problem="The file lies outside the data root.")
        if not path.is_file():
            return Strip(clip, problem="The file is no longer there.")
        times = [(number + 0.5) / FRAMES * clip.duration for number in range(FRAMES)]
        thumbnails = [thumbnail_jpeg(path, at, WIDTH) for at in times]
    except (ClipquarryError, MediaError, OSError) as error:
        return Strip(clip, problem=f"No thumbnail: {error}")
    return Strip(clip, tuple(base64.b64encode(one).decode("ascii") for one in thumbnails if len(one) <= MAX_BYTES))
