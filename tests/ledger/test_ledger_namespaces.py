"""Two data sets whose ids look alike share what YouTube says, and nothing else; an old ledger is told apart."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from clipquarry.errors import UserError
from clipquarry.files import TEMPORARY_PREFIX, write_json
from clipquarry.ledger import Ledger, engine, migrations
from clipquarry.ledger.models import metadata
from clipquarry.manifest import Row
from dying import dies_anywhere, took
from ledger_helpers import catalog, day, item, manifest, result, tried
from postgres_server import fresh_schema


def record(ledger: Ledger, path: Path, dataset: str, run: str, rows: list[Row], **how: object) -> None:
    ledger.begin_run(dataset, run, started=day(0), **how)  # type: ignore[arg-type]
    ledger.record(dataset, run, "default", [manifest(path / f"{dataset}-{run}.parquet", rows)], day(0))


def due(ledger: Ledger, dataset: str, *sources: str) -> list[str]:
    table = ledger.plan_refresh(dataset, day(0.01), sources=sources or None)
    return sorted(row["item_id"] for row in table.to_pylist() if row["due"])


def names(ledger: Ledger, dataset: str) -> set[tuple[str, str]]:
    return {(row["video_id"], row["clip_id"]) for row in ledger.missing(dataset)}


def test_one_data_sets_answer_is_not_anothers(ledger: Ledger, tmp_path: Path) -> None:
    clip = item(1)
    for name in ("jester", "sthv2"):
        ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", [clip]))
    lost = result(clip, "missing", "not_found", [tried("parts", day(0), "not_found")])
    record(ledger, tmp_path, "jester", "r1", [lost])
    assert due(ledger, "jester") == [] and due(ledger, "sthv2") == [clip["item_id"]]
    assert names(ledger, "jester") == {(f"jester:{clip['video_id']}", f"jester:{clip['clip_id']}")}
    assert [row["dataset"] for row in ledger.history(clip["clip_id"])] == ["jester"]
    assert ledger.history(f"sthv2:{clip['clip_id']}") == [] and len(ledger.history(f"jester:{clip['video_id']}")) == 1


def test_a_bare_id_says_all_whom_it_may_mean(ledger: Ledger, tmp_path: Path) -> None:
    clip = item(1)
    for name, whose in (("jester", "jester"), ("sthv2", "sthv2"), ("k400", "youtube")):
        ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", [clip]), namespace=whose)
    for kind in ("video_id", "clip_id"):
        full = [f"{whose}:{clip[kind]}" for whose in ("jester", "sthv2", "youtube")]
        assert ledger.called(clip[kind]) == full
        assert ledger.called(full[1]) == full[1:2]
    assert ledger.called(clip["item_id"]) == ledger.called(clip["clip_id"])
    assert ledger.called("nobody") == []


def test_youtubes_ids_are_the_worlds(ledger: Ledger, tmp_path: Path) -> None:
    clip = item(1)
    for name in ("k400", "k600"):
        ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", [clip]), namespace="youtube")
    record(ledger, tmp_path, "k400", "r1", [result(clip, "missing", "private", [tried("youtube", day(0), "private")])])
    assert due(ledger, "k600", "youtube") == []


def old(url: str, path: Path) -> list[Row]:
    """A ledger of the schema before, in which everything is the world's: YouTube's k400 and k600, own lab_a and lab_b."""
    clips = [item(n) for n in range(3)]
    with Ledger.open(url) as ledger:
        for name in ("k400", "k600", "lab_a", "lab_b"):
            listed = clips if name != "lab_b" else clips[:2]
            ledger.sync_catalog(name, catalog(path / f"{name}.parquet", listed), namespace="youtube")
        told = {
            "k400": [result(clips[0], "missing", "private", [tried("youtube", day(0), "private")])],
            "lab_a": [
                result(clips[1], "missing", "not_found", [tried("parts", day(0), "not_found")]),
                result(clips[0], "missing", "private", None),
            ],
            "lab_b": [result(clips[0], "missing", "not_found", [tried("disk", day(0), "not_found")])],
        }
        for name, rows in told.items():
            record(ledger, path, name, "r", rows, namespace="youtube")
        with engine.writing(ledger._engine) as conn:
            command.downgrade(migrations.config(conn), "0002")
    return clips


def test_an_old_ledger_is_told_apart(url: str, tmp_path: Path) -> None:
    clips = old(url, tmp_path)
    one, two, three = (clip["item_id"] for clip in clips)
    whose = {"k400": "youtube", "k600": "youtube", "lab_a": "lab_a", "lab_b": "lab_b"}
    with Ledger.open(url, lambda: whose) as ledger:
        assert (
            names(ledger, "k400")
            == names(ledger, "k600")
            == {(f"youtube:{clip['video_id']}", f"youtube:{clip['clip_id']}") for clip in clips}
        )
        assert names(ledger, "lab_a") == {(f"lab_a:{clip['video_id']}", f"lab_a:{clip['clip_id']}") for clip in clips}
        assert names(ledger, "lab_b") == {
            (f"lab_b:{clip['video_id']}", f"lab_b:{clip['clip_id']}") for clip in clips[:2]
        }
        assert due(ledger, "k400", "youtube") == due(ledger, "k600", "youtube") == [two, three]
        assert due(ledger, "lab_a", "lab_a:parts") == [one, three], "its own answer holds"
        assert due(ledger, "lab_b", "lab_a:parts") == [one, two], "and is nobody else's"
        assert due(ledger, "lab_b", "lab_b:disk") == [two]
        assert [(row["dataset"], row["reason"]) for row in ledger.history(f"lab_b:{clips[0]['clip_id']}")] == [
            ("lab_b", "not_found")
        ]
        assert [row["dataset"] for row in ledger.history(f"youtube:{clips[0]['clip_id']}")] == ["k400"]
        assert len(ledger.history(clips[0]["clip_id"])) == 2, "a bare id is whoever's"
        with engine.reading(ledger._engine) as conn:
            if conn.dialect.name == "sqlite":
                assert conn.exec_driver_sql("PRAGMA foreign_key_check").fetchall() == []
    with Ledger.open(url) as ledger:  # nothing more is to be done, and nobody is asked
        assert due(ledger, "lab_b", "lab_b:disk") == [two]


def test_a_backup_is_taken_first(url: str, tmp_path: Path) -> None:
    old(url, tmp_path)
    with Ledger.open(url, dict) as ledger:
        copies = sa.inspect(ledger._engine).get_table_names()
    if url.startswith("sqlite"):
        with Ledger.open(f"{url}.of-0002", dict) as before:
            assert len(before.runs()) == 3
    else:
        assert {"ledger_of_0002_video", "ledger_of_0002_attempt", "ledger_of_0002_item"} <= set(copies)


SHARED = dict.fromkeys(("k400", "k600", "lab_a", "lab_b"), "youtube")


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    url, first = f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path / "ledger.sqlite.of-0002"
    old(url, tmp_path)
    first.mkdir()  # somebody's folder is no backup
    for _ in range(2):  # the second time the copy that is there is enough
        with pytest.raises(ZeroDivisionError):
            Ledger.open(url, lambda: {str(1 // 0): ""})
    second = first.with_name("ledger.sqlite.of-0002-2")
    told = second.read_bytes()
    Ledger.open(url, lambda: SHARED).close()
    assert first.is_dir() and second.read_bytes() == told
    with Ledger.open(url) as ledger, engine.writing(ledger._engine) as conn:  # somebody goes back, and on
        command.downgrade(migrations.config(conn), "0002")
    Ledger.open(url, lambda: SHARED).close()
    assert second.read_bytes() == told and len(sorted(tmp_path.glob("ledger.sqlite.of-*"))) == 3


def test_a_backup_overwrites_no_tables(postgres: str, tmp_path: Path) -> None:
    url = fresh_schema(postgres)
    old(url, tmp_path)
    Ledger.open(url, lambda: SHARED).close()
    with Ledger.open(url) as ledger, engine.writing(ledger._engine) as conn:
        conn.exec_driver_sql("DELETE FROM ledger_of_0002_attempt")
        command.downgrade(migrations.config(conn), "0002")
    with Ledger.open(url, lambda: SHARED) as ledger, engine.reading(ledger._engine) as conn:
        counts = [
            conn.exec_driver_sql(f"SELECT count(*) FROM ledger_of_0002_{name}").scalar()
            for name in ("attempt", "2_attempt")
        ]
        assert counts == [0, 3]


WHOSE = {"k400": "youtube", "k600": "youtube", "lab_a": "lab_a", "lab_b": "lab_b"}


def dump(url: str) -> dict[str, list[Any]]:
    """All that a ledger says, by the names of things instead of their keys."""
    keys = {
        "clip": "SELECT id, clip_id FROM ledger_clip", "video": "SELECT id, video_id FROM ledger_video",
        "dataset": "SELECT id, name FROM ledger_dataset", "run": "SELECT id, run FROM ledger_run",
    }  # fmt: skip
    found: dict[str, list[Any]] = {}
    with Ledger.open(url) as ledger, engine.reading(ledger._engine) as conn:
        names = {f"{key}_id": dict(conn.exec_driver_sql(query).tuples().all()) for key, query in keys.items()}
        for table in metadata.tables.values():
            rows = [dict(row._mapping) for row in conn.execute(sa.select(table))]
            for row in rows:
                row.pop("id", None)
                row.update({key: whose[row[key]] for key, whose in names.items() if isinstance(row.get(key), int)})
            found[table.name] = sorted(map(str, rows))
    return found


def upgraded_and_killed(url: str, statement: int | None, ready: Any = None) -> None:
    """Upgrade in a process of its own; it dies by SIGKILL before the n-th statement that changes something."""
    count = 0

    def before(conn: Any, cursor: Any, text: str, *_: Any) -> None:
        nonlocal count
        count += not text.lstrip().upper().startswith(("SELECT", "PRAGMA", "SHOW", "BEGIN"))
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    if ready is not None:
        ready.wait()
    Ledger.open(url, lambda: WHOSE).close()


@pytest.mark.parametrize("statement", [1, 3, 8, 14, 20, 26])
def test_killed_in_the_middle_and_run_again(url: str, tmp_path: Path, statement: int) -> None:
    old(url, tmp_path)
    right = tmp_path / "right.sqlite"
    (tmp_path / "other").mkdir()
    old(f"sqlite:///{right}", tmp_path / "other")
    Ledger.open(f"sqlite:///{right}", lambda: WHOSE).close()
    process = multiprocessing.get_context("fork").Process(target=upgraded_and_killed, args=(url, statement))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    Ledger.open(url, lambda: WHOSE).close()
    assert dump(url) == dump(f"sqlite:///{right}")
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_an_upgrade_by_several_processes_at_once(url: str, tmp_path: Path) -> None:
    old(url, tmp_path)
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    started = [fork.Process(target=upgraded_and_killed, args=(url, None, ready)) for _ in range(3)]
    for process in started:
        process.start()
    ready.set()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 3
    assert len(dump(url)["ledger_attempt"]) == 3
    with Ledger.open(url) as ledger:
        copies = [name for name in sa.inspect(ledger._engine).get_table_names() if name.startswith("ledger_of_")]
    assert len(copies) == (0 if url.startswith("sqlite") else len(metadata.tables))
    assert len(list(tmp_path.glob("ledger.sqlite.of-*"))) == url.startswith("sqlite")


def test_from_the_first_schema(url: str, tmp_path: Path) -> None:
    clips = old(url, tmp_path)
    engine_of = engine._engine(engine.parse_url(url), url.startswith("sqlite"))
    with engine.writing(engine_of) as conn:
        command.downgrade(migrations.config(conn), "0001")
    engine_of.dispose()
    with Ledger.open(url, lambda: WHOSE) as ledger:
        assert len(ledger.history(clips[0]["clip_id"])) == 2
        assert [row["dataset"] for row in ledger.history(f"lab_b:{clips[0]['clip_id']}")] == ["lab_b"]


@pytest.mark.skipif(os.getuid() != 0, reason="Only root can become the user without rights.")
def test_who_may_only_read_an_old_ledger_is_told(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="clipquarry-readonly-") as folder:
        Path(folder).chmod(0o755)
        url = f"sqlite:///{folder}/ledger.sqlite"
        old(url, tmp_path)
        os.seteuid(65534)
        try:
            with pytest.raises(UserError, match="this user"):
                Ledger.open(url, lambda: WHOSE)
        finally:
            os.seteuid(0)
        assert not list(Path(folder).glob("*.of-*"))
        Ledger.open(url, lambda: WHOSE).close()


def test_without_a_yaml_who_asked_youtube_has_its_ids(url: str, tmp_path: Path) -> None:
    """And when the YAML comes back, it is as if it had been there."""
    clips = old(url, tmp_path)
    with Ledger.open(url, dict) as ledger:
        assert {row["clip_id"].partition(":")[0] for row in ledger.missing("k400")} == {"youtube"}
        assert {row["clip_id"].partition(":")[0] for row in ledger.missing("k600")} == {"k600"}, "it asked nobody"
        assert {row["clip_id"].partition(":")[0] for row in ledger.missing("lab_a")} == {"lab_a"}
        ledger.sync_catalog("k600", catalog(tmp_path / "again.parquet", clips), namespace="youtube")
        assert due(ledger, "k600", "youtube") == [clip["item_id"] for clip in clips[1:]]


def test_ids_that_turn_out_to_be_somebody_elses_take_all_along(url: str, tmp_path: Path) -> None:
    clips = [item(n) for n in range(2)]
    with Ledger.open(url) as ledger:
        for name in ("lab_a", "lab_b"):
            ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", clips), namespace="youtube")
        answers = [
            result(clips[0], "missing", "not_found", [tried("parts", day(0), "not_found")]),
            result(clips[1], "missing", "private", [tried("youtube", day(0), "private")]),
        ]
        record(ledger, tmp_path, "lab_a", "r", answers)
        record(
            ledger,
            tmp_path,
            "lab_b",
            "r",
            [result(clips[1], "missing", "private", [tried("youtube", day(0.001), "private")])],
        )
        before = due(ledger, "lab_a", "lab_a:parts", "youtube"), due(ledger, "lab_b", "youtube")
        for whose in ("lab_a", "youtube", "lab_a"):
            ledger.begin_run("lab_a", "later", namespace=whose)
            assert (due(ledger, "lab_a", "lab_a:parts", "youtube"), due(ledger, "lab_b", "youtube")) == before
            told = [
                (row["source"], row["reason"])
                for n in (0, 1)
                for row in ledger.history(f"{whose}:{clips[n]['clip_id']}")
                if row["dataset"] == "lab_a"
            ]
            assert told == [("parts", "not_found"), ("youtube", "private")]
        assert [row["dataset"] for row in ledger.history(f"youtube:{clips[1]['video_id']}")] == ["lab_b"]
        ledger.record("lab_a", "r", "default", [tmp_path / "lab_a-r.parquet"], day(0))
        assert len(ledger.history(clips[0]["clip_id"])) == 1, "recording again changes nothing"


def test_a_rebuilt_ledger_knows_whose_ids_are(url: str, tmp_path: Path) -> None:
    """Of old runs, which do not say it, by whom they asked; of a data set with a YAML, as that says."""
    clip = item(1)
    for name, key in (("k400", "youtube"), ("lab_a", "parts:0123456789ab"), ("ava", "mirror:0123456789ab")):
        folder = tmp_path / "runs" / name / "one"
        folder.mkdir(parents=True)
        catalog(folder / "catalog.parquet", [clip])
        write_json(folder / "run.json", {"sources": {"keys": {"it": key}, "refresh": [key]}})
    with Ledger.open(url) as ledger:
        ledger.rebuild(tmp_path / "runs", namespaces={"ava": "youtube"})
        for name, whose in (("k400", "youtube"), ("lab_a", "lab_a"), ("ava", "youtube")):
            assert names(ledger, name) == {(f"{whose}:{clip['video_id']}", f"{whose}:{clip['clip_id']}")}


def test_a_clock_of_a_source_with_a_like_name_is_not_its_own(url: str, tmp_path: Path) -> None:
    """``my_part`` is no pattern: what ``my1part`` said of a shared clip is not what it said."""
    clip = item(1)
    with Ledger.open(url) as ledger:
        for name, source in (("lab_a", "my_part"), ("lab_b", "my1part")):
            ledger.sync_catalog(name, catalog(tmp_path / f"{name}.parquet", [clip]), namespace="youtube")
            ledger.begin_run(name, "r", started=day(0))
            rows = [result(clip, "missing", "not_found", [tried(source, day(0), "not_found")])]
            path = manifest(tmp_path / f"{name}-r.parquet", rows)
            ledger.record(name, "r", "default", [path], day(0), sources={source: f"{source}:ab"})
        with engine.writing(ledger._engine) as conn:
            command.downgrade(migrations.config(conn), "0002")
    with Ledger.open(url, lambda: WHOSE) as ledger:
        assert due(ledger, "lab_a", "my1part:ab") == due(ledger, "lab_b", "my_part:ab") == [clip["item_id"]]
        assert due(ledger, "lab_a", "my_part:ab") == due(ledger, "lab_b", "my1part:ab") == []


def test_a_migration_killed_anywhere_is_done_by_the_next_one(tmp_path: Path) -> None:
    def told(path: Path) -> list[tuple[str, list[tuple[object, ...]]]]:
        with closing(sqlite3.connect(path)) as ledger:
            tables = [
                row[0] for row in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            ]
            return [(name, sorted(ledger.execute(f'SELECT * FROM "{name}"'), key=repr)) for name in tables]

    def migrate(path: Path) -> None:
        with Ledger.open(f"sqlite:///{path}", lambda: {"k400": "youtube", "lab_a": "lab_a", "lab_b": "lab_b"}):
            pass

    before = tmp_path / "before.sqlite"
    old(f"sqlite:///{before}", tmp_path)
    calm, disturbed = tmp_path / "calm.sqlite", tmp_path / "disturbed.sqlite"
    for path in (calm, disturbed):
        shutil.copyfile(before, path)
    seconds = took(lambda: migrate(calm))
    rng, died = random.Random(11), 0
    for _ in range(3):
        died += dies_anywhere(lambda: migrate(disturbed), seconds, rng, 3)
        copy = Path(f"{disturbed}.of-0002")
        assert not copy.exists() or told(copy) == told(before), "the copy is whole or not there"
    assert died >= 2
    migrate(disturbed)
    assert told(disturbed) == told(calm)
    assert told(Path(f"{disturbed}.of-0002")) == told(before)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(TEMPORARY_PREFIX)] == []
