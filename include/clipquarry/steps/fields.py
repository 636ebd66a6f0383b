"""Columns that several steps' manifests share."""

from __future__ import annotations

import pyarrow as pa

MEDIA_FIELDS: tuple[pa.Field, ...] = (
    pa.field("bytes", pa.int64()),
    pa.field("sha256", pa.string()),
    pa.field("duration", pa.float64()),  # seconds, of the video stream
    pa.field("frames", pa.int32()),  # counted by decoding, not taken from the header
    pa.field("fps", pa.float64()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("has_audio", pa.bool_()),
)

FILE_FIELDS: tuple[pa.Field, ...] = (pa.field("bytes", pa.int64()), pa.field("sha256", pa.string()))
"""Of a file in the layout that is no video."""

CONTENT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("brightness", pa.float32()),  # mean level, 0 to 255
    pa.field("contrast", pa.float32()),  # largest standard deviation within a frame; 0: one colour
    pa.field("still", pa.float32()),  # share of moments after which nothing has moved 0.1 s later
    pa.field("changes", pa.float32()),  # share of steps of an eighth of the clip in which anything changes
    pa.field("jumps", pa.float32()),  # share of those in which the whole frame changes
    pa.field("uneven", pa.float32()),  # share of frames that come half a frame early or late
    pa.field("sound", pa.string()),  # heard, silent, none
    pa.field("fingerprint", pa.string()),  # clipquarry.fingerprint; "" when the frames show too little
)
"""Measurements of video and sound (:class:`clipquarry.media.content.Content`). They are null where a clip was made by an
earlier version or was not decoded.
"""

PATH_FIELD = pa.field("path", pa.string())
"""Relative to the data root."""

ASKED_HEIGHT_FIELD = pa.field("asked_height", pa.int32())
"""Pixels of the short side that were requested from YouTube; null for clips from other sources."""

ATTEMPTS_FIELD = pa.field(
    "attempts",
    pa.list_(
        pa.struct(
            [
                pa.field("source", pa.string()),  # id of the source in the data set's YAML
                pa.field("at", pa.string()),  # ISO 8601, UTC
                pa.field("reason", pa.string()),  # ok when it gave the bytes
                pa.field("evidence", pa.string()),
                pa.field("seconds", pa.float64()),
                pa.field("bytes", pa.int64()),
            ]
        )
    ),
)
"""Every request to a source for this item, in order."""
