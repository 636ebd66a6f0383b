"""One crawl for all data sets: whose answers count, in which order videos are asked for, and at what rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clipquarry.ledger import Ledger, crawl
from clipquarry.ledger.crawl import AGAIN, ANSWERED, LAST, NEW, Rates
from clipquarry.reasons import Reason
from ledger_helpers import Calendar, catalog, day, item, manifest, result, tried

YOUTUBE = ["youtube"]


def ask(
    ledger: Ledger, folder: Path, name: str, days: float, answers: list[tuple[dict[str, Any], str]], dataset: str = "demo"
) -> None:  # fmt: skip
    rows = [
        result(
            row,
            "done" if reason == "ok" else "missing",
            reason,
            [tried("youtube", day(days), reason, seconds=1.0)],
        )
        for row, reason in answers
    ]
    ledger.begin_run(dataset, name, started=day(days), namespace="youtube", sources=YOUTUBE)
    ledger.record(dataset, name, "default", [manifest(folder / f"{dataset}-{name}.parquet", rows)], day(days))


def order(ledger: Ledger, days: float, dataset: str | None = "demo", **more: Any) -> list[str]:
    asked = ledger.questions(day(days), dataset, **({"sources": YOUTUBE} | more if dataset else more))
    return [one.video_id.removeprefix("youtube:vid").lstrip("0") or "0" for one in asked]


def fill(ledger: Ledger, folder: Path, rows: list[dict[str, Any]], dataset: str = "demo") -> None:
    ledger.sync_catalog(dataset, catalog(folder / f"{dataset}.parquet", rows), namespace="youtube")


def test_an_answer_for_one_data_set_counts_for_all(ledger: Ledger, tmp_path: Path) -> None:
    shared, own = item(1), item(2)
    fill(ledger, tmp_path, [shared, own], "a")
    fill(ledger, tmp_path, [item(1, start=50), item(3)], "b")
    ask(ledger, tmp_path, "one", 0, [(shared, "private"), (own, "ok")], "a")
    assert order(ledger, 1, "b") == ["3"], "b never asked, and waits as long as a would"
    assert order(ledger, 91, "b") == ["3", "1"]
    plan = ledger.plan_refresh("b", day(1), sources=YOUTUBE).to_pylist()
    assert {row["reason"] for row in plan if not row["due"]} == {"private"}


def test_the_best_question_comes_first(ledger: Ledger, tmp_path: Path) -> None:
    one, many = [item(1)], [item(2, start=start) for start in (10, 30, 50)]
    dead, hidden, ours = item(3), item(4), item(5)
    fill(ledger, tmp_path, [dead, hidden, ours, *one, *many])
    ask(ledger, tmp_path, "one", 0, [(dead, "unavailable"), (hidden, "too_short"), (ours, "http_5xx")])
    assert order(ledger, 200) == ["2", "1", "5", "4", "3"]
    ranks = [one.rank for one in ledger.questions(day(200), "demo", sources=YOUTUBE)]
    assert ranks == [NEW, NEW, AGAIN, ANSWERED, LAST]
    assert order(ledger, 200) == order(ledger, 200), "the order is stable"


def test_a_mirror_makes_a_dead_video_worth_a_look(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, tmp_path, [item(1), item(2)])
    ask(ledger, tmp_path, "one", 0, [(item(1), "unavailable")])
    found = list(ledger.questions(day(0.1), "demo", sources=["mirror:1", "youtube"]))
    assert [one.rank for one in found] == [NEW, NEW], "of the dead one, the mirror may have a clip now"
    assert order(ledger, 0.1) == ["2"]


def test_what_others_lack_counts_too(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, tmp_path, [item(1), item(2)], "a")
    others = [item(2, start=start) for start in (10, 30, 50)]  # the first is a's window, too
    fill(ledger, tmp_path, others, "b")
    ask(ledger, tmp_path, "one", 0, [(row, "http_5xx") for row in others], "b")
    told = {one.video_id[-1]: (one.clips, one.elsewhere) for one in ledger.questions(day(9), "a", sources=YOUTUBE)}
    assert told == {"1": (1, 0), "2": (1, 2)}
    assert {one.video_id[-1]: one.clips for one in ledger.questions(day(9))} == {"1": 1, "2": 3}


def test_rates_are_by_what_was_known_before(ledger: Ledger, tmp_path: Path) -> None:
    rows = [item(n) for n in range(10)]
    fill(ledger, tmp_path, rows)
    ask(ledger, tmp_path, "one", 0, [(row, "unavailable" if n < 4 else "ok") for n, row in enumerate(rows)])
    ask(ledger, tmp_path, "two", 2, [(rows[0], "ok"), (rows[1], "unavailable")])
    ask(ledger, tmp_path, "three", 9, [(rows[1], "unavailable")])
    rates = ledger.rates()
    assert rates.counts == {
        (None, 0): (10, 6), (Reason.UNAVAILABLE, 1): (2, 1), (Reason.UNAVAILABLE, 2): (1, 0),
    }  # fmt: skip
    assert (rates.questions, rates.brought) == (13, 7)
    assert rates.chance(None) > rates.chance(Reason.UNAVAILABLE) > rates.chance(Reason.UNAVAILABLE, 2)
    assert ledger.pace(day(10)) == (10, 1), "on the other days there was little to ask"


def test_a_large_ledger_takes_its_rates_of_some_videos(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    rows = [item(n) for n in range(40)]
    fill(ledger, tmp_path, rows)
    ask(ledger, tmp_path, "one", 0, [(row, "ok" if n % 2 else "private") for n, row in enumerate(rows)])
    monkeypatch.setattr(crawl, "SAMPLE", 10)
    assert ledger.rates().questions == 10


def test_what_no_question_was_counts_for_no_rate(ledger: Ledger, tmp_path: Path) -> None:
    rows = [item(1), item(1, start=50), item(2)]
    fill(ledger, tmp_path, rows)
    told = [
        result(rows[0], "done", "ok", [tried("youtube", day(0), "ok", seconds=3.0)]),
        result(rows[1], "done", "ok", [tried("youtube", day(0.01), "ok", seconds=0.0)]),
        result(rows[2], "missing", "waiting", [tried("youtube", day(0.02), "waiting", seconds=0.4)]),
    ]
    ledger.begin_run("demo", "one", started=day(0))
    ledger.record("demo", "one", "default", [manifest(tmp_path / "m.parquet", told)], day(1))
    assert ledger.rates().counts == {(None, 0): (1, 1)}
    assert ledger.pace(day(1)).questions == 1


def test_the_days_pace_leaves_today_out(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, tmp_path, [item(n) for n in range(8)])
    ask(ledger, tmp_path, "one", 0, [(item(n), "ok") for n in range(5)])
    ask(ledger, tmp_path, "two", 1, [(item(n), "ok") for n in range(5, 8)])
    assert ledger.pace(day(1.1)) == (5, 1) and ledger.pace(day(2)).per_day == 4.0
    assert ledger.pace(day(60)) == (0, 0) and ledger.pace(day(60)).per_day == 0.0


def test_what_data_sets_share(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, tmp_path, [item(n) for n in range(4)], "a")
    fill(ledger, tmp_path, [item(0), item(1), item(2, start=90)], "b")
    fill(ledger, tmp_path, [item(3), item(9)], "c")
    ask(ledger, tmp_path, "one", 0, [(item(0), "ok")], "b")
    assert ledger.shared("a") == [("b", 3, 2, 1), ("c", 1, 1, 0)]
    assert ledger.shared("b") == [("a", 3, 2, 0)]


def test_few_questions_do_not_make_a_rate() -> None:
    assert Rates({(None, 0): (1, 0)}).chance(None) == pytest.approx(0.85 * 20 / 21)
    assert Rates({(None, 0): (10_000, 4_000)}).chance(None) == pytest.approx(0.4, abs=0.01)


def test_another_egress_has_rates_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    fill(ledger, tmp_path, [item(1)])
    Calendar(ledger, tmp_path, egress="cable").run(day(0), [(item(1), "geo")])
    assert ledger.rates().questions == 0 and ledger.rates(egress="cable").questions == 1
