"""A clock that stands until a test sets it."""

from __future__ import annotations

NOW = 1_800_000_000.0


class Clock:
    """Seconds since the epoch; ``clock.now += 1.5`` lets time pass."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now
