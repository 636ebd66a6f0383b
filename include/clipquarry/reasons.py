"""The words for what can happen to an item: one status and one reason, everywhere.

Statuses and reasons are stored in manifests and in the ledger, shown in reports and documented in
``docs/reasons.md`` (a test holds that page against these enums). What follows from a reason, such as
when to try again, is policy and lives in :mod:`clipquarry.ledger.policy`.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How one row of a step ended."""

    DONE = "done"
    """Made by this run and verified."""
    KEPT = "kept"
    """Was already there and still verifies."""
    MISSING = "missing"
    """Could not be had from any source; the reason says why and the ledger says when to look again."""
    REJECTED = "rejected"
    """The row itself is unusable (a hostile id, reversed times, ...)."""
    FAILED = "failed"
    """Our own fault or a broken file; trying again is expected to help."""

    @property
    def is_present(self) -> bool:
        """True when the item's file exists and was verified."""
        return self in (Status.DONE, Status.KEPT)


class Reason(StrEnum):
    """Why an item is not there. ``OK`` for items that are."""

    OK = "ok"

    # YouTube says so, or stops us
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

    # the way to the bytes
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

    # what arrived is not what was asked for
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

    # ours
    NO_FRAMES = "no_frames"
    TOOL_FAILED = "tool_failed"
    TASK_FAILED = "task_failed"
    NOT_DUE = "not_due"
    NOT_ASKED = "not_asked"


STOPS_THE_CRAWL = frozenset({Reason.BOT_CHECK, Reason.RATE_LIMIT, Reason.HTTP_429})
"""Reasons that open the breaker of an egress at the first word: YouTube itself says that it wants no more questions."""

UNKNOWN_SENTENCE = "unknown sentence"
"""Begins the evidence of an ``unavailable`` whose words are in no table: believed only while other videos succeed."""
