"""The catalog in the ledger, and the ledger's answers."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.ledger import PLAN_SCHEMA, Coverage, Delivered, Ledger, NextDue, ReasonCount, Synced, queries
from clipquarry.reasons import Reason, Status
from ledger_helpers import Calendar, catalog, day, item, manifest, rejected, result, tried


def names(ledger: Ledger, at: float = 0, **more: object) -> list[str]:
    return sorted(row["item_id"] for row in ledger.due(day(at), "demo", **more))  # type: ignore[arg-type]


def may_be_asked(ledger: Ledger, at: float = 0, dataset: str = "demo") -> list[str]:
    """What a full run may ask for: also what nobody ever asked for."""
    return sorted(row["item_id"] for row in ledger.plan_refresh(dataset, day(at)).to_pylist() if row["due"])


@pytest.fixture
def full(ledger: Ledger, tmp_path: Path) -> Ledger:
    """Ten items of three classes: five there, one private, one never to be had here, one untried, one waiting, one rejected."""
    rows = [item(n) for n in range(4)]
    rows += [item(n, split="val", label="tai chi") for n in range(4, 7)]
    rows += [item(n, split="test", label=None) for n in range(7, 9)]
    ledger.sync_catalog(
        "demo", catalog(tmp_path / "catalog.parquet", [*rows, rejected(99, "bad_id", "../../etc/passwd")])
    )
    answers = ["ok", "ok", "private", "geo", "ok", "ok", "transport", "ok"]
    Calendar(ledger, tmp_path).run(day(0), list(zip(rows, answers, strict=False)), evidence="what it said")
    return ledger


# The catalog


def test_new_changed_and_left(ledger: Ledger, tmp_path: Path) -> None:
    first = catalog(tmp_path / "1.parquet", [item(1), item(2), rejected(9, "bad_id", "..")])
    assert ledger.sync_catalog("demo", first) == Synced(added=3, changed=0, left=0)
    assert ledger.sync_catalog("demo", first) == Synced(0, 0, 0)
    assert may_be_asked(ledger) == sorted([item(1)["item_id"], item(2)["item_id"]])
    second = catalog(tmp_path / "2.parquet", [item(2), item(3), rejected(9, "bad_time", "NaN")])
    assert ledger.sync_catalog("demo", second) == Synced(added=1, changed=1, left=1)
    assert may_be_asked(ledger) == sorted([item(2)["item_id"], item(3)["item_id"]])
    assert [(r.status, r.reason, r.items) for r in ledger.reasons("demo")] == [
        ("missing", "not_asked", 2), ("rejected", "bad_time", 1),
    ]  # fmt: skip
    assert ledger.sync_catalog("demo", first) == Synced(added=0, changed=2, left=1)  # and back again


def test_what_left_the_catalog_is_not_lost(ledger: Ledger, tmp_path: Path) -> None:
    calendar = Calendar(ledger, tmp_path)
    calendar.run(day(0), [(item(1), "ok"), (item(2), "private")])
    ledger.sync_catalog("demo", catalog(tmp_path / "2.parquet", [item(3)]))
    assert ledger.plan_refresh("demo", day(1)).num_rows == 1
    assert len(ledger.history(item(1)["video_id"])) == 1
    ledger.sync_catalog("demo", catalog(tmp_path / "3.parquet", [item(1), item(2)]))
    rows = {row["item_id"]: row["reason"] for row in ledger.plan_refresh("demo", day(1)).to_pylist()}
    assert rows == {item(1)["item_id"]: "ok", item(2)["item_id"]: "private"}


def test_a_row_that_is_rejected_later(ledger: Ledger, tmp_path: Path) -> None:
    Calendar(ledger, tmp_path).run(day(0), [(item(1), "ok")])
    bad = {**item(1), "status": "rejected", "reason": "unknown_label", "evidence": "high jump"}
    assert ledger.sync_catalog("demo", catalog(tmp_path / "1.parquet", [bad])).changed == 1
    assert [(r.status, r.reason) for r in ledger.reasons("demo")] == [("rejected", "unknown_label")]
    assert ledger.sync_catalog("demo", catalog(tmp_path / "2.parquet", [item(1)])).changed == 1
    assert names(ledger, 9) == [item(1)["item_id"]]


def test_same_item_twice_is_one_sentence_and_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="item_id twice"):
        ledger.sync_catalog("demo", catalog(tmp_path / "1.parquet", [item(1), item(1)]))
    assert ledger.sync_catalog("demo", catalog(tmp_path / "2.parquet", [item(1)])).added == 1


def test_empty_catalog(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.sync_catalog("demo", catalog(tmp_path / "1.parquet", [])) == Synced(0, 0, 0)
    assert ledger.plan_refresh("demo", day(0)).num_rows == 0
    assert ledger.plan_refresh("demo", day(0)).schema == PLAN_SCHEMA
    assert (ledger.coverage("demo"), ledger.reasons("demo"), ledger.attrition("demo"), list(ledger.missing("demo"))) == (
        [], [], [], [],
    )  # fmt: skip


def test_unknown_data_set_is_one_sentence(ledger: Ledger) -> None:
    for question in (
        ledger.coverage,
        ledger.reasons,
        ledger.attrition,
        ledger.runs,
        lambda name: list(ledger.missing(name)),
    ):
        with pytest.raises(UserError, match="knows no data set 'nosuch'"):
            question("nosuch")
    assert list(ledger.due(day(0))) == [] and ledger.runs() == []


# Answers


def test_plan_refresh(full: Ledger) -> None:
    table = full.plan_refresh("demo", day(0.5))
    assert table.schema == PLAN_SCHEMA
    rows = {row["item_id"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows == 10
    there = [item(n) for n in (0, 1)] + [item(n, split="val", label="tai chi") for n in (4, 5)]
    for one in [*there, item(7, split="test", label=None)]:
        assert list(rows[one["item_id"]].values())[1:6] == ["done", "ok", "", None, False]
    private, geo = rows[item(2)["item_id"]], rows[item(3)["item_id"]]
    assert list(private.values())[1:] == [
        "missing", "private", "what it said", day(90).replace(hour=0), False, 0, True,
    ]  # fmt: skip
    assert list(geo.values())[1:] == ["missing", "geo", "what it said", None, False, 0, True]
    again = rows[item(6, split="val", label="tai chi")["item_id"]]
    assert (again["reason"], again["next_attempt"], again["due"]) == ("transport", day(0) + timedelta(hours=2), True)
    untried = rows[item(8, split="test", label=None)["item_id"]]
    assert list(untried.values())[1:] == ["missing", "not_asked", "", None, True, 1, False]
    assert list(rows["train/#row-99"].values())[1:] == ["rejected", "bad_id", "../../etc/passwd", None, False, 0, False]


def test_plan_agrees_with_due(full: Ledger) -> None:
    for at in (0, 0.05, 0.5, 30, 89.9, 90, 10_000):
        for egress in ("default", "vpn"):
            table = full.plan_refresh("demo", day(at), egress).to_pylist()
            due = sorted(row["item_id"] for row in table if row["due"] and row["asked"])
            assert due == names(full, at, egress=egress)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_answers_do_not_depend_on_batches(full: Ledger, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    plan, missing = full.plan_refresh("demo", day(1)).to_pylist(), list(full.missing("demo", now=day(1)))
    monkeypatch.setattr(queries, "_BATCH", size)
    assert full.plan_refresh("demo", day(1)).to_pylist() == plan and len(plan) == 10
    assert list(full.missing("demo", now=day(1))) == missing and len(missing) == 4


def test_plan_does_not_wait_for_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from datetime import *; from clipquarry.ledger import Ledger\n"
        "Ledger.open(sys.argv[1]).plan_refresh('demo', datetime.now(UTC)); assert 'pandas' not in sys.modules"
    )
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with Ledger.open(url) as ledger:
        Calendar(ledger, tmp_path).run(day(0), [(item(1), "ok"), (item(2), "private")])
    subprocess.run([sys.executable, "-c", code, url], check=True)


def test_due_of_splits_and_of_everything(full: Ledger, tmp_path: Path) -> None:
    assert names(full, 0.5, splits=["val"]) == [item(6, split="val", label="tai chi")["item_id"]]
    assert names(full, 0.5, splits=[]) == []
    full.sync_catalog("untouched", catalog(tmp_path / "untouched.parquet", [item(50)]))
    Calendar(full, tmp_path, "other").run(day(0), [(item(60), "transport")])
    assert sorted(row["dataset"] for row in full.due(day(0.5))) == ["demo", "other"]


def test_due_is_streamed(full: Ledger) -> None:
    rows = full.due(day(9999), "demo")
    assert next(rows)["dataset"] == "demo"
    rows.close()  # type: ignore[attr-defined]
    full.begin_run("demo", "not blocked by a reader that went away")


def test_missing(full: Ledger) -> None:
    rows = {row["video_id"].removeprefix("demo:"): row for row in full.missing("demo", now=day(1))}
    assert len(rows) == 4
    private = rows[item(2)["video_id"]]
    assert private == {
        "dataset": "demo", "item_id": item(2)["item_id"], "video_id": f"demo:{item(2)['video_id']}",
        "clip_id": f"demo:{item(2)['clip_id']}",
        "split": "train", "label": "high jump", "status": "missing", "reason": "private", "evidence": "what it said",
        "permanent": False, "since": day(1 / 24), "last_attempt": day(1 / 24), "next_attempt": day(90).replace(hour=0),
    }  # fmt: skip
    geo = rows[item(3)["video_id"]]
    assert geo["permanent"] is True and geo["next_attempt"] is None
    assert rows[item(8)["video_id"]]["label"] is None
    assert [row["reason"] for row in full.missing("demo", "val")] == ["transport"]
    assert [row["video_id"] for row in full.missing("demo", reason=Reason.GEO)] == [f"demo:{item(3)['video_id']}"]
    assert list(full.missing("demo", "train", Reason.TRANSPORT)) == []


def test_what_each_source_delivered(ledger: Ledger, tmp_path: Path) -> None:
    """Of one data set, by the ids of its sources; requests without bytes (the clip came with another one) do not count."""
    ledger.sync_catalog("demo", catalog(tmp_path / "c.parquet", [item(n) for n in range(4)]))
    ledger.sync_catalog("other", catalog(tmp_path / "o.parquet", [item(9)]))
    assert ledger.delivered("demo") == {}
    got = [
        [tried("youtube", day(0), "ok", seconds=2.0, bytes=100)],
        [tried("mirror", day(0), "not_found", bytes=512), tried("youtube", day(0), "ok", seconds=4.0, bytes=300)],
        [tried("youtube", day(0), "ok", seconds=0.0, bytes=0)],
        [tried("mirror", day(0), "ok", seconds=None, bytes=7)],
    ]
    rows = [result(item(n), "done", "ok", attempts) for n, attempts in enumerate(got)]
    ledger.record("demo", "one", "default", [manifest(tmp_path / "m.parquet", rows)], day(0))
    ledger.record("demo", "two", "default", [manifest(tmp_path / "m.parquet", rows)], day(1))
    theirs = [result(item(9), "done", "ok", [tried("youtube", day(0), "ok", seconds=9.0, bytes=9)])]
    ledger.record("other", "one", "default", [manifest(tmp_path / "o2.parquet", theirs)], day(0))
    assert ledger.delivered("demo") == {"youtube": Delivered(2, 400, 6.0), "mirror": Delivered(1, 7, 0.0)}


def test_coverage(full: Ledger) -> None:
    assert full.coverage("demo") == [
        Coverage("test", None, expected=2, present=1, missing=1, failed=0, rejected=0),
        Coverage("train", None, expected=4, present=2, missing=2, failed=0, rejected=1),
        Coverage("train", "high jump", expected=4, present=2, missing=2, failed=0, rejected=0),
        Coverage("val", None, expected=3, present=2, missing=1, failed=0, rejected=0),
        Coverage("val", "tai chi", expected=3, present=2, missing=1, failed=0, rejected=0),
    ]
    assert [round(one.share, 3) for one in full.coverage("demo")] == [0.5, 0.5, 0.5, 0.667, 0.667]


def test_reasons(full: Ledger) -> None:
    assert full.reasons("demo")[:3] == [
        ReasonCount("test", Status.MISSING, Reason.NOT_ASKED, 1),
        ReasonCount("test", Status.DONE, Reason.OK, 1),
        ReasonCount("train", Status.DONE, Reason.OK, 2),
    ]
    assert sum(one.items for one in full.reasons("demo")) == 10


def test_next_due(full: Ledger) -> None:
    assert full.next_due("demo", day(0.5)) == [
        NextDue(day(0).date(), Reason.TRANSPORT, 1, due=True),
        NextDue(day(90).date(), Reason.PRIVATE, 1),
        NextDue(None, Reason.GEO, 1),
    ]
    assert [one.day for one in full.next_due("demo", day(0.5), per="week")] == [
        date(2025, 12, 29), date(2026, 3, 30), None,
    ]  # fmt: skip
    assert [one.day for one in full.next_due("demo", day(200))][:2] == [day(200).date()] * 2
    # Later on the same day is not now: the next refresh would not ask for it.
    assert full.next_due("demo", day(0.06))[0] == NextDue(day(0).date(), Reason.TRANSPORT, 1, due=False)
    assert names(full, 0.06) == []


def test_attrition(ledger: Ledger, tmp_path: Path) -> None:
    calendar, clips = Calendar(ledger, tmp_path), [item(n) for n in range(4)]
    calendar.run(day(0), [(clip, "ok") for clip in clips])
    calendar.run(day(7), [(clips[0], "removed")])
    calendar.run(day(40), [(clips[1], "private")])
    moved = [(one.run[-1], one.month, one.reason, one.items, one.share) for one in ledger.attrition("demo")]
    assert moved == [
        ("0", "2026-01", "ok", 4, 1.0),
        ("1", "2026-01", "ok", 3, 0.75), ("1", "2026-01", "removed", 1, 0.25),
        ("2", "2026-02", "ok", 2, 0.5), ("2", "2026-02", "private", 1, 0.25), ("2", "2026-02", "removed", 1, 0.25),
    ]  # fmt: skip
    assert {one.run[-1] for one in ledger.attrition("demo", per="month")} == {"1", "2"}


def test_runs(ledger: Ledger) -> None:
    ledger.begin_run("demo", "r1", kind="full", egress="vpn", started=day(0), expected=10, params={"splits": ["val"]})
    ledger.begin_run("demo", "r1", kind="refresh", egress="vpn", started=day(3), expected=11, params={"limit": 5})
    ledger.end_run("demo", "r1", {Status.DONE: 7, "missing": 3, "nonsense": 9}, ended=day(1))
    ledger.begin_run("other", "r2", started=day(2))
    (run,) = ledger.runs("demo")
    assert run._asdict() == {
        "dataset": "demo", "run": "r1", "kind": "refresh", "egress": "vpn", "started": day(0), "ended": day(1),
        "expected": 11, "done": 7, "kept": 0, "missing": 3, "rejected": 0, "failed": 0, "params": {"limit": 5},
    }  # fmt: skip
    assert [run.run for run in ledger.runs()] == ["r1", "r2"] and ledger.runs()[1].ended is None
    with pytest.raises(UserError, match="begin it first"):
        ledger.end_run("demo", "nosuch")


# Rebuilding


def run_folder(runs: Path, name: str, at: float, clips: list[dict[str, object]], answers: list[str]) -> None:
    folder = runs / "demo" / name
    facts = {"started": day(at).isoformat(), "ended": day(at + 0.1).isoformat(), "kind": "refresh", "params": {"n": 1}}
    write_json(folder / "run.json", facts)
    catalog(folder / "catalog.parquet", clips)
    rows = [
        result(clip, "done" if why == "ok" else "missing", why, [tried("youtube", day(at + 0.01), why)])
        for clip, why in zip(clips, answers, strict=True)
    ]
    manifest(folder / "fetch" / "part-00000.parquet", rows[:2])
    manifest(folder / "fetch" / "part-00001.parquet", rows[2:])


def test_rebuild_from_the_runs(ledger: Ledger, tmp_path: Path) -> None:
    runs, clips = tmp_path / "runs", [item(n) for n in range(4)]
    # Named and written in the wrong order on purpose: what counts is when they began.
    run_folder(runs, "a-later", 7, clips, ["ok", "removed", "removed", "ok"])
    run_folder(runs, "b-earlier", 0, clips, ["ok", "ok", "removed", "removed"])
    (runs / "demo" / "notes.txt").write_text("not a run")
    (runs / "demo" / "no-facts").mkdir()
    os.utime(runs / "demo" / "no-facts", (day(8).timestamp(), day(8).timestamp()))
    for _ in range(2):  # a second time changes nothing
        ledger.rebuild(runs, day(20))
        assert [(run.run, run.started, run.kind) for run in ledger.runs("demo")] == [
            ("b-earlier", day(0), "refresh"), ("a-later", day(7), "refresh"), ("no-facts", day(8), "full"),
        ]  # fmt: skip
        rows = {row["item_id"]: row["reason"] for row in ledger.plan_refresh("demo", day(8)).to_pylist()}
        assert [rows[clip["item_id"]] for clip in clips] == ["ok", "removed", "removed", "ok"]
        assert {row["video_id"].removeprefix("demo:"): row["next_attempt"] for row in ledger.missing("demo")} == {
            clips[1]["video_id"]: day(14).replace(hour=0), clips[2]["video_id"]: day(14).replace(hour=0),
        }  # fmt: skip
        assert len(ledger.history(clips[2]["video_id"])) == 2
    with pytest.raises(UserError, match="no folder of runs"):
        ledger.rebuild(tmp_path / "nosuch")
