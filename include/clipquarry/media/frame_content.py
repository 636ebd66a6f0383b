"""Content measurements of a frame folder, from sixteen of its JPEGs, decoded strictly and scaled down."""

from __future__ import annotations

import struct
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


_NO_JPEG = (0xD8, 0x01, *range(0xD0, 0xD8))


class FrameDecoder:
    """Decoder of JPEG and PNG files, one after the other."""

    def __init__(self) -> None:
        self._scale = VideoReformatter()

    def small(self, path: Path) -> Small:
        """The frame at ``path``, scaled down. Raises MediaError if it does not decode to its end, OSError if it
        cannot be read.
        """
        with open(path, "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
        if not data or len(data) > MAX_BYTES:
            raise MediaError(Reason.CORRUPT, f"{path.name} is no frame: {len(data)} bytes")
        decoder = av.CodecContext.create("png" if is_png(data) else "mjpeg", "r")
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


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first bytes of a JPEG (ITU T.81, B.2.2), None if it has none."""
    at = 0
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_JPEG:  # padding, or a marker without a length
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9].ljust(4, b"\0"))
            return (width, height) if width and height else None
        (length,) = struct.unpack(">H", data[at + 2 : at + 4].ljust(2, b"\0"))
        at += 2 + max(length, 2)
    return None


_PNG = b"\x89PNG\r\n\x1a\n"
TAIL = 1024
"""Bytes at the end of a file among which :func:`has_end` looks."""


def is_png(data: bytes) -> bool:
    """Whether a file's first bytes are those of a PNG."""
    return data.startswith(_PNG)


def frame_size(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height from the first bytes of a frame; None if it is not what its name says, a PNG (ISO 15948, 11.2.2) or a JPEG."""
    if not name.endswith(".png"):
        return jpeg_size(data)
    if not is_png(data) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return (width, height) if width and height else None


def has_end(tail: bytes, name: str) -> bool:
    """Whether the last :data:`TAIL` bytes of a frame hold the mark that ends it."""
    return (b"IEND" if name.endswith(".png") else b"\xff\xd9") in tail


def kind_of(name: str) -> str:
    """What a frame is by its name, for people."""
    return "PNG" if name.endswith(".png") else "JPEG"
