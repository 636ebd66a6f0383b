"""Bytes of a file that is read whole, with a limit: lists and JSON of data sets whose annotations are small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clipquarry.annotations.csv_records import visible
from clipquarry.errors import UserError, unread

_MOST = 64 << 20


def read_small(path: Path, what: str) -> bytes:
    """All bytes. Raises :class:`UserError` for a file that cannot be read, or is too large to be ``what``."""
    try:
        if path.stat().st_size > _MOST:
            raise UserError(f"{path} is larger than {_MOST} bytes: that is no {what}.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def read_small_json(path: Path, what: str) -> Any:
    """The JSON in it. Raises :class:`UserError` as :func:`read_small`, and for a file that is no JSON."""
    try:
        return json.loads(read_small(path, what))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({visible(unread(error), 120)}): get the file again.") from error
