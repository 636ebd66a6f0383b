"""What the ledger answers. Everything here only reads; answers that may be long are streamed.

Times are aware, UTC. ``egress`` is the way out to the internet: what is permanent from one may be had from another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine

from clipyard.errors import UserError
from clipyard.ledger.answers import Attrition, Coverage, NextDue, ReasonCount, RunInfo
from clipyard.ledger.bulk import is_postgres
from clipyard.ledger.engine import reading, shown
from clipyard.ledger.models import (
    attempt,
    clip,
    clip_state,
    dataset,
    from_micros,
    item,
    label,
    run,
    run_count,
    video,
    video_state,
)
from clipyard.manifest import Row
from clipyard.reasons import Reason, Status

_BATCH = 5000
_DAY = 86_400_000_000  # microseconds


def absent(egress: str, now: datetime) -> tuple[sa.FromClause, dict[str, sa.ColumnElement[Any]]]:
    """Items with the states that bear on them, and what follows: reason, next_attempt, due, …"""
    c, v = clip_state, video_state
    joined = item.outerjoin(c, sa.and_(c.c.clip_id == item.c.clip_id, c.c.egress == egress)).outerjoin(
        v, sa.and_(v.c.video_id == item.c.video_id, v.c.egress == egress)
    )
    has_c, has_v = c.c.clip_id.is_not(None), v.c.video_id.is_not(None)
    c_next, v_next = c.c.next_attempt, v.c.next_attempt
    never = sa.or_(sa.and_(has_c, c_next.is_(None)), sa.and_(has_v, v_next.is_(None)), item.c.status == Status.REJECTED)
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
        "due": sa.and_(
            item.c.status != Status.REJECTED,
            sa.or_(c.c.clip_id.is_(None), c_next <= now),
            sa.or_(v.c.video_id.is_(None), v_next <= now),
        ),
        "permanent": sa.func.coalesce(v.c.permanent, c.c.permanent, sa.false()),
        "since": sa.func.coalesce(c.c.first_seen, v.c.first_seen, item.c.updated),
        "last_attempt": sa.func.coalesce(c.c.last_attempt, v.c.last_attempt, item.c.updated),
    }


def tuples(conn: Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows, a batch at a time, never all of them in memory."""
    if is_postgres(conn):
        # All rows will be wanted: without this the server plans for the first tenth.
        conn.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")
        yield from conn.execute(query, execution_options={"yield_per": _BATCH}).partitions()
        return
    # SQLite's own rows: SQLAlchemy's would take a third longer, and there may be 650,000.
    result = conn.execute(query)
    try:
        while rows := result.cursor.fetchmany(_BATCH):
            yield rows
    finally:
        result.close()


def utc(value: Any) -> datetime | None:
    """A driver's time (see :class:`clipyard.ledger.models.UtcTime`)."""
    if value is None:
        return None
    return value.astimezone(UTC) if isinstance(value, datetime) else from_micros(value)


def micros(dialect: Dialect, moment: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """A time of the database as microseconds since 1970."""
    if dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", moment) * 1_000_000, sa.BigInteger)
    return sa.type_coerce(moment, sa.BigInteger)


_DETAILS = (
    "dataset", "item_id", "video_id", "clip_id", "split", "label", "status", "reason", "evidence", "permanent", "since",
    "last_attempt", "next_attempt",
)  # fmt: skip


class Queries:
    """The reading half of :class:`clipyard.ledger.Ledger`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(
        self,
        now: datetime,
        dataset: str | None = None,
        *,
        egress: str = "default",
        splits: Collection[str] | None = None,
    ) -> Iterator[Row]:
        """Items that are not there and may be asked for now. Columns: see :meth:`missing`."""
        return self._details(now, dataset, egress, splits, None, only_due=True)

    def missing(
        self, dataset: str, split: str | None = None, reason: Reason | None = None, *,
        egress: str = "default", now: datetime | None = None,
    ) -> Iterator[Row]:  # fmt: skip
        """Items that are not there, rejected rows left out, in the order of the splits.

        Columns: ``dataset, item_id, video_id, clip_id, split, label, status, reason, evidence, permanent, since`` (when
        the trouble began), ``last_attempt, next_attempt`` (None: at the next refresh; or, when permanent, never).
        """
        splits = None if split is None else (split,)
        return self._details(now or datetime.now(UTC), dataset, egress, splits, reason, only_due=False)

    def _details(
        self, now: datetime, name: str | None, egress: str, splits: Collection[str] | None, reason: Reason | None, *,
        only_due: bool,
    ) -> Iterator[Row]:  # fmt: skip
        joined, told = absent(egress, now)
        joined = joined.join(dataset, dataset.c.id == item.c.dataset_id).outerjoin(clip, clip.c.id == item.c.clip_id)
        joined = joined.outerjoin(video, video.c.id == item.c.video_id).outerjoin(label, label.c.id == item.c.label_id)
        query = (
            sa.select(
                dataset.c.name, item.c.item_id, video.c.video_id, clip.c.clip_id, item.c.split, label.c.name,
                item.c.status, told["reason"], told["evidence"], told["permanent"], told["since"], told["last_attempt"],
                told["next_attempt"],
            )
            .select_from(joined)
            .where(item.c.listed, ~item.c.present, item.c.status != Status.REJECTED)
        )  # fmt: skip
        with reading(self._engine) as conn:
            keys = self._keys(conn, name)
            query = query.where(item.c.dataset_id.in_(keys))
            if splits is not None:
                query = query.where(item.c.split.in_(list(splits)))
            if reason is not None:
                query = query.where(told["reason"] == reason)
            if only_due:
                query = query.where(told["due"])
            for rows in tuples(conn, query):
                for *texts, permanent, since, last, again in rows:
                    facts = (bool(permanent), utc(since), utc(last), utc(again))
                    yield dict(zip(_DETAILS, (*texts, *facts), strict=True))

    def history(self, id: str) -> list[Row]:
        """Every attempt for a video, a clip or an item id, oldest first.

        Columns: ``at, dataset, run, video_id, clip_id, source, egress, reason, evidence, seconds, bytes``.
        """
        name = id.rpartition("/")[2]
        query = (
            sa.select(
                attempt.c.at, dataset.c.name.label("dataset"), run.c.run, video.c.video_id, clip.c.clip_id,
                attempt.c.source, attempt.c.egress, attempt.c.reason, attempt.c.evidence, attempt.c.seconds,
                attempt.c.bytes,
            )
            .select_from(attempt.join(clip).join(video).join(run).join(dataset))
            .order_by(attempt.c.at, attempt.c.clip_id, attempt.c.nth)
        )  # fmt: skip
        # Asked one after the other, each finds its index; in one question PostgreSQL reads every attempt.
        clips = (
            sa.select(clip.c.id).where(clip.c.clip_id == name),
            sa.select(clip.c.id).join(video).where(video.c.video_id == name),
        )
        with reading(self._engine) as conn:
            keys = {key for wanted in clips for key in conn.execute(wanted).scalars()}
            return [dict(row._mapping) for row in conn.execute(query.where(attempt.c.clip_id.in_(sorted(keys))))]

    def coverage(self, dataset: str) -> list[Coverage]:
        """Per split (``label`` None) and per class of each split, sorted."""
        query = (
            sa.select(item.c.split, item.c.label_id, item.c.status, sa.func.count())
            .where(item.c.listed)
            .group_by(item.c.split, item.c.label_id, item.c.status)
        )
        counts: dict[tuple[str, str | None], Counter[str]] = {}
        with reading(self._engine) as conn:
            (key,) = self._keys(conn, dataset)
            names = {row.id: row.name for row in conn.execute(sa.select(label.c.id, label.c.name))}
            for split, label_id, status, items in conn.execute(query.where(item.c.dataset_id == key)):
                for group in {(split, None), (split, names.get(label_id))}:
                    counts.setdefault(group, Counter())[status] += items
        return [_coverage(*group, counts[group]) for group in sorted(counts, key=lambda g: (g[0], g[1] or ""))]

    def reasons(self, dataset: str) -> list[ReasonCount]:
        """How many items of each split have which status and reason; the most frequent first."""
        with reading(self._engine) as conn:
            (key,) = self._keys(conn, dataset)
            rows = conn.execute(standing(key)).all()
        counts = [ReasonCount(row.split, Status(row.status), Reason(row.reason), row.items) for row in rows]
        return sorted(counts, key=lambda one: (one.split, -one.items, one.reason))

    def attrition(self, dataset: str, *, per: Literal["run", "month"] = "run") -> list[Attrition]:
        """How the share of each status and reason moved: at the end of every run, or of each month's last run."""
        query = (
            sa.select(run.c.run, run.c.ended, run_count.c.status, run_count.c.reason, sa.func.sum(run_count.c["items"]))
            .select_from(run.join(run_count))
            .group_by(run.c.id, run.c.run, run.c.ended, run_count.c.status, run_count.c.reason)
            .order_by(run.c.ended, run.c.run, run_count.c.status, run_count.c.reason)
        )
        with reading(self._engine) as conn:
            (key,) = self._keys(conn, dataset)
            rows = conn.execute(query.where(run.c.dataset_id == key, run.c.ended.is_not(None))).all()
        last = {ended.strftime("%Y-%m"): name for name, ended, *_ in rows}
        totals: Counter[str] = Counter()
        for name, _, _, _, items in rows:
            totals[name] += items
        return [
            Attrition(name, ended, month, Status(status), Reason(reason), int(items), int(items) / totals[name])
            for name, ended, status, reason, items in rows
            if (month := ended.strftime("%Y-%m")) and (per == "run" or last[month] == name)
        ]

    def next_due(
        self, dataset: str, now: datetime, *, egress: str = "default", per: Literal["day", "week"] = "day"
    ) -> list[NextDue]:
        """What will be asked for again when; what is due already counts for today."""
        joined, told = absent(egress, now)
        today = now.astimezone(UTC).date()
        day = sa.case(
            (told["never"], -1), (told["due"], 0), else_=micros(self._engine.dialect, told["next_attempt"]) // _DAY
        )
        query = (
            sa.select(day.label("day"), told["reason"].label("reason"), sa.func.count())
            .select_from(joined)
            .where(item.c.listed, ~item.c.present, item.c.status != Status.REJECTED)
            .group_by(sa.text("1"), sa.text("2"))
        )
        counts: Counter[tuple[date | None, Reason]] = Counter()
        with reading(self._engine) as conn:
            (key,) = self._keys(conn, dataset)
            for number, reason, items in conn.execute(query.where(item.c.dataset_id == key)):
                when = None if number < 0 else max(today, date(1970, 1, 1) + timedelta(days=int(number)))
                if when is not None and per == "week":
                    when -= timedelta(days=when.weekday())
                counts[when, Reason(reason)] += items
        order = sorted(counts, key=lambda group: (group[0] or date.max, group[1]))
        return [NextDue(when, reason, counts[when, reason]) for when, reason in order]

    def runs(self, dataset: str | None = None) -> list[RunInfo]:
        """All runs, or those of a data set, oldest first."""
        return [RunInfo(*row) for row in self._runs(dataset)]

    def _runs(self, name: str | None) -> list[Any]:
        columns = [run.c[field] for field in RunInfo._fields if field != "dataset"]
        query = sa.select(dataset.c.name, *columns).select_from(run.join(dataset)).order_by(run.c.started, run.c.id)
        with reading(self._engine) as conn:
            return list(conn.execute(query.where(run.c.dataset_id.in_(self._keys(conn, name)))))

    def _keys(self, conn: Connection, name: str | None) -> list[int]:
        query = sa.select(dataset.c.id)
        if name is not None:
            query = query.where(dataset.c.name == name)
        keys = [int(key) for key in conn.execute(query).scalars()]
        if name is not None and not keys:
            raise UserError(f"The ledger {shown(self._engine.url)} knows no data set {name!r}: run it first.")
        return keys


def standing(dataset_id: int) -> sa.Select[Any]:
    """Counts by split, status and reason of a data set's items."""
    columns = (item.c.split, item.c.status, item.c.reason)
    # By class first: that is the order of an index, so that nothing has to be sorted.
    by_class = (
        sa.select(*columns, sa.func.count().label("items"))
        .where(item.c.dataset_id == dataset_id, item.c.listed)
        .group_by(item.c.split, item.c.label_id, item.c.status, item.c.reason)
        .subquery()
    )
    groups = (by_class.c.split, by_class.c.status, by_class.c.reason)
    items = sa.cast(sa.func.sum(by_class.c["items"]), sa.Integer)  # PostgreSQL's sum is a decimal
    return sa.select(*groups, items.label("items")).group_by(*groups)


def _coverage(split: str, name: str | None, counts: Counter[str]) -> Coverage:
    present = counts[Status.DONE] + counts[Status.KEPT]
    rejected = counts[Status.REJECTED]
    return Coverage(
        split, name, counts.total() - rejected, present, counts[Status.MISSING], counts[Status.FAILED], rejected
    )
