"""Times of videos: whole microseconds in tables, keys and joins; seconds where people and ffmpeg read them.

A float of seconds cannot be a key: 0.1 + 0.2 differs from 0.3, and tools silently truncate it in a column of
integers.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

SECOND = 1_000_000


def of(seconds: float | str | Decimal) -> int:
    """The nearest microsecond to a number or a decimal text; ``0.1`` is 100,000.

    Raises ValueError for anything but a finite number.
    """
    if isinstance(seconds, int):
        return seconds * SECOND
    try:
        return int((Decimal(str(seconds)) * SECOND).to_integral_value(ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:  # the second of "nan"
        raise ValueError(f"{seconds!r} is no time in seconds") from error


def seconds(moment: int) -> int | float:
    """Seconds: an int if they are whole. Different times give different numbers, in the same order (below 285
    years).
    """
    return moment // SECOND if moment % SECOND == 0 else moment / SECOND


def text(moment: int) -> str:
    """Seconds in the shortest decimal form: ``417``, ``12.5``; never with an exponent."""
    whole, rest = divmod(abs(moment), SECOND)
    sign = "-" if moment < 0 else ""
    return f"{sign}{whole}" if rest == 0 else f"{sign}{whole}.{rest:06d}".rstrip("0")


def in_key(moment: int) -> int | str:
    """The form that is hashed: whole seconds as integers, as in all keys from before microseconds; else
    :func:`text`.
    """
    return moment // SECOND if moment % SECOND == 0 else text(moment)
