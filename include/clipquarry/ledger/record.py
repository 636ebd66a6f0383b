"""Recording of fetch manifests in the ledger: attempts, the clocks that they set, and the items' status.

A manifest is recorded in batches, each in one transaction of the only writer; a killed recorder leaves whole batches.
Recording the same manifest again changes nothing: an attempt is identified by clip, time, source and egress. A row
without news is skipped where a later run has recorded its item. For items the order of runs, not of times, says what is
later; an answer that a later one overtook still counts for its source's clock.

An attempt is the answer of one source, and sets the clock of that source only. The item gets the row's own status and
reason, which weigh all answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from clipquarry.errors import ManifestError
from clipquarry.ledger.bulk import clean, insert_rows, moment, pieces, update_rows
from clipquarry.ledger.catalog import DatasetKey, add_items
from clipquarry.ledger.due import YOUTUBE
from clipquarry.ledger.engine import writing
from clipquarry.ledger.models import attempt, clip_state, item, video_state
from clipquarry.ledger.policy import MANY, RULES, VideoState, distrusted, is_telling, observe
from clipquarry.manifest import Row, count_rows, read_rows
from clipquarry.reasons import UNKNOWN_SENTENCE, Reason, Status, Trait

BATCH = 5000
_COLUMNS = ("item_id", "video_id", "clip_id", "split", "label", "status", "reason", "evidence", "attempts")
_NAME = 200  # characters of a source's or an egress's name

_STATUSES: dict[str, Status] = {str(status): status for status in Status}
_REASONS: dict[str, Reason] = {str(reason): reason for reason in Reason}

STATE_COLUMNS = tuple(field.name for field in fields(VideoState))


class Names:
    """The keys of sources by their ids (see ``Ledger.record``)."""

    def __init__(self, dataset: str, told: Mapping[str, str | None] | None, for_good: frozenset[str]) -> None:
        self._dataset, self._told, self.for_good = dataset, told, for_good

    def key(self, source: str) -> str | None:
        if self._told is not None and source in self._told:
            return self._told[source]
        return source if source == YOUTUBE else f"{self._dataset}:{source}"


class Recorded(NamedTuple):
    """Result of a recording: rows read, attempts added, items whose state changed."""

    rows: int
    attempts: int
    items: int

    def __add__(self, other: tuple[Any, ...]) -> Recorded:
        return Recorded(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class RunKey:
    """The run that recorded attempts belong to."""

    id: int
    dataset: DatasetKey
    egress: str
    started: datetime


class _Attempt(NamedTuple):
    source: str
    at: datetime
    nth: int
    reason: Reason
    evidence: str
    seconds: float | None
    bytes: int | None


@dataclass(frozen=True)
class _Told:
    """One row of a manifest."""

    item_id: str
    status: Status
    reason: Reason
    evidence: str
    attempts: list[_Attempt]
    when: datetime  # of the last attempt; without one, when the run began


@dataclass
class _Known:
    """One row of the ledger."""

    id: int
    clip_id: int | None
    video_id: int | None
    status: Status
    reason: Reason
    evidence: str
    updated: datetime | None
    run_id: int | None


def record_manifest(engine: Engine, run: RunKey, manifest: Path, now: datetime, names: Names) -> Recorded:
    """Record one manifest with attempts, streamed in batches."""
    total = Recorded(0, 0, 0)
    if count_rows(manifest) and "attempts" not in pq.read_schema(manifest).names:
        raise ManifestError(f"{manifest} has no column 'attempts': only results and manifests of fetch are recorded.")
    heard = _heard(manifest)
    for rows in pieces(read_rows(manifest, _COLUMNS), BATCH):
        told = [_doubted(_read(row, run, manifest), heard) for row in rows]
        with writing(engine) as conn:
            total += _Batch(conn, run, now, names, heard).record(rows, told)
    return total


class _Heard(NamedTuple):
    """Facts about a manifest as a whole."""

    alike: frozenset[tuple[str, Reason]]  # sources with one reason for many videos, see policy.distrusted
    gave: dict[str, datetime]  # when each source last delivered bytes

    def doubts(self, a: _Attempt) -> bool:
        """Whether an answer is about us, although its reason is about the video."""
        unknown = a.evidence.startswith(UNKNOWN_SENTENCE) and Trait.CAME not in a.reason.traits
        silent = a.source not in self.gave or self.gave[a.source] < a.at
        return (a.source, a.reason) in self.alike or (unknown and silent)


def _heard(manifest: Path) -> _Heard:
    """Reads the attempts once; of each answer no more than :data:`~clipquarry.ledger.policy.MANY` videos are counted."""
    videos: dict[tuple[str, str], set[str]] = {}
    gave: dict[str, datetime] = {}
    if "attempts" not in pq.read_schema(manifest).names:
        return _Heard(frozenset(), gave)
    with pq.ParquetFile(manifest) as file:
        for batch in file.iter_batches(columns=["video_id", "attempts"]):
            attempts = batch.column("attempts")
            told, of = attempts.flatten(), batch.column("video_id").take(pc.list_parent_indices(attempts))
            columns = (told.field("source"), told.field("reason"), told.field("at"), of)
            for source, reason, at, video in zip(*(one.to_pylist() for one in columns), strict=True):
                known = videos.setdefault((source, reason), set())
                if len(known) < MANY:
                    known.add(video)
                if reason == Reason.OK:
                    with suppress(ValueError, TypeError):  # an invalid value is refused with its row
                        when = _moment(at)
                        gave[source] = max(when, gave.get(source, when))
    counts = {(source, _REASONS[r]): len(known) for (source, r), known in videos.items() if r in _REASONS}
    return _Heard(distrusted(counts), gave)


def _doubted(one: _Told, heard: _Heard) -> _Told:
    """The row with a reason on our side, where its own is not believed."""
    said = [a for a in one.attempts if a.reason is one.reason and heard.doubts(a)]
    return replace(one, reason=Reason.EGRESS_REFUSED) if said else one


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def record_gone(conn: Connection, run: RunKey, items: Sequence[str], evidence: str, now: datetime) -> int:
    """Record items that the ledger holds as present and whose files are gone; returns their number."""
    count = 0
    for names in pieces(items, BATCH):
        chosen = sa.and_(item.c.dataset_id == run.dataset.id, item.c.item_id.in_(names), item.c.present)
        gone = {"status": str(Status.MISSING), "reason": str(Reason.NO_SOURCE), "evidence": evidence, "present": False}
        count += conn.execute(item.update().where(chosen).values(**gone, run_id=run.id, updated=now)).rowcount
    return count


def _read(row: Row, run: RunKey, manifest: Path) -> _Told:
    try:
        attempts = _attempts(row["attempts"] or ())
        status, reason = _STATUSES[row["status"]], _REASONS[row["reason"]]
    except (KeyError, ValueError, TypeError) as error:
        what = f"{error.args[0]!r} is not a known word" if isinstance(error, KeyError) else str(error)
        raise ManifestError(
            f"{manifest}, item {row['item_id']!r}: {what}; if a newer Clipquarry wrote it, upgrade this one."
        ) from error
    when = attempts[-1].at if attempts else run.started
    return _Told(clean(row["item_id"]), status, reason, clean(row["evidence"]), attempts, when)


def _attempts(values: Iterable[dict[str, Any]]) -> list[_Attempt]:
    made: list[_Attempt] = []
    seen: Counter[tuple[str, datetime]] = Counter()
    for value in values:
        at = _moment(value["at"])
        source = clean(value["source"], _NAME)
        nth = seen[source, at]
        seen[source, at] += 1
        made.append(
            _Attempt(
                source, at, nth, _REASONS[value["reason"]], clean(value["evidence"]), value["seconds"], value["bytes"]
            )
        )
    return made if len(made) < 2 else sorted(made, key=lambda one: one.at)


class _Batch:
    """A batch of a manifest's rows, recorded in one transaction."""

    def __init__(self, conn: Connection, run: RunKey, now: datetime, names: Names, heard: _Heard) -> None:
        self._conn, self._run, self._now, self._names, self._heard = conn, run, now, names, heard

    def record(self, rows: list[Row], told: list[_Told]) -> Recorded:
        known = self._items(rows, told)
        clips = sorted({k.clip_id for k in known.values() if k.clip_id is not None})
        videos = sorted({k.video_id for k in known.values() if k.video_id is not None})
        seen = self._seen(clips, told)
        clip_states = _States(self._conn, clip_state, clips, self._run.egress)
        video_states = _States(self._conn, video_state, videos, self._run.egress)
        attempts: list[tuple[Any, ...]] = []
        changes: list[tuple[Any, ...]] = []
        for one in told:
            entry = known[one.item_id]
            new = [a for a in one.attempts if entry.clip_id and (entry.clip_id, a.at, a.source, a.nth) not in seen]
            seen.update((entry.clip_id or 0, a.at, a.source, a.nth) for a in new)
            attempts.extend(self._attempt(entry, a) for a in new)
            if self._is_stale(new, entry):
                for a in new:
                    self._hear_overtaken(a, entry, clip_states, video_states)
                continue
            for a in new:
                believed = a._replace(reason=Reason.EGRESS_REFUSED) if self._heard.doubts(a) else a
                self._hear(believed, entry, clip_states, video_states)
            if one.status.is_present and entry.clip_id is not None:
                clip_states.forget(entry.clip_id)
            if (change := self._change(one, entry, is_news=bool(new))) is not None:
                changes.append(change)
        insert_rows(self._conn, attempt.name, [column.name for column in attempt.c], attempts)
        clip_states.store()
        video_states.store()
        update_rows(self._conn, item, ("status", "reason", "evidence", "present", "run_id", "updated"), changes)
        return Recorded(len(told), len(attempts), len(changes))

    def _items(self, rows: list[Row], told: list[_Told]) -> dict[str, _Known]:
        wanted = [one.item_id for one in told]
        known = self._known(wanted)
        if unknown := [row for row, name in zip(rows, wanted, strict=True) if name not in known]:
            add_items(self._conn, self._run.dataset, {row["item_id"]: row for row in unknown}.values())
            known = self._known(wanted)
        return known

    def _known(self, wanted: list[str]) -> dict[str, _Known]:
        query = sa.select(
            item.c.item_id, item.c.id, item.c.clip_id, item.c.video_id, item.c.status, item.c.reason, item.c.evidence,
            item.c.updated, item.c.run_id,
        ).where(item.c.dataset_id == self._run.dataset.id, item.c.item_id.in_(wanted))  # fmt: skip
        return {
            name: _Known(key, clip, video, _STATUSES[status], _REASONS[reason], evidence, updated, run)
            for name, key, clip, video, status, reason, evidence, updated, run in self._conn.execute(query)
        }

    def _is_stale(self, new: list[_Attempt], entry: _Known) -> bool:
        """True when a later run has recorded the item, and this run has no newer attempt.

        Runs may overlap: a full run of weeks records after a refresh that began after it.
        """
        if entry.run_id is None or entry.run_id <= self._run.id:
            return False
        return not new or min(new[-1].at, self._now) < min(entry.updated or self._now, self._now)

    def _seen(self, clips: list[int], told: list[_Told]) -> set[tuple[int, datetime, str, int]]:
        times = [a.at for one in told for a in one.attempts]
        if not times:
            return set()
        query = sa.select(attempt.c.clip_id, attempt.c.at, attempt.c.source, attempt.c.nth).where(
            attempt.c.clip_id.in_(clips), attempt.c.at >= min(times), attempt.c.egress == self._run.egress
        )
        return {(clip, at, source, nth) for clip, at, source, nth in self._conn.execute(query)}

    def _attempt(self, entry: _Known, a: _Attempt) -> tuple[Any, ...]:
        at = moment(self._conn, a.at)
        return (
            entry.clip_id, at, a.source, self._run.egress, a.nth, self._run.id, a.reason, a.evidence, a.seconds,
            a.bytes,
        )  # fmt: skip

    def _hear(self, a: _Attempt, entry: _Known, clips: _States, videos: _States) -> None:
        """Set a source's own clocks by its answer."""
        key = self._names.key(a.source)
        if key is None or entry.clip_id is None or entry.video_id is None:
            return
        about_video = RULES[a.reason].subject == "video"
        states, subject = (videos, entry.video_id) if about_video else (clips, entry.clip_id)
        at = min(a.at, self._now)  # a wrong clock must not set the next attempt far in the future
        told = observe(
            states.get(subject, key), a.reason, at, evidence=a.evidence, source=key, asked=min(self._run.started, at)
        )
        if told is not None and a.source in self._names.for_good and is_telling(a.reason):
            told = replace(told, next_attempt=None, permanent=True)
        states.put(subject, key, told)
        if about_video:
            old = clips.get(entry.clip_id, key)
            if old is not None and not is_telling(old.reason):
                clips.put(entry.clip_id, key, None)  # the fault on our side is over
        elif Trait.CAME in a.reason.traits:
            videos.put(entry.video_id, key, None)  # the source that reported it gone has it again

    def _hear_overtaken(self, a: _Attempt, entry: _Known, clips: _States, videos: _States) -> None:
        """Count an answer of a run that a later one overtook, where a source's clock goes on since then.

        Without a clock the bytes have come since, or nobody asked: then there is nothing to count.
        """
        rule, key = RULES[a.reason], self._names.key(a.source)
        states, subject = (videos, entry.video_id) if rule.subject == "video" else (clips, entry.clip_id)
        if key is None or subject is None or not is_telling(a.reason) or self._heard.doubts(a):
            return
        state = states.get(subject, key)
        if state is not None and a.at < state.last_attempt:
            states.put(
                subject,
                key,
                observe(state, a.reason, a.at, evidence=a.evidence, source=key, asked=min(self._run.started, a.at)),
            )

    def _change(self, one: _Told, entry: _Known, *, is_news: bool) -> tuple[Any, ...] | None:
        status, reason, evidence = one.status, one.reason, one.evidence
        if status.is_present and entry.status.is_present:
            return None
        if not status.is_present and not entry.status.is_present and not is_telling(reason):
            asked = RULES[reason].subject != "nothing"
            if not asked or is_telling(entry.reason):
                status, reason, evidence = entry.status, entry.reason, entry.evidence  # the known state stays
        if status is entry.status and reason is entry.reason and evidence == entry.evidence and not is_news:
            return None
        when = min(max(one.when, entry.updated or one.when), self._now)
        return (
            str(status), str(reason), evidence, status.is_present, self._run.id, moment(self._conn, when), entry.id,
        )  # fmt: skip


class _States:
    """The states of the batch's videos or clips, by source; only changed ones are written."""

    def __init__(self, conn: Connection, table: sa.Table, keys: list[int], egress: str) -> None:
        self._conn, self._table, self._egress = conn, table, egress
        self._key = table.c[f"{table.name.split('_')[1]}_id"]
        query = sa.select(self._key, *(table.c[name] for name in STATE_COLUMNS)).where(
            self._key.in_(keys), table.c.egress == egress
        )
        self._states: dict[int, dict[str, VideoState]] = {}
        for key, reason, *rest in conn.execute(query):
            state = VideoState(_REASONS[reason], *rest)
            self._states.setdefault(key, {})[state.source] = state
        self._changed: set[int] = set()

    def get(self, key: int, source: str) -> VideoState | None:
        return self._states.get(key, {}).get(source)

    def put(self, key: int, source: str, state: VideoState | None) -> None:
        if state == self.get(key, source):
            return
        self._changed.add(key)
        if state is None:
            del self._states[key][source]
        else:
            self._states.setdefault(key, {})[source] = state

    def forget(self, key: int) -> None:
        """Mark the item as present, whatever any source answered."""
        if self._states.pop(key, None):
            self._changed.add(key)

    def store(self) -> None:
        if not self._changed:
            return
        self._conn.execute(
            self._table.delete().where(self._key.in_(sorted(self._changed)), self._table.c.egress == self._egress)
        )
        states = (state for key in sorted(self._changed) for state in self._rows_of(key))
        insert_rows(self._conn, self._table.name, (self._key.name, "egress", *STATE_COLUMNS), list(states))

    def _rows_of(self, key: int) -> Iterator[tuple[Any, ...]]:
        for state in self._states.get(key, {}).values():
            values = (getattr(state, name) for name in STATE_COLUMNS)
            native = (moment(self._conn, value) if isinstance(value, datetime) else value for value in values)
            yield (key, self._egress, *(str(value) if isinstance(value, Reason) else value for value in native))
