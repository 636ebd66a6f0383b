"""How long a detector takes for a frame: as it was measured below a data root, else a guess."""

from __future__ import annotations

from typing import NamedTuple

from clipquarry.store import Store, content_key

KIND = "rates"
"""The store's kind of noted rates."""
_GUESSED = {"hog": 0.1, "small": 0.1, "mmdet": 5.0}
"""Seconds for a frame of 340 x 256 on one core; a GPU does mmdet's 50 times as fast."""
_UNKNOWN = 1.0


class Rate(NamedTuple):
    """``seconds`` a frame, wall time; ``measured`` below this data root, or guessed."""

    seconds: float
    measured: bool


def _key(backend: str) -> str:
    return content_key(kind=KIND, backend=backend)


def note_rate(store: Store, backend: str, seconds: float, frames: int) -> None:
    """Note that ``frames`` frames took ``seconds``; the last note counts."""
    if frames > 0 and seconds > 0:
        store.note(KIND, backend, _key(backend), {"seconds": seconds / frames})


def rate_of(store: Store, backend: str) -> Rate:
    """The detector's rate."""
    seconds = (store.noted(KIND, backend, _key(backend)) or {}).get("seconds")
    if isinstance(seconds, int | float) and 0 < seconds < 1e6:
        return Rate(float(seconds), True)
    return Rate(_GUESSED.get(backend, _UNKNOWN), False)
