"""Numbers, times and untrusted text in readable form.

Labels, ids and evidence come from annotation files and from other servers. :func:`clean` makes every invisible or
direction-changing character visible and shortens long text. The template escapes HTML (autoescape).
"""

from __future__ import annotations

import unicodedata
from datetime import date, datetime, timedelta

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def clean(text: object, limit: int = 240) -> str:
    """``text`` with control and format characters written out (``\\u202e``), cut to ``limit`` characters."""
    whole = "" if text is None else str(text)
    seen = "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _HIDDEN else char
        for char in whole[: limit + 1].replace("\n", " ").replace("\t", " ")
    )
    return seen if len(whole) <= limit else seen[:limit] + "…"


def number(value: float) -> str:
    """``19906`` gives ``19,906``."""
    return f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """A percentage that is 0 % or 100 % only if that is exact: ``19,905 of 19,906`` gives ``99.9 %``."""
    if whole <= 0:
        return "–"
    tenths = 1000 * part / whole
    if part > 0 and tenths < 1:
        return "< 0.1 %"
    shown = min(int(tenths), 999) if part < whole else 1000
    return f"{shown // 10} %" if shown % 10 == 0 and shown in (0, 1000) else f"{shown / 10:.1f} %"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 clip``, ``2 clips``, ``19,906 clips``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def size(value: float) -> str:
    """Bytes in powers of 1000: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def span(seconds: float) -> str:
    """Seconds as ``48 s``, ``12 min``, ``55 h``, ``3 days``."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


def seconds(value: float) -> str:
    """``9.98`` gives ``9.98 s``; minutes from two minutes on."""
    return f"{value:.2f} s" if value < 120 else f"{value / 60:.1f} min"


def day(value: date) -> str:
    """``21 Nov 2026``."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime | None) -> str:
    """``21 Nov 2026, 02:13 UTC``."""
    return "–" if value is None else f"{day(value)}, {value:%H:%M} UTC"


def distance(value: datetime, now: datetime) -> str:
    """``in 3 days``, ``2 h ago``."""
    gap = value - now
    if abs(gap) < timedelta(seconds=60):
        return "now"
    return f"in {span(gap.total_seconds())}" if gap > timedelta(0) else f"{span(-gap.total_seconds())} ago"
