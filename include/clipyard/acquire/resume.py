"""An unfinished download in scratch and what is needed to resume it: ``{part}`` and ``{part}.json``."""

from __future__ import annotations

import os
from pathlib import Path

import requests

from clipyard.errors import UserError
from clipyard.files import read_json, write_json

KEEP = 1 << 20
"""Bytes; a smaller unfinished download is cheaper to fetch again than to keep."""


def _meta(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def known(part: Path) -> tuple[int, str]:
    """Bytes that are there already and the validator to resume with; ``(0, "")`` to begin anew.

    A part that has all its bytes (its process died before it could say so) gives up the last one: asking for that
    one tells whether the file is still the same.
    """
    try:
        size, meta = part.stat().st_size, read_json(_meta(part))
    except (OSError, UserError):
        return 0, ""
    validator = str(meta.get("validator", "")) if isinstance(meta, dict) else ""
    total = meta.get("total") if isinstance(meta, dict) else None
    if not validator or not isinstance(total, int | None) or (total is not None and size > total):
        return 0, ""
    if size and size == total:
        size -= 1
        os.truncate(part, size)
    return size, validator


def validator_of(response: requests.Response) -> str:
    """What ``If-Range`` may name: a strong entity tag, else the date; empty when the server gives neither."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def remember(part: Path, response: requests.Response, total: int | None) -> None:
    """Beside the part: what is needed to resume it. The url stays out: it may hold a key."""
    if total is not None and total >= KEEP:
        write_json(_meta(part), {"validator": validator_of(response), "total": total})


def forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _meta(part).unlink(missing_ok=True)
