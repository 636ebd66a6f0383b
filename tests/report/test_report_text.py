"""Numbers, times and foreign text."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from clipquarry.reasons import Reason
from clipquarry.report.reason_texts import WORDS, again, reason_text
from clipquarry.report.text import clean, distance, number, share, size, span
from hypothesis import given
from hypothesis import strategies as st


@given(st.text(max_size=400))
def test_clean_text_has_no_hidden_characters_and_keeps_its_limit(text: str) -> None:
    shown = clean(text, 50)
    assert not [char for char in shown if unicodedata.category(char).startswith("C")]
    assert len(shown) <= 6 * 50 + 7


def test_clean_shows_a_direction_override() -> None:
    assert clean("abc\u202egnp.exe") == "abc\\u202egnp.exe"
    assert clean("a\nb\x00") == "a b\\u0000"
    assert clean(None) == ""
    assert clean("x" * 300, 10) == "x" * 10 + "…"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0 %"), (10, 10, "100 %"), (19_905, 19_906, "99.9 %"), (1, 100_000, "< 0.1 %"), (1, 2, "50.0 %"),
        (0, 0, "–"), (999_999_999, 1_000_000_000, "99.9 %"),
    ],
)  # fmt: skip
def test_share_is_whole_only_when_exact(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_units() -> None:
    assert number(19906) == "19,906"
    assert [size(n) for n in (0, 999, 1500, 809_000, 17.3e9)] == ["0 B", "999 B", "1.5 kB", "809 kB", "17.3 GB"]
    assert [span(n) for n in (9.98, 600, 176_760)] == ["9.98 s", "10 min", "49.1 h"]
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert distance(now + timedelta(days=3), now) == "in 3 days"
    assert distance(now - timedelta(hours=2), now) == "2.0 h ago"


def test_every_reason_has_words_and_a_policy() -> None:
    assert set(WORDS) == set(Reason)
    for reason in Reason:
        told = reason_text(reason)
        assert told.title and told.means.endswith(".")
        assert again(reason)


def test_a_folder_answers_no_http() -> None:
    assert "HTTP" not in reason_text(Reason.NOT_FOUND).means and "folder" in reason_text(Reason.NOT_FOUND).means


def test_an_unknown_reason_is_shown_as_it_is() -> None:
    assert reason_text("<b>new</b>").title == "<b>new</b>"
    assert again("<b>new</b>") == "unknown"
