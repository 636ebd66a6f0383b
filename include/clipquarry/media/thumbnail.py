"""Thumbnails of frames for reports."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import av

from clipquarry.media.errors import MediaError
from clipquarry.media.frame_content import is_png
from clipquarry.media.probe import MAX_PIXELS, opened
from clipquarry.reasons import Reason

MAX_FRAME_BYTES = 50_000_000
"""Bytes of a frame file that is made smaller; a larger file is refused."""


class Thumbnail(NamedTuple):
    """A JPEG and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def thumbnail_jpeg(path: Path, at: float, width: int) -> bytes:
    """A JPEG of the frame shown ``at`` seconds after the video's first one (the last one if it is shorter),
    ``width`` pixels wide.

    The height keeps the proportions, and both are made even. Rotation is not applied. Raises MediaError if nothing
    decodes.
    """
    chosen = None
    try:
        with opened(Path(path).absolute()) as (container, stream):
            start = (stream.start_time or 0) * stream.time_base
            target = float(start) + max(0.0, at)
            container.seek(round(target / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if chosen is not None and frame.time is not None and frame.time > target + 1e-6:
                    break
                chosen = frame
            if chosen is None:
                raise MediaError(Reason.CORRUPT, "no frame decodes")
            return _smaller(chosen, width).jpeg
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"no frame decodes: {error}") from error


def frame_jpeg(path: Path, width: int) -> Thumbnail:
    """The frame file at ``path``, ``width`` pixels wide as above.

    Raises MediaError if the file is neither JPEG nor PNG or does not decode, OSError if it cannot be read.
    """
    with open(path, "rb") as handle:
        content = handle.read(MAX_FRAME_BYTES + 1)
    png = is_png(content)
    if not (png or content[:2] == b"\xff\xd8") or len(content) > MAX_FRAME_BYTES:
        raise MediaError(Reason.CORRUPT, "the file is no JPEG" if not png else "the file is too large")
    decoder = av.CodecContext.create("png" if png else "mjpeg", "r")
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        frames = [*decoder.decode(av.Packet(content)), *decoder.decode(None)]
        if not frames:
            raise MediaError(Reason.CORRUPT, "the frame does not decode")
        return _smaller(frames[0], width)
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"the frame does not decode: {error}") from error


def _smaller(frame: Any, width: int) -> Thumbnail:
    columns = max(2, width // 2 * 2)
    rows = max(2, round(frame.height * columns / frame.width / 2) * 2)
    rows = min(rows, 8 * columns)  # a frame of extreme proportions would only use up the memory
    scaled = frame.reformat(columns, rows, format="yuvj420p")
    buffer = BytesIO()
    with av.open(buffer, "w", format="mjpeg") as out:
        encoder = out.add_stream("mjpeg", rate=1)
        encoder.width, encoder.height, encoder.pix_fmt = columns, rows, "yuvj420p"
        encoder.codec_context.qmin = encoder.codec_context.qmax = 4
        scaled.pts, scaled.time_base = 0, Fraction(1)
        out.mux(encoder.encode(scaled))
        out.mux(encoder.encode(None))
    return Thumbnail(buffer.getvalue(), columns, rows)
