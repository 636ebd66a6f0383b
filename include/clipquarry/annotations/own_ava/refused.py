"""What a reader does not take, with the place and one sentence that says what to do."""

from __future__ import annotations

import math
from typing import NamedTuple


class Refused(NamedTuple):
    """``where``: file, then line or region; ``why``: one sentence that says what is wrong and what to do."""

    where: str
    why: str


def number(value: object) -> float | None:
    """A finite JSON number, or None for anything else: booleans, texts, NaN and integers beyond floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def number_of_text(text: str | None) -> float | None:
    """A finite decimal number in ASCII, or None."""
    if text is None or len(text) > 64 or not text.isascii() or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
