"""What is due: the one definition that plans, reports and commands share.

Every source has a clock of its own for every clip and every video (``ledger_clip_state``, ``ledger_video_state``). A
source may be asked for an item when neither of its two clocks forbids it; one that was never asked, or that gave bytes,
has none. An item is due when it is not there and one of the sources that a run asks may be asked: so it depends on the
run. A run that asks no source with a clock (folders only) may look for everything.

In a mask of sources the n-th one has bit n.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from clipquarry.ledger.models import clip_state, item, video_state
from clipquarry.reasons import Reason, Status

YOUTUBE = "youtube"
"""Key of the one source that is the same for everybody."""
MAX_SOURCES = 60
"""Bits of a mask."""


class Asked(NamedTuple):
    """The sources that a run asks, by their keys. Not ``known``: nobody said which, so that any clock forbids the item."""

    keys: tuple[str, ...]
    known: bool = True

    @property
    def bits(self) -> list[int]:
        """Of each source; the same one for all where they are not known."""
        return [1 << place if self.known else 1 for place in range(len(self.keys))]

    @property
    def every(self) -> int:
        return (1 << len(self.keys)) - 1 if self.known else 1


def _troubles(table: sa.Table, key: sa.Column[Any], egress: str, now: datetime, asked: Asked) -> sa.Subquery:
    """One row for each clip (or video) that one of the sources could not give."""
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
            sa.func.max(table.c.source).label("source"),  # whose words are shown: YouTube's, before any mirror's
        )
        .where(table.c.egress == egress, table.c.source.in_(asked.keys))
        .group_by(key)
        .subquery()
    )


def absent(egress: str, now: datetime, asked: Asked) -> tuple[sa.FromClause, dict[str, sa.ColumnElement[Any]]]:
    """Items with what bears on them, and what follows: reason, next_attempt, open (a mask), due, …"""
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
    # A clip that this data set never asked for is as good as what another one learned of it, or of its video.
    # One that was passed over on purpose has evidence of its own.
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
