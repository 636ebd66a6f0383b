"""Small pictures for reports."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av

from clipyard.media.errors import MediaError
from clipyard.media.probe import opened
from clipyard.reasons import Reason


def thumbnail_jpeg(path: Path, at: float, width: int) -> bytes:
    """A JPEG of the frame shown ``at`` seconds after the video's first one (the last one if it is shorter), ``width``
    pixels wide.

    The height keeps the proportions, both are made even; rotation is not applied. Raises MediaError when nothing
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
            columns = max(2, width // 2 * 2)
            rows = max(2, round(chosen.height * columns / chosen.width / 2) * 2)
            picture = chosen.reformat(columns, rows, format="yuvj420p")
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"no frame decodes: {error}") from error
    buffer = BytesIO()
    with av.open(buffer, "w", format="mjpeg") as out:
        encoder = out.add_stream("mjpeg", rate=1)
        encoder.width, encoder.height, encoder.pix_fmt = columns, rows, "yuvj420p"
        encoder.codec_context.qmin = encoder.codec_context.qmax = 4
        picture.pts, picture.time_base = 0, Fraction(1)
        out.mux(encoder.encode(picture))
        out.mux(encoder.encode(None))
    return buffer.getvalue()
