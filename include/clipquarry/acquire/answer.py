"""What a source is asked, and what it answers: bytes, or why not.

A source is asked for one :class:`Want` at a time and either returns a :class:`Fetched` or raises :class:`NotHad`.
Sources raise the environment's errors (``RetryLater`` for a full disk, ``MachineError`` for a missing tool) of
:mod:`clipquarry.errors` as they are: those say nothing about the item.
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
class Want:
    """One clip that is wanted of one source video.

    Sources that hold whole videos look at ``video_id``, ``start`` and ``end`` only; when several clips of one video
    are wanted at once these two are the hull of their windows.
    """

    video_id: str
    start: int
    """Seconds of the original video."""
    end: int
    """Seconds of the original video, exclusive."""
    clip_id: str = ""
    split: str = ""
    class_dir: str = ""
    label: str | None = None


@dataclass(frozen=True)
class Fetched:
    """Bytes that arrived; the caller probes them before it believes anything."""

    path: Path
    """A file in the scratch folder that the caller gave; the caller removes it."""
    content: Literal["clip", "video"]
    """``clip``: already the annotated window. ``video``: a source video, or a part of one."""
    offset: float
    """Seconds of the original video at which the file's first video frame is shown: 0.0 for whole videos, the
    window's start for clips."""
    bytes: int
    seconds: float
    """How long the fetch took."""
    evidence: str
    """One line: host, format, size. Holds no secrets."""


class NotHad(Exception):
    """A source could not give the item: the reason, one line of evidence, and when asking again may help."""

    def __init__(self, reason: Reason, evidence: str, *, retry_after: float | None = None) -> None:
        self.reason = reason
        self.evidence = one_line(evidence)
        self.retry_after = retry_after
        """Seconds, when the other side said so or the reason implies it (a premiere, a rate limit), else None."""
        super().__init__(f"{reason}: {self.evidence}")


class Source(Protocol):
    """A place that bytes come from."""

    @property
    def id(self) -> str:
        """The name under which attempts are recorded (``youtube``, ``cvdf``, ...)."""

    def fetch(self, want: Want, scratch: Path, cancelled: Event) -> Fetched:
        """Put the item's bytes into a new file in ``scratch``; raise :class:`NotHad` when they cannot be had.

        Safe to call from several threads at once. Returns or raises soon after ``cancelled`` is set.
        """


def one_line(text: str) -> str:
    """Evidence as it is stored: one line, no control characters, no query strings or logins of URLs, cut at 500."""
    text = _SPACE.sub(" ", _UNPRINTABLE.sub("", text)).strip()
    text = _URL_LOGIN.sub(r"\1", _URL_SECRETS.sub(r"\1", text))
    return text if len(text) <= MAX_EVIDENCE else text[: MAX_EVIDENCE - 1] + "…"
