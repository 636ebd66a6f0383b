"""Recording manifests: every attempt once, what follows from it, and no harm by killing, repeating or garbage."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from clipquarry.errors import ManifestError
from clipquarry.ledger import Ledger, Recorded, record
from clipquarry.ledger.models import attempt, clip_state, video_state
from clipquarry.ledger.models import clip as clip_table
from clipquarry.ledger.models import item as item_table
from clipquarry.ledger.models import video as video_table
from clipquarry.reasons import Reason
from ledger_helpers import Calendar, catalog, day, item, manifest, rejected, result, tried, video

DAY = timedelta(days=1)
NOT_TOLD: list[dict[str, Any]] = []


def content(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that recording writes, by name (keys depend on the order in which names came)."""
    tried_columns = [attempt.c[name] for name in ("at", "source", "egress", "nth", "reason", "evidence")]
    item_columns = [item_table.c[name] for name in ("item_id", "status", "reason", "evidence", "present")]
    queries = {
        "attempts": sa.select(clip_table.c.clip_id, *tried_columns).join_from(attempt, clip_table),
        "items": sa.select(*item_columns),
        "videos": sa.select(video_table.c.video_id, *list(video_state.c)[1:]).join_from(video_state, video_table),
        "clips": sa.select(clip_table.c.clip_id, *list(clip_state.c)[1:]).join_from(clip_state, clip_table),
    }
    with ledger._engine.connect() as conn:
        return {name: sorted(map(tuple, conn.execute(query)), key=str) for name, query in queries.items()}


def standing(ledger: Ledger, dataset: str = "demo") -> dict[str, tuple[str, str]]:
    return {
        row["item_id"]: (row["status"], row["reason"]) for row in ledger.plan_refresh(dataset, day(10_000)).to_pylist()
    }


@pytest.fixture
def calendar(ledger: Ledger, tmp_path: Path) -> Calendar:
    return Calendar(ledger, tmp_path)


def test_every_attempt_is_kept_once(ledger: Ledger, tmp_path: Path) -> None:
    there = result(
        item(1), "done", "ok", [tried("mirror", day(0), "not_found", "404"), tried("youtube", day(0.1), "ok")]
    )
    twice = [tried("youtube", day(0), "http_5xx", "503"), tried("youtube", day(0), "http_5xx", "again")]
    gone = result(item(2), "missing", "http_5xx", twice, "503")
    path = manifest(tmp_path / "part-00000.parquet", [there, gone])
    assert ledger.record("demo", "run", "default", [path], day(0.2)) == Recorded(rows=2, attempts=4, items=2)
    before = content(ledger)
    assert ledger.record("demo", "run", "default", [path], day(0.3)) == Recorded(rows=2, attempts=0, items=0)
    assert ledger.record("demo", "run", "default", [path, path], day(9)) == Recorded(rows=4, attempts=0, items=0)
    assert content(ledger) == before
    told = [
        (row["source"], row["reason"], row["evidence"], row["egress"], row["run"]) for row in ledger.history(video(1))
    ]
    assert told == [("mirror", "not_found", "404", "default", "run"), ("youtube", "ok", "", "default", "run")]
    assert [row["evidence"] for row in ledger.history(item(2)["clip_id"])] == ["503", "again"]
    assert ledger.history(item(2)["item_id"]) == ledger.history(item(2)["clip_id"])
    assert ledger.history("nobody") == []
    assert ledger.history(video(1))[0]["at"] == day(0)


def test_removed_confirmed_and_back(calendar: Calendar) -> None:
    clip = item(1)
    for at in (0, 7, 14):
        assert at == 0 or calendar.due(day(at)) == [clip["item_id"]]
        calendar.run(day(at), [(clip, "removed")])
        assert calendar.due(day(at + 6)) == []
    (row,) = calendar.ledger.missing("demo")
    assert (row["permanent"], row["since"], row["reason"]) == (True, day(1 / 24), "removed")
    assert calendar.due(day(14 + 364)) == [] and calendar.due(day(14 + 365)) == [clip["item_id"]]
    calendar.run(day(14 + 365), [(clip, "ok")])
    assert calendar.due(day(9999)) == [] and standing(calendar.ledger) == {clip["item_id"]: ("done", "ok")}
    assert content(calendar.ledger)["videos"] == []
    assert len(calendar.ledger.history(clip["video_id"])) == 4


def test_what_is_about_the_video_holds_for_all_its_clips_in_all_data_sets(ledger: Ledger, tmp_path: Path) -> None:
    asked, other = item(1), item(1, start=50, split="val")
    ledger.sync_catalog("second", catalog(tmp_path / "catalog.parquet", [other]), namespace="youtube")
    ledger.begin_run("demo", "first", namespace="youtube")
    Calendar(ledger, tmp_path).run(day(0), [(asked, "private")])
    for at, open_ in ((89, False), (91, True)):
        assert [row["due"] for row in ledger.plan_refresh("second", day(at)).to_pylist()] == [open_]
    assert list(ledger.due(day(91), "second")) == [], "a refresh does not begin with what nobody asked for"
    (row,) = ledger.missing("second")
    assert (row["reason"], row["status"]) == ("private", "missing")
    assert standing(ledger, "second") == {other["item_id"]: ("missing", "private")}


@pytest.mark.parametrize("reason", ["too_short", "not_found", "corrupt", "truncated", "not_a_video", "gone"])
def test_what_is_about_one_clip_leaves_the_others(calendar: Calendar, tmp_path: Path, reason: str) -> None:
    short, other = item(1), item(1, start=50)
    calendar.ledger.sync_catalog("demo", catalog(tmp_path / "catalog.parquet", [short, other]))
    calendar.run(day(0), [(short, reason)], source="mirror")
    rows = calendar.ledger.plan_refresh("demo", day(0.5)).to_pylist()
    assert [row["item_id"] for row in rows if row["due"]] == [other["item_id"]]
    assert standing(calendar.ledger)[other["item_id"]] == ("missing", "not_asked")


def test_several_clips_of_a_video_are_one_answer(calendar: Calendar) -> None:
    clips = [item(1, start=start) for start in (10, 20, 30, 40)]
    calendar.run(day(0), [(clip, "removed") for clip in clips])
    (state,) = content(calendar.ledger)["videos"]
    assert state[2] == "removed" and state[8] == 1  # confirmations
    assert len(calendar.due(day(7))) == 4


def test_our_side_leaves_what_is_known(calendar: Calendar) -> None:
    clip = item(1)
    calendar.run(day(0), [(clip, "removed")], evidence="removed by the uploader")
    for reason in ("bot_check", "no_network", "tool_stale", "transport"):
        calendar.run(day(7), [(clip, reason)])
        assert standing(calendar.ledger) == {clip["item_id"]: ("missing", "removed")}
    calendar.run(day(8), [(clip, "removed")])
    assert content(calendar.ledger)["videos"][0][8] == 2


def test_no_network_is_due_again_at_once_and_named(calendar: Calendar) -> None:
    clips = [item(n) for n in range(5)]
    calendar.run(day(0), [(clip, "no_network") for clip in clips])
    assert len(calendar.due(day(0) + (day(1) - day(0)) / 20)) == 5
    assert set(standing(calendar.ledger).values()) == {("missing", "no_network")}
    tables = content(calendar.ledger)
    assert tables["videos"] == tables["clips"] == []


def test_bot_check_waits_an_hour(calendar: Calendar) -> None:
    clip = item(1)
    calendar.run(day(0), [(clip, "bot_check")])  # heard an hour after the run began
    assert calendar.due(day(0.075)) == [] and calendar.due(day(0.09)) == [clip["item_id"]]


def test_geo_is_for_one_egress_only(ledger: Ledger, tmp_path: Path) -> None:
    home, away, clip = Calendar(ledger, tmp_path), Calendar(ledger, tmp_path, egress="vpn"), item(1)
    home.run(day(0), [(clip, "geo")])
    assert home.due(day(9999)) == [] and away.due(day(1)) == [clip["item_id"]]
    away.run(day(1), [(clip, "ok")])
    assert away.due(day(9999)) == [] and standing(ledger) == {clip["item_id"]: ("done", "ok")}


def test_a_mirror_that_has_one_clip_does_not_bring_the_video_back(calendar: Calendar) -> None:
    one, other = item(1), item(1, start=50)
    calendar.run(day(0), [(one, "removed"), (other, "removed")])
    calendar.run(day(7), [(one, "ok")], source="mirror")
    assert [row[2] for row in content(calendar.ledger)["videos"]] == ["removed"]
    calendar.run(day(8), [(other, "ok")], source="youtube")
    assert content(calendar.ledger)["videos"] == []


def test_a_file_that_vanished_and_came_back(calendar: Calendar) -> None:
    clip = item(1)
    calendar.run(day(0), [(clip, "ok")])
    calendar.run(day(1), [(clip, "bot_check")])
    assert standing(calendar.ledger) == {clip["item_id"]: ("missing", "bot_check")}
    calendar.run(day(2), [(clip, "ok")])
    assert standing(calendar.ledger) == {clip["item_id"]: ("done", "ok")}


def test_kept_rows_have_no_attempts(ledger: Ledger, tmp_path: Path) -> None:
    first = manifest(
        tmp_path / "a.parquet", [result(item(1), "missing", "removed", [tried("youtube", day(0.1), "removed")])]
    )
    again = manifest(tmp_path / "b.parquet", [result(item(1), "kept", "ok", NOT_TOLD)])
    ledger.begin_run("demo", "run", started=day(0))
    ledger.record("demo", "run", "default", [first], day(0.2))
    ledger.record("demo", "run", "default", [again], day(0.3))  # placed by hand; the shard was run again
    assert standing(ledger) == {item(1)["item_id"]: ("done", "ok")}
    assert [(row.status, row.items) for row in ledger.reasons("demo")] == [("kept", 1)]


@pytest.mark.parametrize("reason", ["not_due", "not_asked"])
def test_rows_that_were_not_asked_for_change_nothing(calendar: Calendar, tmp_path: Path, reason: str) -> None:
    calendar.run(day(0), [(item(1), "removed")])
    before = content(calendar.ledger)
    path = manifest(tmp_path / "m.parquet", [result(item(1), "missing", reason, None)])
    assert calendar.ledger.record("demo", "later", "default", [path], day(1)).items == 0
    assert content(calendar.ledger) == before


def test_an_old_manifest_recorded_late_does_not_undo_what_came_after(calendar: Calendar) -> None:
    calendar.run(day(0), [(item(1), "removed")])
    calendar.run(day(7), [(item(1), "ok")])
    before = content(calendar.ledger)
    calendar.ledger.record("demo", "run-default-0", "default", [calendar.folder / "demo-run-default-0.parquet"], day(8))
    assert content(calendar.ledger) == before


def test_an_answer_of_a_run_that_a_later_one_overtook_counts(calendar: Calendar, tmp_path: Path) -> None:
    """A full run of weeks asks on day 0 and records on day 9; a refresh asked on day 8, and recorded."""
    ledger = calendar.ledger
    calendar.run(day(0) - DAY, [(item(1), "no_source")])
    ledger.begin_run("demo", "full", started=day(0))
    ledger.begin_run("demo", "refresh", started=day(8))
    for run, at in (("refresh", day(8)), ("full", day(0))):
        rows = [result(item(1), "missing", "unavailable", [tried("youtube", at, "unavailable")])]
        ledger.record("demo", run, "default", [manifest(tmp_path / f"{run}.parquet", rows)], day(9))
    with ledger._engine.connect() as conn:
        told = conn.execute(sa.select(video_state.c.confirmations, video_state.c.attempts)).one()
    assert tuple(told) == (2, 2)
    before = content(ledger)
    ledger.record("demo", "full", "default", [tmp_path / "full.parquet"], day(10))
    assert content(ledger) == before, "once"


def test_hostile_text(ledger: Ledger, tmp_path: Path) -> None:
    evil = "\x00'; DROP TABLE ledger_item; -- 💥\n\t\"\\N \u202e" + "x" * 1_000_000
    clip = item(1, label="a'b(c) 💥")
    path = manifest(
        tmp_path / "m.parquet", [result(clip, "missing", "removed", [tried(evil, day(0), "removed", evil)], evil)]
    )
    assert ledger.record("demo", evil[1:90], evil[1:40], [path], day(1)).attempts == 1
    assert ledger.record("demo", evil[1:90], evil[1:40], [path], day(1)).attempts == 0
    (row,) = ledger.history(video(1))
    assert row["evidence"] == "\ufffd" + evil[1:2000]
    (missing,) = ledger.missing("demo", egress=evil[1:40])
    assert missing["evidence"] == row["evidence"] and missing["label"] == "a'b(c) 💥"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reason": "aliens"}, "'aliens' is not a known word"),
        ({"status": "perhaps"}, "'perhaps' is not a known word"),
        ({"attempts": [tried("mirror", day(0), "aliens")]}, "'aliens' is not a known word"),
        ({"attempts": [{**tried("mirror", day(0), "ok"), "at": "yesterday"}]}, "yesterday"),
        ({"attempts": [{**tried("mirror", day(0), "ok"), "at": None}]}, "item 'train/high_jump"),
    ],
)
def test_garbage_in_a_manifest_is_one_sentence_and_leaves_nothing(
    ledger: Ledger, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    bad = {**result(item(2), "missing", "removed", [tried("youtube", day(0), "removed")]), **change}
    good = result(item(1), "done", "ok", [tried("mirror", day(0), "ok")])
    path = manifest(tmp_path / "m.parquet", [good, bad])
    with pytest.raises(ManifestError) as error:
        ledger.record("demo", "run", "default", [path], day(1))
    assert says in str(error.value) and str(path) in str(error.value)
    assert content(ledger)["attempts"] == []


def test_other_tables_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="attempts"):
        ledger.record("demo", "run", "default", [catalog(tmp_path / "c.parquet", [item(1)])], day(1))
    with pytest.raises(ManifestError, match="no manifest"):
        ledger.record("demo", "run", "default", [tmp_path / "none.parquet"], day(1))
    assert ledger.record("demo", "run", "default", [manifest(tmp_path / "empty.parquet", [])], day(1)).rows == 0


def test_rejected_rows_are_no_videos(ledger: Ledger, tmp_path: Path) -> None:
    row = {**rejected(7, "bad_id", "../../etc"), "key": "0", "attempts": None}
    assert ledger.record("demo", "run", "default", [manifest(tmp_path / "m.parquet", [row])], day(1)).items == 1
    assert standing(ledger) == {"train/#row-7": ("rejected", "bad_id")}
    assert list(ledger.due(day(9999), "demo")) == []


def test_a_clock_that_was_wrong_does_not_plan_out_of_sight(ledger: Ledger, tmp_path: Path) -> None:
    path = manifest(
        tmp_path / "m.parquet", [result(item(1), "missing", "private", [tried("youtube", day(9000), "private")])]
    )
    ledger.record("demo", "run", "default", [path], day(0))
    assert len(list(ledger.due(day(91), "demo"))) == 1
    Calendar(ledger, tmp_path).run(day(91), [(item(1), "ok")])
    assert standing(ledger) == {item(1)["item_id"]: ("done", "ok")}


# Many processes, and kills


def rows_of(shard: int, count: int) -> list[dict[str, Any]]:
    made = []
    for n in range(shard * count, (shard + 1) * count):
        reason = ("ok", "removed", "transport", "too_short")[n % 4]
        attempts = [tried("mirror", day(0), "not_found"), tried("youtube", day(0.1), reason, f"evidence {n}")]
        made.append(result(item(n), "done" if reason == "ok" else "missing", reason, attempts))
    return made


def record_one(url: str, path: Path) -> None:
    with Ledger.open(url) as ledger:
        ledger.record("demo", "run", "default", [path], day(1))


def counts(ledger: Ledger) -> dict[str, int]:
    return {name: len(rows) for name, rows in content(ledger).items()}


def test_four_processes_record_different_manifests(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "BATCH", 50)
    paths = [manifest(tmp_path / f"part-{n:05d}.parquet", rows_of(n, 200)) for n in range(4)]
    fork = multiprocessing.get_context("fork")
    # Two of them record the same manifest, as a task does that was started twice.
    started = [fork.Process(target=record_one, args=(url, path)) for path in [*paths, paths[0]]]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 5
    with Ledger.open(url) as ledger:
        assert counts(ledger) == {
            "attempts": 1600, "items": 800, "videos": 200, "clips": 1000  # the mirror lacks all 600 that are not there
        }  # fmt: skip
        assert {row.reason: row.items for row in ledger.reasons("demo")} == dict.fromkeys(
            (Reason.OK, Reason.REMOVED, Reason.TRANSPORT, Reason.TOO_SHORT), 200
        )


def test_killed_while_recording(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "BATCH", 20)
    path = manifest(tmp_path / "part-00000.parquet", rows_of(0, 600))
    fork = multiprocessing.get_context("fork")
    with Ledger.open(url) as ledger:
        for wanted in (20, 200, 400):
            process = fork.Process(target=record_one, args=(url, path))
            process.start()
            deadline = time.monotonic() + 60
            while counts(ledger)["items"] < wanted and process.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            found = counts(ledger)
            assert found["attempts"] == 2 * found["items"] and found["items"] % 20 == 0
        ledger.record("demo", "run", "default", [path], day(1))
        killed = content(ledger)
    with Ledger.open(f"sqlite:///{tmp_path / 'undisturbed.sqlite'}") as other:
        other.record("demo", "run", "default", [path], day(1))
        assert content(other) == killed


def test_memory_is_a_batch_not_a_manifest(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "BATCH", 100)
    sizes: list[int] = []
    original = record._Batch.record

    def spy(self: record._Batch, rows: Any, told: Any) -> Recorded:
        sizes.append(len(rows))
        return original(self, rows, told)

    monkeypatch.setattr(record._Batch, "record", spy)
    path = manifest(tmp_path / "m.parquet", rows_of(0, 250))
    assert pq.read_metadata(path).num_rows == 250
    record_one(url, path)
    assert sizes == [100, 100, 50]
