"""Enums of the outcomes of an item: its status and its reason.

Statuses and reasons are stored in manifests and in the ledger, shown in reports and documented in
``docs/reasons.md`` (a test compares that page with these enums). When to retry after a reason is policy:
:mod:`clipquarry.ledger.policy`.
"""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from functools import cache


class Status(StrEnum):
    """How one row of a step ended."""

    DONE = "done"
    """Made by this run and verified."""
    KEPT = "kept"
    """It existed before and still verifies."""
    MISSING = "missing"
    """No source delivered it; the reason says why and the ledger says when to retry."""
    REJECTED = "rejected"
    """The row itself is unusable (a hostile id, reversed times, ...)."""
    FAILED = "failed"
    """A fault on our side or a broken file; a retry is expected to help."""

    @property
    def is_present(self) -> bool:
        """True when the item's file exists and was verified."""
        return self in (Status.DONE, Status.KEPT)


class Trait(Flag):
    """Properties of a reason. The code that uses a trait says what follows from it."""

    STOPS_CRAWL = auto()
    """YouTube itself asks for a pause: the breaker of the egress opens at the first such answer."""
    STOPPED = auto()
    """The crawl was stopped before the request was answered."""
    NO_ANSWER = auto()
    """No request was made: nothing is known about the item."""
    PASSES = auto()
    """A temporary failure of a server, the network or the tools, not of the item: a mirror's 404 must not hide it."""
    SOON = auto()
    """A retry soon may help."""
    OF_SERVER = auto()
    """The answer of a server, which may have a ``Retry-After``."""
    OUR_FAULT = auto()
    """A fault of a tool: the item has failed, it is not missing."""
    SETTLES = auto()
    """A restarted shard makes no new request."""
    LACKS = auto()
    """The answer is about one address: another folder of the same mirror may have the item."""
    ALIKE = auto()
    """For one video it is about the video; if all videos get it alike, it is about us."""
    CAME = auto()
    """Bytes came, which proves that the source has the video, whatever it answered before."""
    UNUSABLE = auto()
    """The fetched file cannot be used."""
    BROKEN = auto()
    """The file itself is bad, for every window."""
    OF_FILE = auto()
    """A fault that a video file can have."""


class Reason(StrEnum):
    """Why an item is not there; ``OK`` for items that are there."""

    OK = "ok"

    # YouTube's answers about a video, and its refusals of us
    BOT_CHECK = "bot_check"
    RATE_LIMIT = "rate_limit"
    EGRESS_REFUSED = "egress_refused"
    PRIVATE = "private"
    REMOVED = "removed"
    TERMINATED = "terminated"
    VIOLATION = "violation"
    COPYRIGHT = "copyright"
    GEO = "geo"
    AGE = "age"
    MEMBERS = "members"
    NOT_YET = "not_yet"
    UNAVAILABLE = "unavailable"

    # failures of the transfer
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    TRANSPORT = "transport"
    NO_NETWORK = "no_network"
    FORBIDDEN_MEDIA = "forbidden_media"
    NOT_FOUND = "not_found"
    GONE = "gone"
    TOOL_STALE = "tool_stale"
    NO_SOURCE = "no_source"
    WAITING = "waiting"

    # the fetched file is unusable
    NOT_A_VIDEO = "not_a_video"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_SHORT = "too_short"

    # the annotation row
    BAD_ROW = "bad_row"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    BAD_LABEL = "bad_label"
    DUPLICATE = "duplicate"
    UNKNOWN_LABEL = "unknown_label"
    LEFT_OUT = "left_out"

    # our own tools and tasks
    NO_FRAMES = "no_frames"
    NO_AUDIO = "no_audio"
    TOOL_FAILED = "tool_failed"
    TASK_FAILED = "task_failed"
    NOT_DUE = "not_due"
    NOT_ASKED = "not_asked"

    @property
    def traits(self) -> Trait:
        """The traits of the reason."""
        return _TRAITS.get(self, Trait(0))


_T = Trait
_TRAITS: dict[Reason, Trait] = {
    Reason.OK: _T.CAME,
    Reason.BOT_CHECK: _T.STOPS_CRAWL | _T.STOPPED | _T.OF_SERVER,
    Reason.RATE_LIMIT: _T.STOPS_CRAWL | _T.STOPPED | _T.OF_SERVER,
    Reason.EGRESS_REFUSED: _T.PASSES | _T.OF_SERVER,
    **dict.fromkeys(
        (
            Reason.PRIVATE,
            Reason.REMOVED,
            Reason.TERMINATED,
            Reason.VIOLATION,
            Reason.AGE,
            Reason.MEMBERS,
            Reason.NOT_YET,
        ),
        _T.SETTLES,
    ),
    **dict.fromkeys((Reason.COPYRIGHT, Reason.GEO, Reason.UNAVAILABLE), _T.SETTLES | _T.ALIKE),
    Reason.HTTP_429: _T.STOPS_CRAWL | _T.PASSES | _T.SOON | _T.OF_SERVER,
    Reason.HTTP_5XX: _T.PASSES | _T.SOON | _T.OF_SERVER,
    Reason.TRANSPORT: _T.PASSES | _T.SOON | _T.OF_SERVER,
    Reason.NO_NETWORK: _T.PASSES | _T.SOON,
    Reason.FORBIDDEN_MEDIA: _T.LACKS | _T.OF_SERVER,
    Reason.NOT_FOUND: _T.LACKS | _T.SETTLES,
    Reason.GONE: _T.LACKS | _T.SETTLES,
    Reason.TOOL_STALE: _T.PASSES | _T.OUR_FAULT,
    Reason.WAITING: _T.STOPPED | _T.NO_ANSWER,
    Reason.NOT_A_VIDEO: _T.UNUSABLE | _T.BROKEN | _T.OF_FILE | _T.SETTLES,
    Reason.TRUNCATED: _T.CAME | _T.UNUSABLE | _T.BROKEN | _T.OF_FILE | _T.SOON,
    Reason.CORRUPT: _T.CAME | _T.UNUSABLE | _T.BROKEN | _T.OF_FILE | _T.SETTLES,
    Reason.TOO_SHORT: _T.CAME | _T.UNUSABLE | _T.OF_FILE | _T.SETTLES,
    Reason.NO_FRAMES: _T.OF_FILE,
    Reason.NO_AUDIO: _T.OF_FILE,
    Reason.TOOL_FAILED: _T.PASSES | _T.OUR_FAULT | _T.OF_FILE,
    Reason.NOT_DUE: _T.NO_ANSWER,
    Reason.NOT_ASKED: _T.NO_ANSWER,
}


@cache
def with_trait(trait: Trait) -> frozenset[Reason]:
    """The reasons that have ``trait``."""
    return frozenset(reason for reason in Reason if trait in reason.traits)


UNKNOWN_SENTENCE = "unknown sentence"
"""Prefix of the evidence of an ``unavailable`` whose message no table holds. It is believed only while other videos succeed."""
