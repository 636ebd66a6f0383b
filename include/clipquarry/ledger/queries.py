"""Read queries of the ledger. Results that may be long are streamed.

Times are aware, UTC. ``egress`` is the network path to the internet: a video that is permanently missing from one may be
available from another. ``sources`` are the keys of a run's sources, see :meth:`clipquarry.ledger.Ledger.record`. Without
them, those of the data set's refreshes count (:mod:`clipquarry.ledger.due` defines due items).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine

from clipquarry.errors import UserError
from clipquarry.ids import source_name
from clipquarry.ledger.answers import Attrition, Coverage, Delivered, NextDue, ReasonCount, RunInfo
from clipquarry.ledger.bulk import is_postgres
from clipquarry.ledger.clocks import SKEW, in_the_future
from clipquarry.ledger.due import YOUTUBE, Asked, absent
from clipquarry.ledger.engine import reading, shown
from clipquarry.ledger.models import (
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
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status

dataset_table = dataset  # methods have a parameter of the table's name
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 5000
_DAY = 86_400_000_000  # microseconds


def tuples(conn: Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows in batches, never all of them in memory."""
    if is_postgres(conn):
        # All rows will be read: without this the server plans for the first tenth.
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
    """A driver's time (see :class:`clipquarry.ledger.models.UtcTime`)."""
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
    """The reading half of :class:`clipquarry.ledger.Ledger`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(
        self,
        now: datetime,
        dataset: str | None = None,
        *,
        egress: str = "default",
        splits: Collection[str] | None = None,
        sources: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Items that the next refresh requests: requested before, not there, and due. Columns: see :meth:`missing`."""
        for name, key in self._keys(dataset):
            yield from self._details(now, name, key, egress, splits, None, sources, only_due=True)

    def missing(
        self, dataset: str, split: str | None = None, reason: Reason | None = None, *,
        egress: str = "default", now: datetime | None = None, sources: Sequence[str] | None = None,
    ) -> Iterator[Row]:  # fmt: skip
        """Items that are not there, without rejected rows, in the order of the splits.

        Columns: ``dataset, item_id, video_id, clip_id, split, label, status, reason, evidence, permanent, since`` (time of
        the first failure), ``last_attempt, next_attempt`` (None: at the next refresh; or, when permanent, never).
        """
        splits = None if split is None else (split,)
        ((name, key),) = self._keys(dataset)
        now = now or datetime.now(UTC)
        return self._details(now, name, key, egress, splits, reason, sources, only_due=False)

    def _details(
        self, now: datetime, name: str, key: int, egress: str, splits: Collection[str] | None, reason: Reason | None,
        sources: Sequence[str] | None, *, only_due: bool,
    ) -> Iterator[Row]:  # fmt: skip
        joined, told = absent(egress, now, self._asks(key, name, sources))
        joined = joined.outerjoin(clip, clip.c.id == item.c.clip_id)
        joined = joined.outerjoin(video, video.c.id == item.c.video_id).outerjoin(label, label.c.id == item.c.label_id)
        query = (
            sa.select(
                sa.literal(name), item.c.item_id, video.c.video_id, clip.c.clip_id, item.c.split, label.c.name,
                item.c.status, told["reason"], told["evidence"], told["permanent"], told["since"], told["last_attempt"],
                told["next_attempt"],
            )
            .select_from(joined)
            .where(item.c.dataset_id == key, item.c.listed, ~item.c.present, item.c.status != Status.REJECTED)
        )  # fmt: skip
        with reading(self._engine) as conn:
            if splits is not None:
                query = query.where(item.c.split.in_(list(splits)))
            if reason is not None:
                query = query.where(told["reason"] == reason)
            if only_due:
                query = query.where(told["due"], told["asked"])
            for rows in tuples(conn, query):
                for *texts, permanent, since, last, again in rows:
                    facts = (bool(permanent), utc(since), utc(last), utc(again))
                    yield dict(zip(_DETAILS, (*texts, *facts), strict=True))

    def history(self, id: str) -> list[Row]:
        """Every attempt for a video, a clip or an item id, by run in the order in which runs began, then by time.

        Columns: ``at, dataset, run, video_id, clip_id, source, egress, reason, evidence, seconds, bytes``.
        """
        name = id.rpartition("/")[2]
        names = self._full(name)
        query = (
            sa.select(
                attempt.c.at, dataset.c.name.label("dataset"), run.c.run, video.c.video_id, clip.c.clip_id,
                attempt.c.source, attempt.c.egress, attempt.c.reason, attempt.c.evidence, attempt.c.seconds,
                attempt.c.bytes,
            )
            .select_from(attempt.join(clip).join(video).join(run).join(dataset))
            .order_by(attempt.c.run_id, attempt.c.at, attempt.c.clip_id, attempt.c.nth)
        )  # fmt: skip
        # Separate queries each use their index; for one query PostgreSQL reads every attempt.
        clips = (
            sa.select(clip.c.id).where(clip.c.clip_id.in_(names)),
            sa.select(clip.c.id).join(video).where(video.c.video_id.in_(names)),
        )
        with reading(self._engine) as conn:
            keys = {key for wanted in clips for key in conn.execute(wanted).scalars()}
            return [dict(row._mapping) for row in conn.execute(query.where(attempt.c.clip_id.in_(sorted(keys))))]

    def called(self, id: str) -> list[str]:
        """The full names (``jester:1``) of all videos and clips with a bare id, sorted. A full name gives itself."""
        names = self._full(id.rpartition("/")[2])
        with reading(self._engine) as conn:
            found = [
                conn.execute(sa.select(one).where(one.in_(names))).scalars()
                for one in (clip.c.clip_id, video.c.video_id)
            ]
            return sorted({name for told in found for name in told})

    def _full(self, name: str) -> list[str]:
        """The possible full names of an id: a bare id may be YouTube's or that of any data set."""
        with reading(self._engine) as conn:
            owners = conn.execute(sa.select(dataset.c.namespace, dataset.c.name)).all()
        whose = {YOUTUBE, *(row.name for row in owners), *(row.namespace for row in owners if row.namespace)}
        return [name, *(source_name(owner, name) for owner in sorted(whose))]

    def delivered(self, dataset: str) -> dict[str, Delivered]:
        """By the id of each source, what it delivered to the data set's runs so far."""
        query = (
            sa.select(attempt.c.source, sa.func.count(), sa.func.sum(attempt.c.bytes), sa.func.sum(attempt.c.seconds))
            .select_from(attempt.join(run))
            .where(attempt.c.reason == Reason.OK, attempt.c.bytes > 0)
            .group_by(attempt.c.source)
        )
        ((_, key),) = self._keys(dataset)
        with reading(self._engine) as conn:
            found = conn.execute(query.where(run.c.dataset_id == key))
            return {source: Delivered(count, int(size), float(spent or 0)) for source, count, size, spent in found}

    def coverage(self, dataset: str) -> list[Coverage]:
        """Coverage per split (``label`` None) and per class of each split, sorted."""
        query = (
            sa.select(item.c.split, item.c.label_id, item.c.status, sa.func.count())
            .where(item.c.listed)
            .group_by(item.c.split, item.c.label_id, item.c.status)
        )
        counts: dict[tuple[str, str | None], Counter[str]] = {}
        ((_, key),) = self._keys(dataset)
        with reading(self._engine) as conn:
            names = {row.id: row.name for row in conn.execute(sa.select(label.c.id, label.c.name))}
            for split, label_id, status, items in conn.execute(query.where(item.c.dataset_id == key)):
                for group in {(split, None), (split, names.get(label_id))}:
                    counts.setdefault(group, Counter())[status] += items
        return [_coverage(*group, counts[group]) for group in sorted(counts, key=lambda g: (g[0], g[1] or ""))]

    def reasons(self, dataset: str) -> list[ReasonCount]:
        """Number of items of each split by status and reason, the most frequent first."""
        ((_, key),) = self._keys(dataset)
        with reading(self._engine) as conn:
            rows = conn.execute(standing(key)).all()
        counts = [ReasonCount(row.split, Status(row.status), Reason(row.reason), row.items) for row in rows]
        return sorted(counts, key=lambda one: (one.split, -one.items, one.reason))

    def attrition(
        self, dataset: str, *, per: Literal["run", "month"] = "run", now: datetime | None = None
    ) -> list[Attrition]:
        """The share of each status and reason over time: at the end of every run, or of each month's last run.

        Runs are in the order in which they began. A run with times in the future (its clock was ahead) counts as ended when
        the next one did, or now.
        """
        query = (
            sa.select(run.c.run, run.c.ended, run_count.c.status, run_count.c.reason, sa.func.sum(run_count.c["items"]))
            .select_from(run.join(run_count))
            .group_by(run.c.id, run.c.run, run.c.ended, run_count.c.status, run_count.c.reason)
            .order_by(run.c.id, run_count.c.status, run_count.c.reason)
        )
        ((_, key),) = self._keys(dataset)
        with reading(self._engine) as conn:
            found = conn.execute(query.where(run.c.dataset_id == key, run.c.ended.is_not(None))).all()
        ends = _believed({row.run: row.ended for row in found}, max(now or _EARLIEST, datetime.now(UTC)))
        rows: list[tuple[Any, ...]] = [(name, ends[name], *rest) for name, _, *rest in found]
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
        self, dataset: str, now: datetime, *, egress: str = "default", per: Literal["day", "week"] = "day",
        sources: Sequence[str] | None = None,
    ) -> list[NextDue]:  # fmt: skip
        """Number of items by the day of their next attempt. It counts items that were requested before, as :meth:`due`."""
        ((_, key),) = self._keys(dataset)
        joined, told = absent(egress, now, self._asks(key, dataset, sources))
        today = now.astimezone(UTC).date()
        day = sa.case(
            (told["never"], -1), (told["due"], 0), else_=micros(self._engine.dialect, told["next_attempt"]) // _DAY
        )
        query = (
            sa.select(day.label("day"), told["reason"].label("reason"), told["due"].label("due"), sa.func.count())
            .select_from(joined)
            .where(item.c.dataset_id == key, item.c.listed, ~item.c.present, item.c.status != Status.REJECTED)
            .where(told["asked"])
            .group_by(sa.text("1"), sa.text("2"), sa.text("3"))
        )
        counts: Counter[tuple[date | None, Reason, bool]] = Counter()
        with reading(self._engine) as conn:
            for number, reason, is_due, items in conn.execute(query):
                when = None if number < 0 else max(today, date(1970, 1, 1) + timedelta(days=int(number)))
                if when is not None and per == "week":
                    when -= timedelta(days=when.weekday())
                counts[when, Reason(reason), bool(is_due)] += items
        order = sorted(counts, key=lambda group: (group[0] or date.max, group[1], not group[2]))
        return [NextDue(when, reason, counts[when, reason, is_due], is_due) for when, reason, is_due in order]

    def runs(self, dataset: str | None = None) -> list[RunInfo]:
        """All runs, or those of a data set, in the order in which they began (not by their times: clocks go wrong)."""
        return [RunInfo(*row) for row in self._runs(dataset)]

    def _runs(self, name: str | None) -> list[Any]:
        columns = [run.c[field] for field in RunInfo._fields if field != "dataset"]
        query = sa.select(dataset.c.name, *columns).select_from(run.join(dataset)).order_by(run.c.id)
        keys = [key for _, key in self._keys(name)]
        with reading(self._engine) as conn:
            return list(conn.execute(query.where(run.c.dataset_id.in_(keys))))

    def in_the_future(self, now: datetime | None = None, *, dataset: str | None = None) -> list[str]:
        """One sentence for each run of a data set (of all) with times in the future, written by a wrong clock."""
        return in_the_future(self._engine, now or datetime.now(UTC), dataset)

    def knows(self, dataset: str) -> bool:
        """Whether the ledger holds a run of the data set."""
        query = sa.select(run.c.id).select_from(run.join(dataset_table)).where(dataset_table.c.name == dataset).limit(1)
        with reading(self._engine) as conn:
            return conn.execute(query).scalar() is not None

    def _asks(self, key: int, name: str, sources: Sequence[str] | None) -> Asked:
        """The given sources, else those of the data set's refreshes, else YouTube and all that the data set ever used."""
        if sources is not None:
            return Asked(tuple(sources))
        with reading(self._engine) as conn:
            told = conn.execute(sa.select(dataset.c.sources).where(dataset.c.id == key)).scalar()
            if told is not None:
                return Asked(tuple(map(str, told)))
            own = sa.union(
                *(
                    sa.select(t.c.source).where(t.c.source.startswith(f"{name}:", autoescape=True))
                    for t in (clip_state, video_state)
                )
            )
            return Asked((YOUTUBE, *sorted(conn.execute(own).scalars())), known=False)

    def _keys(self, name: str | None) -> list[tuple[str, int]]:
        """Names and keys of all data sets, or of one. Raises UserError when that one is not known."""
        query = sa.select(dataset.c.name, dataset.c.id).order_by(dataset.c.id)
        if name is not None:
            query = query.where(dataset.c.name == name)
        with reading(self._engine) as conn:
            keys = [(str(row.name), int(row.id)) for row in conn.execute(query)]
        if name is not None and not keys:
            raise UserError(f"The ledger {shown(self._engine.url)} knows no data set {name!r}: run it first.")
        return keys


def _believed(ends: dict[str, datetime], now: datetime) -> dict[str, datetime]:
    """When runs ended, in their order. A time in the future is replaced by the next plausible run's end, or by now."""
    limit = now
    found: dict[str, datetime] = {}
    for name in reversed(ends):
        found[name] = limit if ends[name] > now + SKEW else ends[name]
        limit = min(limit, found[name])
    return found


def standing(dataset_id: int) -> sa.Select[Any]:
    """Counts by split, status and reason of a data set's items."""
    columns = (item.c.split, item.c.status, item.c.reason)
    # By class first: an index has this order, so that no sort is needed.
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
