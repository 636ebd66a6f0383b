"""How long a detector takes."""

from __future__ import annotations

from pathlib import Path

from clipquarry.people.rates import note_rate, rate_of
from clipquarry.store import Store


def test_what_was_measured_takes_the_place_of_the_guess(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not rate_of(store, "mmdet").measured and rate_of(store, "mmdet").seconds > rate_of(store, "hog").seconds
    note_rate(store, "hog", 0.0, 10)
    note_rate(store, "hog", 1.0, 0)
    assert not rate_of(store, "hog").measured
    note_rate(store, "hog", 5.0, 20)
    note_rate(store, "mmdet", 8.0, 2)
    assert rate_of(store, "hog") == (0.25, True) and rate_of(store, "mmdet") == (4.0, True)
