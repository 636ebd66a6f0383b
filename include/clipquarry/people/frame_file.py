"""Reader of a frame's JPEG or PNG file. A damaged file is an error, and is never read in part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clipquarry.people.detector import Frame

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL = 4096
"""Some cameras write further bytes after the end of a JPEG."""


class FrameError(Exception):
    """The file is not a complete frame; the text says why."""


def read_frame(path: Path) -> Frame:
    """(height, width, 3) uint8, RGB, rotated by its EXIF orientation. Raises FrameError."""
    import cv2  # imported here, because code that only needs the step's columns may run without it

    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path.name} cannot be read: {error.strerror}") from error
    if data.startswith(_JPEG) and _JPEG_END not in data[-_TAIL:]:
        raise FrameError(f"{path.name} is cut off after {len(data)} bytes")  # OpenCV would fill the rest with grey
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        raise FrameError(f"{path.name} is no frame ({str(error).strip()[:200]})") from error
    if found is None:
        raise FrameError(f"{path.name} is no frame ({len(data)} bytes)")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), dtype=np.uint8)
