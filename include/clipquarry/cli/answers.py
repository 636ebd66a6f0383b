"""What the ledger knows: ``missing``, ``due``, ``history``, ``coverage``. Tab-separated, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

from clipquarry.cli.common import data_option, settings_for, table
from clipquarry.errors import UserError
from clipquarry.ledger import Ledger
from clipquarry.manifest import Row
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
@click.option("--split", help="Only this split.")
@click.option("--reason", type=click.Choice([str(reason) for reason in Reason]), help="Only this reason.")
@click.option("--all", "everything", is_flag=True, help="Also what no run ever asked for.")
@data_option
def missing(dataset: str, split: str | None, reason: str | None, everything: bool, data: Path | None) -> None:
    """Items that were asked for and are not there: why, since when, and when they are asked for again."""
    settings = settings_for(data)
    with Ledger.open(settings.ledger_url) as ledger:
        rows = ledger.missing(dataset, split, Reason(reason) if reason else None, egress=settings.egress)
        if not everything and reason != Reason.NOT_ASKED:
            rows = (row for row in rows if not _never_asked(row))
        table(([row[name] for name in _STANDING] for row in rows), _STANDING)


@click.command()
@click.argument("dataset", required=False)
@click.option("--as-of", help="At this time (ISO 8601). Default: now.")
@data_option
def due(dataset: str | None, as_of: str | None, data: Path | None) -> None:
    """Items that the next refresh asks for."""
    settings = settings_for(data)
    with Ledger.open(settings.ledger_url) as ledger:
        rows = ledger.due(_moment(as_of), dataset, egress=settings.egress)
        table(([row[name] for name in ("dataset", *_STANDING)] for row in rows), ("dataset", *_STANDING))


@click.command()
@click.argument("id_", metavar="ID")
@data_option
def history(id_: str, data: Path | None) -> None:
    """Every attempt for a video id or a clip id, oldest first. (Write 'history -- -abc…' for ids that begin with '-'.)"""
    with Ledger.open(settings_for(data).ledger_url) as ledger:
        table(([row[name] for name in _HISTORY] for row in ledger.history(id_)), _HISTORY)


@click.command()
@click.argument("dataset")
@click.option("--classes", is_flag=True, help="Also per class.")
@click.option("--all", "everything", is_flag=True, help="Of the whole data set, also what no run ever asked for.")
@data_option
def coverage(dataset: str, classes: bool, everything: bool, data: Path | None) -> None:
    """How much of what was asked for is there, by split."""
    settings = settings_for(data)
    with Ledger.open(settings.ledger_url) as ledger:
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
    with Ledger.open(settings.ledger_url) as ledger:
        told = ledger.rebuild(settings.data.private / "runs")
    click.echo(f"The ledger knows {told.items} items and {told.attempts} attempts again.")
