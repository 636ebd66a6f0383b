"""What a folder of images shows: sixteen of its JPEGs, decoded strictly, made very small."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

from clipquarry.media.content import SHORTEST, Content, Small, judged, moments, reduced
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MAX_PIXELS
from clipquarry.reasons import Reason

MAX_BYTES = 50_000_000
"""Of one image; a larger file is none."""


class Images:
    """Decodes JPEGs, one after the other."""

    def __init__(self) -> None:
        self._scale = VideoReformatter()

    def small(self, path: Path) -> Small:
        """The JPEG at ``path``, very small. Raises MediaError when it does not decode to its end, OSError when it cannot be read."""
        with open(path, "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
        if not data or len(data) > MAX_BYTES:
            raise MediaError(Reason.CORRUPT, f"{path.name} is no image: {len(data)} bytes")
        decoder = av.CodecContext.create("mjpeg", "r")
        # By itself the decoder makes up what a file lacks.
        decoder.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
        try:
            frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(Reason.CORRUPT, f"{path.name} does not decode to its end") from error
        if not frames:
            raise MediaError(Reason.CORRUPT, f"{path.name} shows no picture")
        return reduced(frames[0], self._scale)


def looked_at(count: int, seconds: float) -> list[int]:
    """Of ``count`` images of a film of ``seconds`` the numbers, from 0, that are looked at: :func:`moments` as images."""
    return [min(count - 1, int(time / seconds * count)) for time in moments(seconds)] if count > 0 < seconds else []


def folder_content(path_of: Callable[[int], Path], count: int, seconds: float) -> Content:
    """What the images of a film show; ``path_of`` gives the place of image n, from 0.

    Where one does not decode nothing is known: how whole images are is another question.
    """
    images, found = Images(), dict[int, Small]()
    with suppress(MediaError, OSError):
        numbers = looked_at(count, seconds)
        for number in numbers:
            if number not in found:
                found[number] = images.small(path_of(number))
        if numbers:
            return judged([found[number] for number in numbers], moving=seconds >= SHORTEST)
    return Content()
