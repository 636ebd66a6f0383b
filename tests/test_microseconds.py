"""Times in whole microseconds."""

from decimal import Decimal

import pytest
from clipquarry import microseconds


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [(417, 417_000_000), ("0.1", 100_000), (0.1, 100_000), (0.1 + 0.2, 300_000), ("12.345678", 12_345_678),
     ("12.3456785", 12_345_678), (Decimal("1e-6"), 1), ("1e3", 1_000_000_000), (-2.5, -2_500_000)],
)  # fmt: skip
def test_seconds_become_the_nearest_microsecond(seconds: float | str | Decimal, moment: int) -> None:
    assert microseconds.of(seconds) == moment


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", float("nan"), float("inf"), "1:30"])
def test_what_is_no_number_is_no_time(text: str | float) -> None:
    with pytest.raises(ValueError, match="no time"):
        microseconds.of(text)


@pytest.mark.parametrize(
    ("moment", "text", "seconds", "key"),
    [(417_000_000, "417", 417, 417), (12_500_000, "12.5", 12.5, "12.5"), (1, "0.000001", 1e-6, "0.000001"), (0, "0", 0, 0),
     (-2_500_000, "-2.5", -2.5, "-2.5")],
)  # fmt: skip
def test_a_moment_as_people_and_keys_hold_it(moment: int, text: str, seconds: float, key: int | str) -> None:
    assert microseconds.text(moment) == text
    assert microseconds.seconds(moment) == seconds and type(microseconds.seconds(moment)) is type(seconds)
    assert microseconds.in_key(moment) == key
    assert microseconds.of(text) == moment


def test_moments_and_seconds_are_in_the_same_order() -> None:
    moments = [at * 10**12 + rest for at in (0, 1, 9) for rest in (0, 1, 2, 999_999)]
    seconds = [microseconds.seconds(moment) for moment in moments]
    assert sorted(set(seconds)) == seconds
