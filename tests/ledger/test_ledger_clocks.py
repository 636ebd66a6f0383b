"""Clocks: one for each source, and what a machine's clock that was ahead leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from clipquarry.files import write_json
from clipquarry.ledger import Ledger, engine, migrations
from clipquarry.ledger.models import HEAD, VERSION_TABLE
from clipquarry.reasons import Reason
from ledger_helpers import Calendar, catalog, day, item, manifest, result, tried


@pytest.fixture
def now() -> datetime:
    """The moment of the test, not of its import: half an hour of other tests may lie between, and clocks are judged."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def ahead(now: datetime) -> datetime:
    return now + timedelta(days=400)


def due(ledger: Ledger, at: datetime, *sources: str, dataset: str = "demo") -> list[str]:
    table = ledger.plan_refresh(dataset, at, sources=sources)
    return sorted(row["item_id"] for row in table.to_pylist() if row["due"])


def record(ledger: Ledger, path: Path, run: str, rows: list[dict[str, object]], at: datetime, **how: object) -> None:
    ledger.begin_run("demo", run, started=at)
    ledger.record("demo", run, "default", [manifest(path / f"{run}.parquet", rows)], at, **how)  # type: ignore[arg-type]
    ledger.end_run("demo", run, {}, ended=at)


def test_due_depends_on_who_is_asked(ledger: Ledger, tmp_path: Path) -> None:
    one, other = item(1), item(2)
    rows = [
        result(one, "missing", "not_found", [tried("mirror", day(0), "not_found")]),
        result(
            other, "missing", "private", [tried("mirror", day(0), "not_found"), tried("youtube", day(0), "private")]
        ),
    ]
    ids = [one["item_id"], other["item_id"]]
    record(ledger, tmp_path, "r", rows, day(0), sources={"mirror": "m", "youtube": "youtube"})
    assert due(ledger, day(0.5), "m") == []
    assert due(ledger, day(0.5), "youtube") == due(ledger, day(0.5), "m", "youtube") == [one["item_id"]]
    assert due(ledger, day(1), "m") == due(ledger, day(0.5), "another") == due(ledger, day(0.5)) == ids
    masks = {
        row["item_id"]: row["open"] for row in ledger.plan_refresh("demo", day(1), sources=["m", "youtube"]).to_pylist()
    }
    assert [masks[name] for name in ids] == [0b11, 0b01], "youtube is left alone for 90 days"


def test_places_without_a_clock_and_places_read_whole(ledger: Ledger, tmp_path: Path) -> None:
    clips = [item(1), item(2)]
    for n in range(6):
        rows = [result(clip, "missing", "not_found", [tried("local", day(n * 40), "not_found")]) for clip in clips]
        record(ledger, tmp_path, f"r{n}", rows, day(n * 40), sources={"local": None})
    assert not any(row["permanent"] for row in ledger.missing("demo"))
    assert due(ledger, day(201), "m") == [clip["item_id"] for clip in clips]
    assert len(ledger.history(clips[0]["clip_id"])) == 6, "but what was tried is known"
    rows = [result(clips[0], "missing", "not_found", [tried("parts", day(202), "not_found")])]
    record(ledger, tmp_path, "archive", rows, day(202), sources={"parts": "p"}, for_good=["parts"])
    assert due(ledger, day(9999), "p") == [clips[1]["item_id"]]


def test_a_source_of_one_data_set_does_not_speak_for_another(ledger: Ledger, tmp_path: Path) -> None:
    clip = item(1)
    for name in ("demo", "other"):
        ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", [clip]))
    Calendar(ledger, tmp_path).run(day(0), [(clip, "not_found")], source="parts")
    assert [row["due"] for row in ledger.plan_refresh("demo", day(0.5)).to_pylist()] == [False]
    assert [row["due"] for row in ledger.plan_refresh("other", day(0.5)).to_pylist()] == [True]


def test_held_rows_are_no_answers(ledger: Ledger, tmp_path: Path) -> None:
    clip = item(1)
    record(ledger, tmp_path, "r0", [result(clip, "missing", "removed", [tried("youtube", day(0), "removed")])], day(0))
    for n in range(1, 5):
        record(ledger, tmp_path, f"r{n}", [result(clip, "missing", "removed", None)], day(n * 30))
    (row,) = ledger.missing("demo")
    assert not row["permanent"] and row["last_attempt"] == day(0)
    assert due(ledger, day(7), "youtube") == [clip["item_id"]]


# A clock that was ahead


def test_a_clock_that_was_ahead_does_not_freeze_the_ledger(
    ledger: Ledger, tmp_path: Path, now: datetime, ahead: datetime
) -> None:
    clips = [item(n) for n in range(3)]
    rows = [
        result(clip, "missing", why, [tried("youtube", ahead, why)])
        for clip, why in zip(clips, ("private", "transport", "removed"), strict=True)
    ]
    record(ledger, tmp_path, "ahead", rows, ahead)
    assert due(ledger, now, "youtube") == []
    ledger.begin_run("demo", "right", started=now)  # the clock was put right
    names = [clip["item_id"] for clip in clips]
    assert due(ledger, now + timedelta(hours=2), "youtube") == [names[1]]
    assert due(ledger, now + timedelta(days=8), "youtube") == [names[1], names[2]]
    assert due(ledger, now + timedelta(days=91), "youtube") == names
    found = [result(clip, "done", "ok", [tried("youtube", now, "ok")]) for clip in clips]
    ledger.record("demo", "right", "default", [manifest(tmp_path / "found.parquet", found)], now)
    assert {row.status: row.items for row in ledger.reasons("demo")} == {"done": 3}
    assert list(ledger.missing("demo")) == []


def test_an_old_run_recorded_again_changes_nothing_whatever_its_clock_said(
    ledger: Ledger, tmp_path: Path, now: datetime, ahead: datetime
) -> None:
    clip = item(1)
    record(ledger, tmp_path, "ahead", [result(clip, "missing", "private", [tried("youtube", ahead, "private")])], ahead)
    record(ledger, tmp_path, "right", [result(clip, "done", "ok", [tried("youtube", now, "ok")])], now)
    ledger.record("demo", "ahead", "default", [tmp_path / "ahead.parquet"], now)
    assert [(row.status, row.reason) for row in ledger.reasons("demo")] == [("done", Reason.OK)]


def test_runs_are_in_the_order_in_which_they_began(
    ledger: Ledger, tmp_path: Path, now: datetime, ahead: datetime
) -> None:
    clip = item(1)
    record(ledger, tmp_path, "ahead", [result(clip, "missing", "private", [tried("youtube", ahead, "private")])], ahead)
    record(ledger, tmp_path, "right", [result(clip, "done", "ok", [tried("youtube", now, "ok")])], now)
    assert [run.run for run in ledger.runs("demo")] == ["ahead", "right"]
    assert [row["reason"] for row in ledger.history(clip["clip_id"])] == ["private", "ok"]
    moments = [(row.run, row.ended <= now + timedelta(minutes=5)) for row in ledger.attrition("demo", now=now)]
    assert moments == [("ahead", True), ("right", True)]


def test_times_of_the_future_are_named(ledger: Ledger, tmp_path: Path, now: datetime, ahead: datetime) -> None:
    clip = item(1)
    record(ledger, tmp_path, "right", [result(clip, "missing", "private", [tried("youtube", now, "private")])], now)
    assert ledger.in_the_future(now) == []
    other = result(item(2), "missing", "private", [tried("youtube", ahead, "private")])
    record(ledger, tmp_path, "ahead", [other], ahead)
    told = " ".join(ledger.in_the_future(now, dataset="demo"))
    assert "Run ahead of demo" in told and "1 answers" in told and "Run right" not in told
    ledger.begin_run("demo", "next", started=now)
    assert "answers of sources" not in " ".join(ledger.in_the_future(now))


def test_a_rebuild_goes_by_the_numbers_of_runs(ledger: Ledger, tmp_path: Path, now: datetime, ahead: datetime) -> None:
    clip = item(1)
    for number, (run, at, reason) in enumerate((("ahead", ahead, "private"), ("right", now, "ok")), 1):
        folder = tmp_path / "runs/demo" / run
        write_json(folder / "run.json", {"number": number, "started": at.isoformat(), "ended": at.isoformat()})
        status = "done" if reason == "ok" else "missing"
        manifest(folder / "results.parquet", [result(clip, status, reason, [tried("youtube", at, reason)])])
    ledger.rebuild(tmp_path / "runs", now)
    assert [run.run for run in ledger.runs("demo")] == ["ahead", "right"]
    assert {row.status: row.items for row in ledger.reasons("demo")} == {"done": 1}


# The schema before


def test_states_outlive_the_migration(url: str, tmp_path: Path) -> None:
    from alembic import command

    clips = [item(n) for n in range(3)]
    with Ledger.open(url) as ledger:
        rows = [
            result(clips[0], "missing", "private", [tried("youtube", day(0), "private")]),
            result(clips[1], "missing", "too_short", [tried("youtube", day(0), "too_short")]),
            result(clips[2], "missing", "not_found", [tried("mirror", day(0), "not_found")]),
        ]
        record(ledger, tmp_path, "r", rows, day(0))
        with engine.writing(ledger._engine) as conn:
            command.downgrade(migrations.config(conn), "0001")
            conn.execute(sa.text("UPDATE ledger_video_state SET source = ''"))  # as held rows left it
            assert conn.execute(sa.text("SELECT count(*) FROM ledger_clip_state")).scalar() == 2
    with Ledger.open(url) as ledger, engine.reading(ledger._engine) as conn:
        assert conn.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == HEAD
    with Ledger.open(url) as ledger:
        assert due(ledger, day(1), "youtube") == [clips[2]["item_id"]], "its mirror may be any address"
        assert due(ledger, day(31), "youtube") == [clips[1]["item_id"], clips[2]["item_id"]]
