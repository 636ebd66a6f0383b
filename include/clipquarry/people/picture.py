"""Reads a picture from a file, all of it or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clipquarry.people.detector import Picture

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL = 4096
"""Some cameras write something behind a JPEG's end."""


class PictureError(Exception):
    """The file is not a whole picture; the text says why."""


def read_picture(path: Path) -> Picture:
    """(height, width, 3) uint8, RGB, turned as its EXIF says. Raises PictureError."""
    import cv2  # here: whoever only asks for the step's columns may lack it

    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path.name} cannot be read: {error.strerror}") from error
    if data.startswith(_JPEG) and _JPEG_END not in data[-_TAIL:]:
        raise PictureError(f"{path.name} is cut off after {len(data)} bytes")  # OpenCV would fill the rest with grey
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        raise PictureError(f"{path.name} is no picture ({str(error).strip()[:200]})") from error
    if found is None:
        raise PictureError(f"{path.name} is no picture ({len(data)} bytes)")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), dtype=np.uint8)
