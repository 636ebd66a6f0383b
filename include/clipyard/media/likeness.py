"""Whether two pictures show the same, whoever encoded them: small grey pictures are compared."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from clipyard.media.errors import MediaError
from clipyard.media.probe import DEMUXERS, PROTOCOLS
from clipyard.reasons import Reason

Grey = npt.NDArray[np.int16]

_SIDE = 48
_LIMIT = 8.0
"""Mean difference in grey levels (0 to 255). Another quality or scaler makes 1 or 2."""


def alike(one: Grey, other: Grey) -> bool:
    """True when both show the same picture, whatever encoded it."""
    return bool(np.abs(one - other).mean() <= _LIMIT)


def spread(count: int, most: int = 8) -> list[int]:
    """At most ``most`` of the numbers 0 to ``count`` - 1, evenly spread, both ends among them."""
    return sorted({round(n * (count - 1) / (most - 1)) for n in range(most)}) if count else []


def image(path: Path) -> Grey:
    """A JPEG. Raises MediaError when it does not decode."""
    return _decoded(path, {0}, "jpeg_pipe")[0]


def frames(path: Path, numbers: Collection[int]) -> dict[int, Grey]:
    """Some frames of a video by number, 0-based, in the order in which they are shown. Raises MediaError when it does not
    decode; numbers behind the end are left out.
    """
    return _decoded(path, set(numbers), format_whitelist=DEMUXERS)


def _decoded(path: Path, numbers: set[int], format_: str | None = None, **more: str) -> dict[int, Grey]:
    found: dict[int, Grey] = {}
    try:
        with av.open(f"file:{path}", format=format_, options={"protocol_whitelist": PROTOCOLS, **more}) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in numbers:
                    grey = frame.reformat(width=_SIDE, height=_SIDE, format="gray").to_ndarray()
                    found[number] = grey.astype(np.int16)
                if number >= max(numbers, default=0):
                    break
    except av.FFmpegError as error:
        raise MediaError(Reason.CORRUPT, f"{path.name} does not decode: {error}") from error
    if not found:
        raise MediaError(Reason.CORRUPT, f"{path.name} shows no picture")
    return found
