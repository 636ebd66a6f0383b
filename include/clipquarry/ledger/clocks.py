"""Correction of times in the future, which only a wrong clock can have written.

Nothing is ordered by time (the keys of runs are the order). The next run corrects such times when it begins: the answer
counts as of now, so that its next attempt is as far away as its reason says, and no further.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from clipquarry.ledger.engine import reading
from clipquarry.ledger.models import clip_state, dataset, run, video_state

SKEW = timedelta(minutes=5)
"""Largest accepted difference between the clocks of two machines."""


def clamp_states(conn: Connection, now: datetime) -> int:
    """Move states with times in the future to ``now``, with their dates; returns the number of states."""
    moved = 0
    for table in (video_state, clip_state):
        c = table.c
        later = {
            name: sa.case((c[name] > now, sa.literal(now, c[name].type)), else_=c[name])
            for name in ("first_seen", "first_confirmed")
        }
        at = sa.literal(now, c.last_attempt.type)
        values = {**later, "last_attempt": at, "next_attempt": at + (c.next_attempt - c.last_attempt)}
        moved += conn.execute(table.update().where(c.last_attempt > now + SKEW).values(values)).rowcount
    return moved


def in_the_future(engine: Engine, now: datetime, name: str | None) -> list[str]:
    """One sentence for each run (of data set ``name``, or of all) with times in the future, and one for the answers."""
    horizon = now + SKEW
    query = (
        sa.select(dataset.c.name, run.c.run, sa.func.coalesce(run.c.ended, run.c.started).label("at"))
        .select_from(run.join(dataset))
        .where(sa.or_(run.c.started > horizon, run.c.ended > horizon))
        .order_by(run.c.id)
    )
    if name is not None:
        query = query.where(dataset.c.name == name)
    told = []
    with reading(engine) as conn:
        for owner, run_name, at in conn.execute(query):
            told.append(
                f"Run {run_name} of {owner} ended on {at:%Y-%m-%d %H:%M} UTC, which is in the future: the clock was ahead. "
                "Its answers count as of the next run; no action is needed."
            )
        states = sum(
            int(conn.execute(sa.select(sa.func.count()).where(table.c.last_attempt > horizon)).scalar_one())
            for table in (video_state, clip_state)
        )
    if states:
        told.append(f"{states} answers of sources have times in the future; the next run corrects them.")
    return told
