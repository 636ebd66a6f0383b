"""AVA's csvs without the rows that no reader could read: of films that are missing, and of seconds whose images are.

The official files stay as they are. mmaction2's readers stop at the first image that is not there, so that a release holds a csv of
what can be read, and a table of what was left out.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from clipyard.annotations.ava_kinetics import AVA_ID_LENGTH
from clipyard.annotations.ava_time import image_of
from clipyard.files import writing

READER_IMAGES = 32
"""What readers take at most on either side of a key frame's image."""
LEFT_COLUMNS = ("video_id", "second", "rows", "reason")


def last_image(second: int) -> int:
    """The last image that a reader takes for a second of a film."""
    return image_of(second) + READER_IMAGES


def write_readable(source: Path, target: Path, left: Path, images: Callable[[str], int]) -> int:
    """Write ``target``, the lines of ``source`` that can be read, and ``left``, the seconds of the others; returns the lines left out.

    ``images``: the number of a film's images, asked for each line. Rows of Kinetics clips, which were made from their images, are kept.
    """
    gone: dict[tuple[str, int], int] = {}
    with open(source, encoding="utf-8") as lines, writing(target) as out:
        for line in lines:
            video, _, rest = line.partition(",")
            if len(video) == AVA_ID_LENGTH:
                second = int(rest.partition(",")[0].partition(".")[0])
                if last_image(second) > images(video):
                    gone[video, second] = gone.get((video, second), 0) + 1
                    continue
            out.write(line if line.endswith("\n") else f"{line}\n")
    with writing(left) as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(LEFT_COLUMNS)
        for (video, second), rows in gone.items():
            have = images(video)
            why = f"its images end at {have}, {last_image(second)} are needed" if have else "the film has no images"
            table.writerow((video, second, rows, why))
    return sum(gone.values())
