"""Content measurements of a frame folder, from sixteen of its JPEGs, decoded strictly and scaled down."""

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
"""Bytes of one frame; a larger file is refused."""


class FrameDecoder:
    """Decoder of JPEG files, one after the other."""

    def __init__(self) -> None:
        self._scale = VideoReformatter()

    def small(self, path: Path) -> Small:
        """The JPEG at ``path``, scaled down. Raises MediaError if it does not decode to its end, OSError if it
        cannot be read.
        """
        with open(path, "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
        if not data or len(data) > MAX_BYTES:
            raise MediaError(Reason.CORRUPT, f"{path.name} is no frame: {len(data)} bytes")
        decoder = av.CodecContext.create("mjpeg", "r")
        # By default the decoder invents what a file lacks.
        decoder.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
        try:
            frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(Reason.CORRUPT, f"{path.name} does not decode to its end") from error
        if not frames:
            raise MediaError(Reason.CORRUPT, f"{path.name} has no pixels")
        return reduced(frames[0], self._scale)


def looked_at(count: int, seconds: float) -> list[int]:
    """Numbers (from 0) of the frames to look at, of ``count`` frames of a video of ``seconds``: :func:`moments` as
    frames.
    """
    return [min(count - 1, int(time / seconds * count)) for time in moments(seconds)] if count > 0 < seconds else []


def folder_content(path_of: Callable[[int], Path], count: int, seconds: float) -> Content:
    """Content of a video's frames; ``path_of`` gives the path of frame n, from 0.

    If one does not decode, nothing is known: whether frames are whole is checked elsewhere.
    """
    decoder, found = FrameDecoder(), dict[int, Small]()
    with suppress(MediaError, OSError):
        numbers = looked_at(count, seconds)
        for number in numbers:
            if number not in found:
                found[number] = decoder.small(path_of(number))
        if numbers:
            return judged([found[number] for number in numbers], moving=seconds >= SHORTEST)
    return Content()
