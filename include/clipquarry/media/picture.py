"""Check of a still picture as somebody published it, whatever its file is called: it decodes to its end."""

from __future__ import annotations

from pathlib import Path

import av

from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MAX_PIXELS, PROTOCOLS
from clipquarry.reasons import Reason

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
"""Suffixes of still pictures, in lower case."""
MAX_BYTES = 200_000_000
"""Bytes of one picture; a larger file is refused."""

_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg_pipe"),
    (b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (b"RIFF", "webp_pipe"),
    (b"GIF8", "gif"),
    (b"BM", "bmp_pipe"),
)
_END_OF_JPEG = b"\xff\xd9"
_TAIL = 1 << 16
"""Bytes at the end in which a JPEG's end mark lies: cameras and sites append some of their own."""


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height, in pixels, of a picture that decodes to its end. Its first bytes say what it is: sites name many a PNG
    ``.jpg``, and readers decode it. Raises MediaError NOT_A_VIDEO for what is no picture, TRUNCATED, CORRUPT.
    """
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise MediaError(Reason.TRUNCATED if not size else Reason.CORRUPT, f"it has {size} bytes")
    with open(path, "rb") as handle:
        head = handle.read(16)
        handle.seek(max(0, size - _TAIL))
        tail = handle.read()
    kind = next((name for mark, name in _FORMATS if head.startswith(mark)), None)
    if kind is None or (kind == "webp_pipe" and head[8:12] != b"WEBP"):
        raise MediaError(Reason.NOT_A_VIDEO, f"it is no picture: it begins with {head!r}")
    if kind == "jpeg_pipe" and _END_OF_JPEG not in tail:
        raise MediaError(Reason.TRUNCATED, "the JPEG has no end")
    try:
        options = {"protocol_whitelist": PROTOCOLS}
        with av.open(f"file:{path}", format=kind, options=options) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": "explode"}
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise MediaError(Reason.CORRUPT, f"it does not decode to its end: {error or 'no picture'}") from error
    return frame.width, frame.height
