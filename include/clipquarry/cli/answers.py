"""Commands that query the ledger: ``missing``, ``due``, ``history``, ``coverage``. Tab-separated, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

from clipquarry.cli.common import data_option, settings_for, table
from clipquarry.errors import UserError
from clipquarry.manifest import Row
from clipquarry.pipeline.ledgers import namespaces, open_ledger
from clipquarry.reasons import Reason


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"'{text}' is not a time; write 2026-11-21T00:00:00+00:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _never_asked(row: Row) -> bool:
    """An item that no run has asked for. One that a run passed over on purpose has evidence."""
    return row["reason"] == Reason.NOT_ASKED and not row["evidence"]


_STANDING = ("item_id", "status", "reason", "evidence", "permanent", "since", "last_attempt", "next_attempt")
_HISTORY = ("at", "dataset", "run", "clip_id", "source", "egress", "reason", "evidence", "seconds", "bytes")


@click.command()
@click.argument("dataset")
@click.option("--split", metavar="NAME", help="Only this split.")
@click.option(
    "--reason", metavar="REASON", type=click.Choice([str(reason) for reason in Reason]), help="Only this reason."
)
@click.option("--all", "everything", is_flag=True, help="Also items that no run has requested.")
@data_option
def missing(dataset: str, split: str | None, reason: str | None, everything: bool, data: Path | None) -> None:
    """Items that were asked for and are not there: why, since when, and when they are asked for again."""
    settings = settings_for(data)
    with open_ledger(settings) as ledger:
        rows = ledger.missing(dataset, split, Reason(reason) if reason else None, egress=settings.egress)
        if not everything and reason != Reason.NOT_ASKED:
            rows = (row for row in rows if not _never_asked(row))
        table(([row[name] for name in _STANDING] for row in rows), _STANDING)


@click.command()
@click.argument("dataset", required=False)
@click.option("--as-of", metavar="TIME", help="As of this time (ISO 8601; UTC without a time zone). Default: now.")
@data_option
def due(dataset: str | None, as_of: str | None, data: Path | None) -> None:
    """Items that the next refresh asks for."""
    settings = settings_for(data)
    with open_ledger(settings) as ledger:
        rows = ledger.due(_moment(as_of), dataset, egress=settings.egress)
        table(([row[name] for name in ("dataset", *_STANDING)] for row in rows), ("dataset", *_STANDING))


@click.command()
@click.argument("id_", metavar="ID")
@data_option
def history(id_: str, data: Path | None) -> None:
    """Every attempt for a video id or a clip id, oldest first. (Write 'history -- -abc…' for ids that begin with '-'.)"""
    with open_ledger(settings_for(data)) as ledger:
        if len(names := ledger.called(id_)) > 1:
            click.echo(
                f"clipquarry: {id_!r} is an id of {len(names)}: {', '.join(names)}. All are shown; write one of these to see one.",
                err=True,
            )
        table(([row[name] for name in _HISTORY] for row in ledger.history(id_)), _HISTORY)


@click.command()
@click.argument("dataset")
@click.option("--classes", is_flag=True, help="Also by class.")
@click.option(
    "--all", "everything", is_flag=True, help="Share of the whole data set, with the items that no run has requested."
)
@data_option
def coverage(dataset: str, classes: bool, everything: bool, data: Path | None) -> None:
    """How much of what was asked for is there, by split."""
    settings = settings_for(data)
    with open_ledger(settings) as ledger:
        rows = [row for row in ledger.coverage(dataset) if classes or row.label is None]
        if not everything:
            unasked: Counter[tuple[str, str | None]] = Counter()
            for row in ledger.missing(dataset, None, Reason.NOT_ASKED, egress=settings.egress):
                if _never_asked(row):
                    unasked.update({(row["split"], None), (row["split"], row["label"])})
            rows = [row._replace(expected=row.expected - unasked[row.split, row.label]) for row in rows]
            rows = [row for row in rows if row.expected]
        table(
            ((r.split, r.label, r.expected, r.present, f"{r.share:.4f}") for r in rows),
            ("split", "label", "expected", "present", "share"),
        )


@click.command()
@data_option
def rebuild(data: Path | None) -> None:
    """Fill a new, empty ledger from the runs on disk, after a damaged one was moved away."""
    settings = settings_for(data)
    with open_ledger(settings) as ledger:
        told = ledger.rebuild(settings.data.all_runs, namespaces=namespaces(settings))
    click.echo(f"The ledger knows {told.items} items and {told.attempts} attempts again.")
