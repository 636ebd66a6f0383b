"""What can be wrong with a video file, as a reason of the manifests and a sentence of evidence."""

from __future__ import annotations

from clipquarry.reasons import Reason

_ALLOWED = frozenset(
    {
        Reason.CORRUPT,
        Reason.TRUNCATED,
        Reason.NOT_A_VIDEO,
        Reason.TOO_SHORT,
        Reason.NO_FRAMES,
        Reason.TOOL_FAILED,
    }
)


class MediaError(Exception):
    """A file that cannot be used. It concerns one item; errors of the machine are those of :mod:`clipquarry.errors`.

    ``reason`` is one of ``CORRUPT`` (undecodable), ``TRUNCATED`` (ends before its header says), ``NOT_A_VIDEO``
    (something else arrived: a web page, a picture, sound only), ``TOO_SHORT`` (does not cover the annotated window),
    ``NO_FRAMES`` (gave no image) and ``TOOL_FAILED`` (ffmpeg failed for another cause). ``evidence`` is what was
    measured, or the end of the tool's own message.
    """

    def __init__(self, reason: Reason, evidence: str) -> None:
        if reason not in _ALLOWED:
            raise ValueError(f"{reason} is not a reason of a media error")
        super().__init__(f"{reason}: {evidence}")
        self.reason = reason
        self.evidence = evidence
