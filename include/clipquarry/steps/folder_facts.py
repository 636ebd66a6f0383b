"""Facts about all files of an item that is a folder of published videos and pictures: used by the step ``collect_mixed``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipquarry.files import sha256_of_files
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.media.errors import MediaError
from clipquarry.media.picture import PICTURE_SUFFIXES, picture_size
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason
from clipquarry.store import Facts


def look_through(files: Sequence[Path]) -> Facts:
    """Facts about published videos and pictures, each decoded to its end; ``unusable`` has name, reason and evidence of the others.

    ``bytes`` and ``sha256`` are of all files together, the rest of the usable ones; the size in pixels is the largest. Raises
    MediaError where none is usable.
    """
    unusable: list[tuple[str, str, str]] = []
    sizes: list[tuple[int, int]] = []
    seconds, frames = 0.0, 0
    for path in files:
        try:
            if path.suffix.lower() in PICTURE_SUFFIXES:
                sizes.append(picture_size(path))
                frames += 1
            elif path.suffix.lower() in VIDEO_SUFFIXES:
                video = probe(path)
                sizes.append((video.width, video.height))
                seconds, frames = seconds + video.duration, frames + video.frames
            else:
                raise MediaError(Reason.NOT_A_VIDEO, "its suffix is none of a video or a picture")
        except MediaError as error:
            unusable.append((path.name, str(error.reason), error.evidence))
    if not sizes:
        told = f"none of its {len(files)} files can be used"
        first = f", the first because {unusable[0][0]}: {unusable[0][2]}" if unusable else ""
        raise MediaError(Reason(unusable[0][1]) if unusable else Reason.NO_FRAMES, f"{told}{first}")
    digest, size = sha256_of_files(files)
    width, height = max(sizes)
    return {
        "bytes": size, "sha256": digest, "duration": seconds or None, "frames": frames, "width": width, "height": height,
        "files": len(sizes), "unusable": unusable,
    }  # fmt: skip
