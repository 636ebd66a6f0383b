"""The interface of a source: the request for a clip, the fetched file, and the failure with its reason.

A source takes one :class:`ClipRequest` at a time. It either returns a :class:`Fetched` or raises :class:`FetchFailed`.
Errors of the machine (:mod:`clipquarry.errors`: ``RetryLater`` for a full disk, ``MachineError`` for a missing tool)
pass through unchanged, because they say nothing about the item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

from clipquarry.reasons import Reason

MAX_EVIDENCE = 500
"""Characters of evidence that are kept; the rest is cut."""

_SPACE = re.compile(r"\s+")
_URL_SECRETS = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_URL_LOGIN = re.compile(r"(https?://)[^/\s@]*@", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class ClipRequest:
    """Request for one clip of one source video.

    Sources that hold whole videos use ``video_id``, ``start`` and ``end`` only. When several clips of one video
    are requested at once, ``start`` and ``end`` are the hull of their windows.
    """

    video_id: str
    start: int | float
    """Seconds of the original video."""
    end: int | float
    """Seconds of the original video, exclusive."""
    clip_id: str = ""
    split: str = ""
    class_dir: str = ""
    label: str | None = None


@dataclass(frozen=True)
class Fetched:
    """A file that a source delivered. The caller probes it before it trusts any of these values."""

    path: Path
    """A file in the scratch folder that the caller gave; the caller removes it."""
    content: Literal["clip", "video"]
    """``clip``: already the annotated window. ``video``: a source video, or a section of one."""
    offset: float
    """Seconds of the original video at which the file's first video frame is shown: 0.0 for whole videos, the
    window's start for clips."""
    bytes: int
    seconds: float
    """How long the fetch took."""
    evidence: str
    """One line: host, format, size. Holds no secrets."""
    origin: str = ""
    """What tells a person's own file, which may change, from a later one."""
    until: float | None = None
    """Second of the original video that a longer clip reaches by its name; None: nothing is promised."""


class FetchFailed(Exception):
    """A source could not deliver the item: the reason, one line of evidence, and when a retry may help."""

    def __init__(
        self, reason: Reason, evidence: str, *, retry_after: float | None = None, heard_at: str | None = None
    ) -> None:
        self.reason = reason
        self.heard_at = heard_at
        """When another run heard this answer (ISO 8601, UTC), which was taken instead of a request; else None."""
        self.evidence = one_line(evidence)
        self.retry_after = retry_after
        """Seconds to wait, when the server said so or the reason implies it (a premiere, a rate limit), else None."""
        super().__init__(f"{reason}: {self.evidence}")


class Source(Protocol):
    """A place that clips or source videos are fetched from."""

    @property
    def id(self) -> str:
        """The name under which attempts are recorded (``youtube``, ``cvdf``, ...)."""

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """Write the item's bytes to a new file in ``scratch``; raise :class:`FetchFailed` when the source cannot deliver them.

        Safe to call from several threads at once. Returns or raises soon after ``cancelled`` is set.
        """


def one_line(text: str) -> str:
    """Evidence as it is stored: one line of at most 500 characters, without control characters, query strings or logins."""
    text = _SPACE.sub(" ", _UNPRINTABLE.sub("", text)).strip()
    text = _URL_LOGIN.sub(r"\1", _URL_SECRETS.sub(r"\1", text))
    return text if len(text) <= MAX_EVIDENCE else text[: MAX_EVIDENCE - 1] + "…"
