"""What the ledger knows: ``missing``, ``due``, ``history``, ``coverage``. Tab-separated, for people and for scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from clipyard.cli.common import data_option, settings_for, table
from clipyard.errors import UserError


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"'{text}' is not a time; write 2026-11-21T00:00:00+00:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
