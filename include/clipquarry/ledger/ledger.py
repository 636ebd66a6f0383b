"""Public interface of the ledger: opened by URL, written by the record task, read by plans, reports and commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.ids import YOUTUBE
from clipquarry.ledger import engine as _engine
from clipquarry.ledger.bulk import clean
from clipquarry.ledger.catalog import Synced, dataset_key, sync
from clipquarry.ledger.clocks import clamp_states
from clipquarry.ledger.crawling import Crawling
from clipquarry.ledger.models import dataset as dataset_table
from clipquarry.ledger.models import run as run_table
from clipquarry.ledger.models import run_count
from clipquarry.ledger.plan import plan_table
from clipquarry.ledger.queries import standing
from clipquarry.ledger.record import Names, Recorded, RunKey, record_gone, record_manifest
from clipquarry.reasons import Status
from clipquarry.run_folder import RunFolder
from clipquarry.run_order import RunOrder, run_order

Kind = Literal["full", "refresh"]


class Ledger(Crawling):
    """History of every source video and attempt.

    ``Ledger.open(url)`` creates or migrates the database. Any number of processes may use it at once; writers wait for
    each other.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)

    @classmethod
    def open(cls, url: str, namespaces: _engine.Namespaces | None = None) -> Ledger:
        """Open ``sqlite:////path`` or ``postgresql://…``.

        ``namespaces``: the namespace of each data set's ids, for a ledger of an older schema. A data set that is not named
        has YouTube's if its runs used YouTube, else its own. Raises UserError (wrong address, no rights, damaged file, a
        newer schema) or RetryLater (locked, not answering).
        """
        return cls(_engine.connect(url, namespaces))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return _engine.shown(self._engine.url)

    def begin_run(
        self, dataset: str, run: str, *, kind: Kind = "full", egress: str = "default",
        started: datetime | None = None, expected: int = 0, params: Mapping[str, Any] | None = None,
        sources: Sequence[str] | None = None, namespace: str | None = None,
    ) -> None:  # fmt: skip
        """Record that a run began. A second call (a retried task) keeps its start and takes the new params.

        ``namespace``: that of the data set's ids (``youtube``, or its own name); None: as known, else its own.
        ``sources``: keys of the sources that the data set's refreshes use (see :meth:`record`); they decide what is due.
        """
        with _engine.writing(self._engine) as conn:
            dataset_key(conn, dataset, namespace)
            found = self._run(conn, dataset, run, kind, egress, started or datetime.now(UTC))
            conn.execute(
                run_table.update()
                .where(run_table.c.id == found.id)
                .values(kind=kind, egress=clean(egress), expected=expected, params=dict(params or {}))
            )
            if sources is not None:
                self._set_sources(conn, found.dataset.id, sources)

    def end_run(
        self, dataset: str, run: str, counts: Mapping[str, int] | None = None, *, ended: datetime | None = None
    ) -> None:
        """Record that a run ended, its items by status, and (for the plot of attrition) the state of the whole data set."""
        values = {str(status): int((counts or {}).get(status, 0)) for status in Status}
        with _engine.writing(self._engine) as conn:
            dataset_id = dataset_key(conn, dataset).id
            found = sa.and_(run_table.c.dataset_id == dataset_id, run_table.c.run == run)
            key = conn.execute(sa.select(run_table.c.id).where(found)).scalar()
            if key is None:
                raise UserError(f"The ledger {self} knows no run {run!r} of {dataset!r}: begin it first.")
            conn.execute(run_table.update().where(found).values(ended=ended or datetime.now(UTC), **values))
            conn.execute(run_count.delete().where(run_count.c.run_id == key))
            rows = [{"run_id": key, **row._mapping} for row in conn.execute(standing(dataset_id))]
            if rows:
                conn.execute(run_count.insert(), rows)

    def sync_catalog(self, dataset: str, catalog: Path, *, namespace: str | None = None) -> Synced:
        """Make the data set's items equal ``catalog.parquet``. Items that left it are marked, not deleted.

        ``namespace``: see :meth:`begin_run`.
        """
        with _engine.writing(self._engine) as conn:
            return sync(conn, dataset_key(conn, dataset, namespace), catalog)

    def record(
        self, dataset: str, run: str, egress: str, manifests: Iterable[Path], now: datetime | None = None,
        *, sources: Mapping[str, str | None] | None = None, for_good: Collection[str] = (),
    ) -> Recorded:  # fmt: skip
        """Learn from manifests that carry attempts (``results.parquet`` of a run, or of ``fetch``), in the order given (the last word of an item counts).

        Recording again changes nothing. A run that was not begun begins at ``now``. ``sources``: the key of each source
        by its id. A key stands for a place that bytes come from, whatever data set asks it; None is a place without a
        clock (a folder), whose answers are kept as attempts only. Without it, the data set's sources are its own, but
        for YouTube. ``for_good``: ids of sources that are not asked twice for what they lack (archives, read whole).
        """
        now = now or datetime.now(UTC)
        with _engine.writing(self._engine) as conn:
            key = self._run(conn, dataset, run, "full", egress, now)
        total, names = Recorded(0, 0, 0), Names(dataset, sources, frozenset(for_good))
        for manifest in manifests:
            total += record_manifest(self._engine, key, manifest, now, names)
        return total

    def record_gone(self, dataset: str, run: str, items: Sequence[str], evidence: str, now: datetime) -> int:
        """Record items whose files are gone from the disk: missing, and due at once. Returns how many were present before."""
        with _engine.writing(self._engine) as conn:
            return record_gone(conn, self._run(conn, dataset, run, "full", "default", now), items, evidence, now)

    def plan_refresh(
        self, dataset: str, now: datetime, egress: str = "default", *, sources: Sequence[str] | None = None
    ) -> pa.Table:
        """Every item with its state and whether it is due (:data:`clipquarry.ledger.plan.PLAN_SCHEMA`).

        ``sources``: keys of the run's sources (see :meth:`record`); their order is that of the bits of ``open``.
        """
        ((_, key),) = self._keys(dataset)
        asked = self._asks(key, dataset, sources)
        with _engine.reading(self._engine) as conn:
            return plan_table(conn, key, now, egress, asked)

    def rebuild(
        self, runs: Path, now: datetime | None = None, *, only: str | None = None,
        namespaces: Mapping[str, str] | None = None,
    ) -> Recorded:  # fmt: skip
        """Rebuild the ledger from a folder of runs (``{runs}/{dataset}/{run}``), in the order in which they began.

        For a new ledger after a damaged one. Of each run it reads ``run.json`` (``number``, ``started``, ``ended``,
        ``kind``, ``egress``, ``params``, ``sources``, where present), ``catalog.parquet`` and ``results.parquet``. Of a run
        without results it reads the manifests of ``fetch``. ``only``: the runs of this data set. ``namespaces``: by data
        set; those of other data sets are in their runs, or follow from the runs' sources.
        """
        now = now or datetime.now(UTC)
        total = Recorded(0, 0, 0)
        for _, started, folder, facts in sorted(_runs(runs, only), key=lambda run: (run[0], run[2])):
            dataset, run, egress = folder.parent.name, folder.name, str(facts.get("egress") or "default")
            kind: Kind = "refresh" if facts.get("kind") == "refresh" else "full"
            params, keys = facts.get("params"), facts.get("sources")
            keys = keys if isinstance(keys, dict) else {}
            self.begin_run(
                dataset,
                run,
                kind=kind,
                egress=egress,
                started=started,
                params=params if isinstance(params, dict) else {},
                sources=keys.get("refresh"),
                namespace=(namespaces or {}).get(dataset) or _namespace(facts, keys, dataset),
            )
            place = RunFolder(folder)
            if (catalog := place.catalog).exists():
                self.sync_catalog(dataset, catalog)
            manifests = [place.results] if place.results.exists() else place.manifests("fetch")
            total += self.record(
                dataset, run, egress, manifests, now, sources=keys.get("keys"), for_good=keys.get("for_good") or ()
            )
            self.end_run(dataset, run, self._counts(dataset), ended=_time(facts.get("ended")) or started)
        return total

    @staticmethod
    def _set_sources(conn: Connection, dataset_id: int, sources: Sequence[str]) -> None:
        chosen = dataset_table.update().where(dataset_table.c.id == dataset_id)
        conn.execute(chosen.values(sources=list(sources)))

    def _counts(self, dataset: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.reasons(dataset):
            counts[row.status] = counts.get(row.status, 0) + row.items
        return counts

    def _run(self, conn: Connection, dataset: str, run: str, kind: Kind, egress: str, started: datetime) -> RunKey:
        """The run's key; the run is made when it is new. What a clock that was ahead left is put right first."""
        clamp_states(conn, datetime.now(UTC))
        key = dataset_key(conn, dataset)
        query = sa.select(run_table.c.id, run_table.c.started).where(
            run_table.c.dataset_id == key.id, run_table.c.run == run
        )
        if (found := conn.execute(query).first()) is None:
            counts = dict.fromkeys(("expected", "done", "kept", "missing", "rejected", "failed"), 0)
            conn.execute(
                run_table.insert().values(
                    dataset_id=key.id, run=run, kind=kind, egress=clean(egress), started=started,
                    params={}, **counts,
                )
            )  # fmt: skip
            found = conn.execute(query).one()
        return RunKey(found.id, key, clean(egress), found.started)


def _namespace(facts: Mapping[str, Any], keys: Mapping[str, Any], dataset: str) -> str:
    """Whose the ids of a run are that has no YAML any more: as it says; else YouTube's, if it asked YouTube, or its own."""
    if told := facts.get("namespace"):
        return str(told)
    asked = keys.get("keys")
    return YOUTUBE if isinstance(asked, dict) and YOUTUBE in asked.values() else dataset


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _runs(folder: Path, only: str | None) -> Iterable[tuple[RunOrder, datetime, Path, dict[str, Any]]]:
    if not folder.is_dir():
        raise UserError(f"There is no folder of runs {folder}: name the one that holds {{dataset}}/{{run}}.")
    for run in sorted(folder.glob(f"{only or '*'}/*")):
        if not run.is_dir():
            continue
        about = RunFolder(run).run_file
        facts = read_json(about) if about.exists() else {}
        facts = facts if isinstance(facts, dict) else {}
        started = _time(facts.get("started")) or datetime.fromtimestamp(run.stat().st_mtime, UTC)
        yield run_order(run), started, run, facts
