"""What is not believed of a run's answers: sentences nobody knows, and one sentence for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from clipquarry.ledger import Ledger
from clipquarry.ledger.models import item as item_table
from clipquarry.ledger.models import video_state
from clipquarry.reasons import UNKNOWN_SENTENCE
from ledger_helpers import Calendar, day, item, manifest, result, tried


@pytest.fixture
def calendar(ledger: Ledger, tmp_path: Path) -> Calendar:
    return Calendar(ledger, tmp_path)


def held(ledger: Ledger) -> list[Any]:
    """What is held against videos."""
    with ledger._engine.connect() as conn:
        return list(conn.execute(sa.select(video_state.c.reason)))


def reasons(ledger: Ledger) -> dict[str, str]:
    with ledger._engine.connect() as conn:
        return dict(map(tuple, conn.execute(sa.select(item_table.c.item_id, item_table.c.reason))))


UNKNOWN = f"{UNKNOWN_SENTENCE}: Video unavailable. Frobnicate"


def test_an_unknown_sentence_counts_only_while_other_videos_succeed(calendar: Calendar) -> None:
    clip, other = item(1), item(2)
    for at in (0, 1, 4, 11, 41):  # five answers, when each is due
        calendar.run(day(at), [(clip, "unavailable")], evidence=UNKNOWN)
    assert held(calendar.ledger) == [], "nothing is held against the video"
    assert reasons(calendar.ledger) == {clip["item_id"]: "egress_refused"}
    for at in (50, 51, 54, 61, 91):
        calendar.run(day(at), [(clip, "unavailable"), (other, "ok")], evidence=UNKNOWN)
    (row,) = calendar.ledger.missing("demo")
    assert (row["reason"], row["permanent"]) == ("unavailable", True)


def test_a_mirrors_success_says_nothing_about_youtube(ledger: Ledger, tmp_path: Path) -> None:
    rows = [
        result(item(1), "missing", "unavailable", [tried("youtube", day(0.1), "unavailable", UNKNOWN)], UNKNOWN),
        result(item(2), "done", "ok", [tried("mirror", day(0.1), "ok")]),
    ]
    ledger.begin_run("demo", "run", started=day(0))
    ledger.record("demo", "run", "default", [manifest(tmp_path / "a.parquet", rows)], day(0.2))
    assert held(ledger) == []


@pytest.mark.parametrize(("given", "believed"), [(0.3, True), (0.1, True), (0.05, False)])
def test_a_success_before_the_world_changed_proves_nothing(
    ledger: Ledger, tmp_path: Path, given: float, believed: bool
) -> None:
    rows = [
        result(item(1), "missing", "unavailable", [tried("youtube", day(0.1), "unavailable", UNKNOWN)], UNKNOWN),
        result(item(2), "done", "ok", [tried("youtube", day(given), "ok")]),
    ]
    ledger.begin_run("demo", "run", started=day(0))
    ledger.record("demo", "run", "default", [manifest(tmp_path / "a.parquet", rows)], day(0.4))
    assert bool(held(ledger)) == believed


@pytest.mark.parametrize("reason", ["unavailable", "geo", "copyright"])
def test_one_sentence_for_many_videos_is_about_us(calendar: Calendar, reason: str) -> None:
    clips = [item(n) for n in range(20)]
    calendar.run(day(0), [(clip, reason) for clip in clips], evidence="Video unavailable")
    assert held(calendar.ledger) == []
    calendar.run(day(1), [(clip, reason) for clip in clips[:-1]], evidence="Video unavailable")
    assert len(held(calendar.ledger)) == 19, "19 are not many"
    same_video = [item(50, start=start) for start in range(0, 600, 20)]
    calendar.run(day(2), [(clip, reason) for clip in same_video])
    assert len(held(calendar.ledger)) == 20, "30 clips of one video are one answer"


def test_many_are_believed_where_the_source_says_other_things_too(calendar: Calendar) -> None:
    told = [(item(n), "unavailable") for n in range(25)]
    calendar.run(day(0), [*told, (item(30), "private")], evidence="Video unavailable")
    assert len(held(calendar.ledger)) == 26
    calendar.run(day(1), [*((item(n), "geo") for n in range(100, 125)), (item(200), "ok")])
    assert len(held(calendar.ledger)) == 51
