"""The error of a video file that cannot be used: a reason of the manifests and a sentence of evidence."""

from __future__ import annotations

from clipquarry.reasons import Reason, Trait


class MediaError(Exception):
    """A file that cannot be used. It concerns one item; errors of the machine are those of :mod:`clipquarry.errors`.

    ``reason`` is one of ``CORRUPT`` (undecodable), ``TRUNCATED`` (ends before its header says), ``NOT_A_VIDEO``
    (something else arrived: a web page, a still image, sound only), ``TOO_SHORT`` (does not cover the annotated
    window), ``NO_FRAMES`` (gave no frame), ``NO_AUDIO`` (has no sound) and ``TOOL_FAILED`` (ffmpeg failed for another cause). ``evidence`` is the
    measurement, or the end of the tool's own message.
    """

    def __init__(self, reason: Reason, evidence: str) -> None:
        if Trait.OF_FILE not in reason.traits:
            raise ValueError(f"{reason} is not a reason of a media error")
        super().__init__(f"{reason}: {evidence}")
        self.reason = reason
        self.evidence = evidence
