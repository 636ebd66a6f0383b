"""Order of a crawl's questions by what they are likely to yield, and the rates of the ledger behind it.

A question is one request about a video to YouTube. It serves all windows of the video, of every data set that wants
some. All of this is computed in the database: one row a video leaves it, in the order of the questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clipquarry.ledger.due import YOUTUBE, Asked, absent
from clipquarry.ledger.models import attempt, clip, clip_state, dataset, item, video, video_state
from clipquarry.ledger.policy import RULES
from clipquarry.ledger.queries import micros, tuples
from clipquarry.reasons import Reason, Status

NEW, AGAIN, ANSWERED, LAST = range(4)
"""Ranks of questions. ``NEW``: YouTube never failed for the video, or a mirror may have a clip of it; ``AGAIN``: it failed
for a reason on our side; ``ANSWERED``: it answered that the video cannot be had; ``LAST``: it is ``unavailable``, or the
answer is believed.
"""
MOST_ANSWERS = 3
"""Videos with so many answers in a row, or more, share one rate."""
SAMPLE = 50_000
"""Videos that rates are taken of."""
_WEIGHT = 20
"""Questions that the assumed chance counts for: with some hundred of its own, the ledger's rate is what counts."""
_ASSUMED = {NEW: 0.85, AGAIN: 0.75, ANSWERED: 0.03, LAST: 0.05}
"""Chance that a question brings bytes, while the ledger has no rate."""
_DAY = 86_400_000_000  # microseconds
_NO_QUESTION = (Reason.WAITING, Reason.NO_NETWORK)
_RECENT = timedelta(days=30)


class Question(NamedTuple):
    """One video in the order of a crawl."""

    video_id: str
    """With its namespace, as ``youtube:0wR5jVB-WPk``."""
    clips: int
    """Windows that the data sets asked for lack."""
    elsewhere: int
    """Windows of the video that only other data sets asked for and lack."""
    rank: int
    chance: float
    """That bytes come."""


@dataclass(frozen=True)
class Rates:
    """How questions ended, by what was known before them. ``counts``: questions and those that brought bytes, by the reason of the
    question before (None: the first one) and the number of answers before, at most :data:`MOST_ANSWERS`.
    """

    counts: Mapping[tuple[Reason | None, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        return sum(asked for asked, _ in self.counts.values())

    @property
    def brought(self) -> int:
        return sum(came for _, came in self.counts.values())

    def chance(self, before: Reason | None, answers: int = 1) -> float:
        """The rate of such questions, drawn to an assumed one where there were few."""
        key = (before, 0 if before is None else min(max(answers, 1), MOST_ANSWERS))
        asked, came = self.counts.get(key, (0, 0))
        return (came + _WEIGHT * _ASSUMED[rank_of(before)]) / (asked + _WEIGHT)


class Pace(NamedTuple):
    """Questions of the last 30 days from one egress, and on how many days they were asked.

    Only busy days count, with half as many as the busiest or more: on the others there was little to ask. Today counts
    only if it is the only day, because it is not over.
    """

    questions: int
    days: int

    @property
    def per_day(self) -> float:
        return self.questions / self.days if self.days else 0.0


class SharedWith(NamedTuple):
    """What a data set has in common with another one of the same ledger: videos, clips of the same window, and of these
    the ones that only the other has.
    """

    dataset: str
    videos: int
    clips: int
    there: int


def rank_of(before: Reason | None, *, believed: bool = False) -> int:
    if before is None or before is Reason.OK:
        return NEW
    if RULES[before].subject in ("us", "nothing"):
        return AGAIN
    return LAST if before is Reason.UNAVAILABLE or believed else ANSWERED


def _questions(egress: str, source: str) -> sa.Select[Any]:
    """One row a question: video, time, reason. A request costs time; its copies for further windows cost none."""
    return (
        sa.select(clip.c.video_id, attempt.c.at, sa.func.min(attempt.c.reason).label("reason"))
        .select_from(attempt.join(clip, clip.c.id == attempt.c.clip_id))
        .where(attempt.c.source == source, attempt.c.egress == egress)
        .where(attempt.c.seconds > 0, attempt.c.reason.not_in(_NO_QUESTION))
        .group_by(clip.c.video_id, attempt.c.at)
    )


def rates(conn: Connection, egress: str, source: str = YOUTUBE) -> Rates:
    """How the questions of one egress ended. ``source``: the id under which attempts name YouTube.

    In a large ledger, of every n-th video: 50,000 of them tell a rate as well as all do.
    """
    query = _questions(egress, source)
    if (nth := (conn.execute(sa.select(sa.func.max(video.c.id))).scalar() or 0) // SAMPLE) > 1:
        query = query.where(attempt.c.clip_id.in_(sa.select(clip.c.id).where(clip.c.video_id % nth == 0)))
    asked = query.subquery()
    told = sa.select(
        asked.c.reason,
        sa.func.lag(asked.c.reason).over(partition_by=asked.c.video_id, order_by=asked.c.at).label("before"),
        sa.func.row_number().over(partition_by=asked.c.video_id, order_by=asked.c.at).label("number"),
    ).subquery()
    answers = sa.case((told.c.number > MOST_ANSWERS, MOST_ANSWERS), else_=told.c.number - 1)
    came = sa.func.sum(sa.case((told.c.reason == Reason.OK, 1), else_=0))
    query = sa.select(told.c.before, answers, sa.func.count(), came).group_by(told.c.before, answers)
    found: dict[tuple[Reason | None, int], tuple[int, int]] = {}
    for before, number, count, ok in conn.execute(query):
        key = (None, 0) if before in (None, Reason.OK) else (Reason(before), int(number))
        asked_so_far, came_so_far = found.get(key, (0, 0))
        found[key] = (asked_so_far + int(count), came_so_far + int(ok))
    return Rates(found)


def pace(conn: Connection, now: datetime, egress: str, source: str = YOUTUBE) -> Pace:
    """Questions of the last 30 days."""
    recent = _questions(egress, source).where(attempt.c.at > now - _RECENT, attempt.c.at <= now).subquery()
    day = micros(conn.dialect, recent.c.at) // _DAY
    days = {int(number): int(count) for number, count in conn.execute(sa.select(day, sa.func.count()).group_by(day))}
    if len(days) > 1:
        days.pop(int(now.timestamp()) // 86_400, None)
    busy = [count for count in days.values() if 2 * count >= max(days.values())]
    return Pace(sum(busy), len(busy))


def questions(
    conn: Connection, datasets: Collection[int], now: datetime, egress: str, asked: Asked, known: Rates
) -> Iterator[Question]:
    """Videos of which the data sets lack windows that are due, the best question first: by rank, then by the windows
    that a question is likely to bring, then by name. ``datasets``: their keys.
    """
    wanted = _wanted(datasets, now, egress, asked)
    rank, chance = _rank(wanted), _chance(wanted, known)
    others = _elsewhere(datasets)
    more = sa.func.coalesce(others.c.clips, 0)
    gain = chance * (wanted.c.clips + more)
    query = (
        sa.select(video.c.video_id, wanted.c.clips, more, rank, chance)
        .select_from(wanted.join(video, video.c.id == wanted.c.video_id).outerjoin(others, others.c.video_id == video.c.id))
        .order_by(rank, gain.desc(), video.c.video_id.collate(_plain(conn)))
    )  # fmt: skip
    for rows in tuples(conn, query):
        for name, clips, elsewhere, order, likely in rows:
            yield Question(name, int(clips), int(elsewhere), int(order), float(likely))


def shared(conn: Connection, key: int) -> list[SharedWith]:
    """What the data set shares with each other one, the most videos first."""
    mine = sa.select(item.c.video_id).where(item.c.dataset_id == key, item.c.listed).distinct().subquery()
    theirs = (
        sa.select(item.c.dataset_id, item.c.video_id)
        .where(item.c.dataset_id != key, item.c.listed)
        .distinct()
        .subquery()
    )
    videos = (
        sa.select(dataset.c.name, sa.func.count())
        .select_from(theirs.join(mine, mine.c.video_id == theirs.c.video_id).join(dataset, dataset.c.id == theirs.c.dataset_id))
        .group_by(dataset.c.name)
    )  # fmt: skip
    there = sa.func.max(sa.case((item.c.present, 1), else_=0)).label("there")
    own = (
        sa.select(item.c.clip_id, there)
        .where(item.c.dataset_id == key, item.c.listed)
        .group_by(item.c.clip_id)
        .subquery()
    )
    other = (
        sa.select(item.c.dataset_id, item.c.clip_id, there)
        .where(item.c.dataset_id != key, item.c.listed)
        .group_by(item.c.dataset_id, item.c.clip_id)
        .subquery()
    )
    only = sa.func.sum(sa.case((other.c.there > own.c.there, 1), else_=0))
    clips = (
        sa.select(dataset.c.name, sa.func.count(), only)
        .select_from(other.join(own, own.c.clip_id == other.c.clip_id).join(dataset, dataset.c.id == other.c.dataset_id))
        .group_by(dataset.c.name)
    )  # fmt: skip
    same = {name: (int(count), int(lacking)) for name, count, lacking in conn.execute(clips)}
    found = [SharedWith(name, int(count), *same.get(name, (0, 0))) for name, count in conn.execute(videos)]
    return sorted(found, key=lambda one: (-one.videos, one.dataset))


def _plain(conn: Connection) -> str:
    """The collation by bytes, so that both databases give one order."""
    return "C" if conn.dialect.name == "postgresql" else "BINARY"


def _wanted(datasets: Collection[int], now: datetime, egress: str, asked: Asked) -> sa.Subquery:
    """One row a video: its due windows, and what YouTube answered last about it, or about one of them."""
    joined, told = absent(egress, now, asked)
    of_video, of_clip = video_state.alias(), clip_state.alias()
    joined = joined.outerjoin(of_video, _clock(of_video, of_video.c.video_id == item.c.video_id, egress))
    joined = joined.outerjoin(of_clip, _clock(of_clip, of_clip.c.clip_id == item.c.clip_id, egress))
    youtube = sum(bit for name, bit in zip(asked.keys, asked.bits, strict=True) if name == YOUTUBE and asked.known)
    mirror = sa.case((told["open"].bitwise_and(sa.literal(asked.every & ~youtube, sa.BigInteger)) != 0, 1), else_=0)
    return (
        sa.select(
            item.c.video_id,
            sa.func.count(sa.distinct(item.c.clip_id)).label("clips"),
            sa.func.max(mirror if youtube else sa.literal(0)).label("mirror"),
            sa.func.max(of_video.c.reason).label("of_video"),
            sa.func.max(of_video.c.confirmations).label("answers"),
            sa.func.max(sa.case((of_video.c.permanent, 1), else_=0)).label("believed"),
            # A window that was never asked for makes the video worth a question, whatever is known of its others.
            sa.case((sa.func.count() == sa.func.count(of_clip.c.reason), sa.func.max(of_clip.c.reason))).label("of_clip"),
        )
        .select_from(joined)
        .where(item.c.dataset_id.in_(list(datasets)), item.c.listed, ~item.c.present, item.c.video_id.is_not(None))
        .where(told["due"])
        .group_by(item.c.video_id)
        .subquery()
    )  # fmt: skip


def _clock(table: sa.FromClause, of: sa.ColumnElement[bool], egress: str) -> sa.ColumnElement[bool]:
    return sa.and_(of, table.c.egress == egress, table.c.source == YOUTUBE)


def _elsewhere(datasets: Collection[int]) -> sa.Subquery:
    """Windows that other data sets asked for and lack, and these do not list, by video."""
    chosen = item.c.dataset_id.in_(list(datasets))
    # Joined, not "not in": PostgreSQL looks through the whole list for each row where it does not fit its memory.
    ours = sa.select(item.c.clip_id).where(chosen, item.c.listed).distinct().subquery()
    return (
        sa.select(item.c.video_id, sa.func.count(sa.distinct(item.c.clip_id)).label("clips"))
        .select_from(item.outerjoin(ours, ours.c.clip_id == item.c.clip_id))
        .where(~chosen, item.c.listed, ~item.c.present, item.c.status != Status.REJECTED)
        .where(item.c.run_id.is_not(None), ours.c.clip_id.is_(None))
        .group_by(item.c.video_id)
        .subquery()
    )  # fmt: skip


def _rank(wanted: sa.Subquery) -> sa.ColumnElement[int]:
    def those(rank: int, column: str) -> sa.ColumnElement[bool]:
        return wanted.c[column].in_([str(reason) for reason in Reason if rank_of(reason) == rank])

    return sa.case(
        (wanted.c.mirror == 1, NEW),
        (sa.or_(those(LAST, "of_video"), sa.and_(wanted.c.of_video.is_not(None), wanted.c.believed == 1)), LAST),
        (sa.or_(those(ANSWERED, "of_video"), those(ANSWERED, "of_clip")), ANSWERED),
        (sa.or_(those(AGAIN, "of_video"), those(AGAIN, "of_clip")), AGAIN),
        else_=NEW,
    )


def _chance(wanted: sa.Subquery, known: Rates) -> sa.ColumnElement[float]:
    reason = sa.func.coalesce(wanted.c.of_video, wanted.c.of_clip)
    answers = sa.func.coalesce(wanted.c.answers, 1)
    cases = []
    for one in Reason:
        for count in range(MOST_ANSWERS, 0, -1):
            if count == 1 or (one, count) in known.counts:
                likely = sa.literal(round(known.chance(one, count), 6), sa.Float)
                cases.append((sa.and_(reason == str(one), answers >= (0 if count == 1 else count)), likely))
    return sa.case(*cases, else_=sa.literal(round(known.chance(None), 6), sa.Float))
