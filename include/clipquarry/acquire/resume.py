"""Version of a remote file (entity tag, date, length, type), and the state of an unfinished download.

Bytes of two answers may be joined only when the second states the same version as the first
(RFC 9110 section 15.3.7): the same entity tag, or the same date where there is no tag, the same length, the same type.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import read_json, write_json

KEEP = 1 << 20
"""Bytes. A smaller unfinished download is cheaper to fetch again than to keep."""

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Part:
    """``Content-Range``: the first and the last byte of an answer, and the whole file's length when it is known."""

    first: int
    last: int
    total: int | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Part | None:
        """None when the header is absent or makes no sense."""
        match = _RANGE.fullmatch((headers.get("Content-Range") or "").strip())
        if match is None:
            return None
        part = cls(int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3]))
        sane = part.first <= part.last and (part.total is None or part.last < part.total)
        return part if sane else None


@dataclass(frozen=True)
class Version:
    """The version of a file that an answer holds. ``total``: bytes of the whole file, None when unknown."""

    etag: str = ""
    modified: str = ""
    dated: bool = False
    """``modified`` is old enough for a validator: a file may change twice in a second."""
    kind: str = ""
    encoding: str = ""
    total: int | None = None

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str]) -> Version:
        part = Part.of(headers) if status == 206 else None
        length = body_length(headers) if status != 206 else None
        modified = headers.get("Last-Modified") or ""
        return cls(
            etag=(headers.get("ETag") or "").strip(),
            modified=modified.strip(),
            dated=_settled(modified, headers.get("Date") or ""),
            kind=(headers.get("Content-Type") or "").partition(";")[0].strip().lower(),
            encoding=(headers.get("Content-Encoding") or "").strip().lower(),
            total=part.total if part is not None else length,
        )

    @property
    def validator(self) -> str:
        """The value for ``If-Range``: a strong entity tag, else the date; empty when there is neither."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified if self.dated else ""

    def other(self, later: Version, *, strict: bool = True) -> str | None:
        """Why ``later`` is not known to be the same version, or None. ``strict``: it must repeat the validator."""
        if self.etag or later.etag:
            if (later.etag or strict) and later.etag != self.etag:
                return f"its entity tag is {later.etag[:60] or 'gone'}, it was {self.etag[:60] or 'absent'}"
        elif (later.modified or strict) and later.modified != self.modified:
            return f"its date is {later.modified[:40] or 'gone'}, it was {self.modified[:40] or 'absent'}"
        if self.total is not None and later.total is not None and later.total != self.total:
            return f"it has {later.total} bytes, it had {self.total}"
        if self.kind and later.kind and later.kind != self.kind:
            return f"its type is {later.kind[:60]}, it was {self.kind[:60]}"
        if self.encoding != later.encoding:
            return f"its encoding is {later.encoding[:20] or 'none'}, it was {self.encoding[:20] or 'none'}"
        return None


def body_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of an answer's body by its headers; None when they do not say or are invalid."""
    length = (headers.get("Content-Length") or "").strip()
    return int(length) if _COUNT.fullmatch(length) and not headers.get("Transfer-Encoding") else None


def framing_problem(headers: Mapping[str, str]) -> str | None:
    """The problem of an invalid length, with which the end of a body is unknown (RFC 9112 section 6.3), or None."""
    length = headers.get("Content-Length")
    if length is None or headers.get("Transfer-Encoding") or body_length(headers) is not None:
        return None
    return f"an answer that makes no sense (Content-Length: {length[:40]!r})"


def _settled(modified: str, date: str) -> bool:
    """Whether a date is a strong validator: the answer was sent at least a second after it (RFC 9110 8.8.2.2)."""
    try:
        changed = parsedate_to_datetime(modified)
        sent = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return (sent - changed).total_seconds() >= 1
    except (ValueError, TypeError, OverflowError):
        return False


def _meta(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def known(part: Path) -> tuple[int, Version | None]:
    """Bytes of an unfinished download on disk, and their version; ``(0, None)`` to begin anew.

    When all bytes are there (the process was killed before it could finish), the last one is dropped. The request for
    that byte shows whether the remote file is still the same.
    """
    try:
        size, meta = part.stat().st_size, read_json(_meta(part))
        version = Version(**meta)
    except (OSError, UserError, TypeError):
        return 0, None
    total = version.total
    texts = (version.etag, version.modified, version.kind, version.encoding)
    if not all(isinstance(text, str) for text in texts) or not isinstance(total, int) or size > total:
        return 0, None
    if not size or not version.validator:
        return 0, None
    if size == total:
        size -= 1
        os.truncate(part, size)
    return size, version if size else None


def remember(part: Path, version: Version) -> None:
    """Write beside the unfinished file what is needed to resume it. The url is left out: it may hold a key."""
    if version.total is not None and version.total >= KEEP and version.validator:
        write_json(_meta(part), asdict(version))
    else:
        _meta(part).unlink(missing_ok=True)


def promised(part: Path) -> int | None:
    """Bytes of the whole file that the server announced; None when it did not."""
    try:
        total = read_json(_meta(part)).get("total")
    except (OSError, UserError, AttributeError):
        return None
    return total if isinstance(total, int) else None


def is_kept(part: Path) -> bool:
    """Whether the unfinished file is kept: it has at least :data:`KEEP` bytes and can be resumed."""
    return _meta(part).exists() and part.exists() and part.stat().st_size >= KEEP


def forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _meta(part).unlink(missing_ok=True)
