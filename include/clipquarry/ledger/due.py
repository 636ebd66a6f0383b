"""SQL definition of due items, shared by plans, reports and commands.

Every source has its own clock for every clip and every video (``ledger_clip_state``, ``ledger_video_state``). A source
is open for an item when neither of the two clocks forbids it. A source that was never tried, or that delivered the
bytes, has no clock. An item is due when it is not there and one of the run's sources is open for it, so it depends on
the run. A run whose sources have no clock (folders only) may look for every item.

In a mask of sources the n-th source has bit n (from 0).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from clipquarry.ledger.models import clip_state, item, video_state
from clipquarry.reasons import Reason, Status

YOUTUBE = "youtube"
"""Key of YouTube, the one source that all data sets share."""
MAX_SOURCES = 60
"""Bits of a mask."""


class Asked(NamedTuple):
    """The keys of a run's sources. Not ``known``: the run's sources are unknown, so that any clock forbids the item."""

    keys: tuple[str, ...]
    known: bool = True

    @property
    def bits(self) -> list[int]:
        """The bit of each source; one bit for all where the sources are not known."""
        return [1 << place if self.known else 1 for place in range(len(self.keys))]

    @property
    def every(self) -> int:
        return (1 << len(self.keys)) - 1 if self.known else 1


def _troubles(table: sa.Table, key: sa.Column[Any], egress: str, now: datetime, asked: Asked) -> sa.Subquery:
    """One row for each clip (or video) that one of the sources could not deliver."""
    named = [(table.c.source == name, bit) for name, bit in zip(asked.keys, asked.bits, strict=True)]
    both = sa.func.sum if asked.known else sa.func.max
    bit = sa.case(*named, else_=0) if named else sa.literal(0)
    later = sa.or_(table.c.next_attempt.is_(None), table.c.next_attempt > now)
    return (
        sa.select(
            key.label("id"),
            both(sa.case((later, bit), else_=0)).label("closed"),
            both(sa.case((table.c.next_attempt.is_(None), bit), else_=0)).label("never"),
            sa.func.min(table.c.next_attempt).label("next_attempt"),
            sa.func.max(table.c.source).label(
                "source"
            ),  # the source whose evidence is shown: YouTube before any mirror
        )
        .where(table.c.egress == egress, table.c.source.in_(asked.keys))
        .group_by(key)
        .subquery()
    )


def absent(egress: str, now: datetime, asked: Asked) -> tuple[sa.FromClause, dict[str, sa.ColumnElement[Any]]]:
    """Items joined with their clocks, and the derived columns: reason, next_attempt, open (a mask), due, …"""
    if len(asked.keys) > MAX_SOURCES:
        raise ValueError(f"more than {MAX_SOURCES} sources")
    c, v = clip_state, video_state
    cs = _troubles(c, c.c.clip_id, egress, now, asked)
    vs = _troubles(v, v.c.video_id, egress, now, asked)
    joined = (
        item.outerjoin(cs, cs.c.id == item.c.clip_id)
        .outerjoin(vs, vs.c.id == item.c.video_id)
        .outerjoin(c, sa.and_(c.c.clip_id == cs.c.id, c.c.egress == egress, c.c.source == cs.c.source))
        .outerjoin(v, sa.and_(v.c.video_id == vs.c.id, v.c.egress == egress, v.c.source == vs.c.source))
    )
    every = sa.literal(asked.every, sa.BigInteger)

    def but(name: str) -> sa.ColumnElement[int]:
        """The sources whose bit is set in neither mask."""
        c_mask, v_mask = (sa.func.coalesce(sa.cast(s.c[name], sa.BigInteger), 0) for s in (cs, vs))
        return every.bitwise_and(c_mask.bitwise_or(v_mask).bitwise_not())

    usable = item.c.status != Status.REJECTED
    open_ = sa.case((usable, but("closed")), else_=0)
    due = sa.and_(usable, open_ != 0) if asked.keys else usable
    never = sa.or_(~usable, but("never") == 0) if asked.keys else ~usable
    c_next, v_next = cs.c.next_attempt, vs.c.next_attempt
    has_c, has_v = cs.c.id.is_not(None), vs.c.id.is_not(None)
    # A clip that this data set never requested has the reason that another data set learned for it or its video.
    # A clip that was skipped on purpose has evidence of its own.
    untold = sa.and_(item.c.reason == Reason.NOT_ASKED, item.c.evidence == "")
    by_clip, by_video = sa.and_(untold, has_c, c.c.reason != Reason.OK), sa.and_(untold, has_v)
    return joined, {
        "reason": sa.case((by_clip, c.c.reason), (by_video, v.c.reason), else_=item.c.reason),
        "evidence": sa.case((by_clip, c.c.evidence), (by_video, v.c.evidence), else_=item.c.evidence),
        "next_attempt": sa.case(
            (never, sa.null()), (sa.and_(has_v, sa.or_(c_next.is_(None), v_next > c_next)), v_next), else_=c_next
        ),
        "never": never,
        "open": open_,
        "due": due,
        "asked": item.c.run_id.is_not(None),
        "permanent": sa.func.coalesce(v.c.permanent, c.c.permanent, sa.false()),
        "since": sa.func.coalesce(c.c.first_seen, v.c.first_seen, item.c.updated),
        "last_attempt": sa.func.coalesce(c.c.last_attempt, v.c.last_attempt, item.c.updated),
    }
