"""Verification of a folder of frames as somebody published it: every frame is read, some are decoded, nothing is changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipquarry.files import sha256_of_files
from clipquarry.frame_names import frame_number
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import MAX_BYTES, TAIL, FrameDecoder, frame_size, has_end, kind_of
from clipquarry.media.frame_folder import Named, frame_name, is_flow
from clipquarry.reasons import Reason

DECODED = 8
"""Frames of each folder that are decoded to their end, the first and the last one among them."""
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class FolderFacts:
    """Facts of the frames of a folder. ``sha256`` is :func:`clipquarry.files.sha256_of_files` of them, in order."""

    frames: int
    bytes: int
    width: int
    height: int
    sha256: str

    def columns(self) -> dict[str, Any]:
        """The columns of a manifest; a folder has neither a length in seconds nor sound."""
        return {**asdict(self), "duration": None, "fps": None, "has_audio": False}


def frames_in(folder: Path, pattern: Named, start: int, *, prefix: str | None = None) -> list[Path]:
    """The frames of a folder, in order; images of flow and hidden files are none. Raises MediaError where their numbers are not
    ``start``, ``start`` + 1, …, for any other image, and for any other file whose name begins with ``prefix`` (None: only
    images).
    """
    found: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or is_flow(entry.name):
                continue
            number = frame_number(entry.name, pattern)
            if number is not None and number >= start:
                found[number] = folder / entry.name
            elif entry.name.lower().endswith(_IMAGES) or (prefix is not None and entry.name.startswith(prefix)):
                raise MediaError(Reason.CORRUPT, f"{entry.name!r} is in the folder and is no frame of it")
    for place, number in enumerate(sorted(found), start):
        if number != place:
            raise MediaError(Reason.TRUNCATED, f"{frame_name(place, pattern)} is not there, but later frames are")
    return [found[number] for number in sorted(found)]


def signature(frames: Sequence[Path]) -> list[int]:
    """What changes when a frame is replaced: the number of frames, their bytes and times (ns), summed. Raises OSError."""
    found = [path.stat() for path in frames]
    return [len(found), sum(one.st_size for one in found), sum(one.st_mtime_ns for one in found)]


def verify_frames(frames: Sequence[Path]) -> FolderFacts:
    """Read every frame, decode :data:`DECODED` of them. Raises MediaError for one that is no whole JPEG or PNG, as its name says, or has another size
    than the first.
    """
    if not frames:
        raise MediaError(Reason.NO_FRAMES, "the folder has no frames")
    sizes: list[tuple[int, int]] = []

    def look(path: Path, content: bytes) -> None:
        size = frame_size(content, path.name)
        if size is None:
            raise MediaError(Reason.CORRUPT, f"{path.name} {f'is no {kind_of(path.name)}' if content else 'is empty'}")
        if not has_end(content[-TAIL:], path.name):
            raise MediaError(Reason.TRUNCATED, f"{path.name} has no end: the file was cut off")
        if sizes and size != sizes[0]:
            raise MediaError(Reason.CORRUPT, f"{path.name} is {size[0]}x{size[1]}, the first frame is {sizes[0][0]}x{sizes[0][1]}")  # fmt: skip
        sizes[:] = sizes or [size]

    for path in frames:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise MediaError(Reason.CORRUPT, f"{path.name} is no frame: {found.st_size} bytes, or no file")
    digest, size = sha256_of_files(frames, look)
    decoder, last = FrameDecoder(), len(frames) - 1
    for number in sorted({round(last * part / (DECODED - 1)) for part in range(DECODED)}):
        decoder.small(frames[number])
    return FolderFacts(len(frames), size, *sizes[0], digest)
