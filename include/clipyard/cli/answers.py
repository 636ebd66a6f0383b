"""What the ledger knows: ``missing``, ``due``, ``history``, ``coverage``. Tab-separated, for people and for scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from clipyard.cli.common import data_option, settings_for, table
from clipyard.errors import UserError
from clipyard.ledger import Ledger
from clipyard.reasons import Reason


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"'{text}' is not a time; write 2026-11-21T00:00:00+00:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_STANDING = ("item_id", "status", "reason", "evidence", "permanent", "since", "last_attempt", "next_attempt")
_HISTORY = ("at", "dataset", "run", "clip_id", "source", "egress", "reason", "evidence", "seconds", "bytes")


@click.command()
@click.argument("dataset")
@click.option("--split", help="Only this split.")
@click.option("--reason", type=click.Choice([str(reason) for reason in Reason]), help="Only this reason.")
@data_option
def missing(dataset: str, split: str | None, reason: str | None, data: Path | None) -> None:
    """Items that are not there: why, since when, and when they are asked for again."""
    settings = settings_for(data)
    with Ledger.open(settings.ledger_url) as ledger:
        rows = ledger.missing(dataset, split, Reason(reason) if reason else None, egress=settings.egress)
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
@data_option
def coverage(dataset: str, classes: bool, data: Path | None) -> None:
    """How much of each split is there."""
    with Ledger.open(settings_for(data).ledger_url) as ledger:
        rows = [row for row in ledger.coverage(dataset) if classes or row.label is None]
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
