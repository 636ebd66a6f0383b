"""Lists of raw frames of untrimmed videos, as ActivityNet's are (specification 1.3 and 4.1 of the other data sets).

============  ==========================================================================================
a video       ``{folder} {frames} {label of its first segment}``
a segment     ``{folder} {first frame, from 0} {frames} {label}``; added to the number of a folder's first frame
============  ==========================================================================================

Lines are divided by ``\\n``, and none follows the last one.
"""

from __future__ import annotations


def window_in_frames(start: float, end: float, duration: float, frames: int) -> tuple[int, int]:
    """The first frame, from 0, and the number of frames of a segment, by the reference's arithmetic: times are seconds, the rate is
    frames / duration, numbers are truncated, and the last frame is at most the last one there is.

    A number of frames below 1 says that the segment lies behind the video's end, or ends before it starts.
    """
    rate = frames / duration
    first, last = int(start * rate), min(int(end * rate), frames - 1)
    return first, last - first + 1
