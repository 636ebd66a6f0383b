"""The file of a clip's tracks: everybody in every frame, with an id. A csv with a header::

    frame,x1,y1,x2,y2,score,person,detected
    1,0.3703,0.2417,0.5547,0.9896,0.8312,1,1
    2,0.3711,0.2417,0.5555,0.9896,0,1,0

Frames and people count from 1. Boxes are fractions of the picture. ``detected`` is 0 where a box was interpolated between two frames
in which a detector saw the person; its score is 0. The form is our own; the columns are those that MOTChallenge's files have, too.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from clipquarry.errors import UserError
from clipquarry.people.tracking.boxes import TrackedBoxes

COLUMNS = ("frame", "x1", "y1", "x2", "y2", "score", "person", "detected")
_DIGITS = 6
"""Of a fraction: a thousandth of a pixel."""


class Seen(NamedTuple):
    """A person in a frame; both count from 1. ``box`` is ``x1, y1, x2, y2`` in fractions of the picture."""

    frame: int
    box: tuple[float, float, float, float]
    person: int
    detected: bool


def write_tracks(handle: IO[str], tracked: TrackedBoxes) -> None:
    """Write the boxes, given in fractions with frames from 0. What has no area within the picture is left out."""
    rows = csv.writer(handle, lineterminator="\n")
    rows.writerow(COLUMNS)
    filled = tracked.filled.tolist()
    boxes = tracked.boxes.clip(0.0, 1.0).round(_DIGITS).tolist()
    for frame, (x1, y1, x2, y2), score, person, added in zip(
        tracked.frames.tolist(),
        boxes,
        tracked.scores.round(_DIGITS).tolist(),
        tracked.ids.tolist(),
        filled,
        strict=True,
    ):
        if x1 < x2 and y1 < y2:
            told = 0 if added else score
            rows.writerow((frame + 1, x1, y1, x2, y2, told, person, int(not added)))


def read_tracks(path: Path, frames: Collection[int] | None = None) -> Iterator[Seen]:
    """Who is in the ``frames`` (from 1; None: in all), in the file's order. Raises :class:`UserError` for a file that is no such csv."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = csv.reader(handle)
            if tuple(next(rows, ())) != COLUMNS:
                raise ValueError("its header is another one")
            for row in rows:
                frame = int(row[0])
                if frames is None or frame in frames:
                    yield _seen(frame, row)
    except (OSError, ValueError, IndexError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"The tracks {path} cannot be read ({why}): delete the file, and run the task 'track' again."
        ) from error


def _seen(frame: int, row: list[str]) -> Seen:
    x1, y1, x2, y2 = (float(one) for one in row[1:5])
    person = int(row[6])
    if frame < 1 or person < 1 or not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1) or row[7] not in ("0", "1"):
        raise ValueError(f"line {','.join(row)[:80]!r} is no box of a person")
    return Seen(frame, (x1, y1, x2, y2), person, row[7] == "1")
