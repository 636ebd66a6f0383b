"""The report: its numbers, its safety, and that damaged files do not stop it; the index of all data sets."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.files import write_json
from clipquarry.ledger import Ledger
from clipquarry.manifest import Row, read_rows, write_rows
from clipquarry.pipeline.reporting import write_report
from clipquarry.pipeline.state import STATE_SCHEMA
from clipquarry.report import write_index
from clipquarry.report.aggregate import aggregate
from clipquarry.settings import DataRoot
from report_fixture import NOW, RUN, World, build, catalog_rows, check, gate_json, result_rows, without_attempts
from report_pages import HOSTILE, Page, bare, html, report, written


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("report"), classes=24, per_class=10, earlier=2)


def test_numbers_are_those_of_the_manifest(world: World) -> None:
    rows = list(read_rows(world.folder / "recorded.parquet"))
    status = Counter(row["status"] for row in rows)
    value = report(world)
    total = value["items"]["total"]
    assert total == {
        "expected": len(rows), "present": status["done"], "missing": status["missing"], "rejected": 0,
        "failed": status["failed"], "not_asked": 0,
    }  # fmt: skip
    assert value["items"]["unusable"] == 3
    assert len(value["items"]["classes"]) == 24
    reasons = {row["reason"]: row["count"] for row in value["items"]["reasons"]}
    told = Counter(row["reason"] for row in rows if row["status"] != "done")
    assert reasons == dict(told) | {"bad_id": 1, "bad_label": 1, "bad_time": 1}
    assert value["items"]["media"]["bytes"] == sum(row["bytes"] or 0 for row in rows)
    assert sum(value["items"]["media"]["durations"]["counts"]) == status["done"]
    assert f"{status['done']} of {len(rows)} clips are here" in value["verdict"]["headline"]


def test_history_and_next_tries_come_from_the_ledger(world: World) -> None:
    history = report(world)["history"]
    assert history["problem"] is None
    assert len(history["points"]) == 3
    absent = report(world)["items"]["total"]["missing"] + report(world)["items"]["total"]["failed"]
    assert sum(retry["count"] for retry in history["retries"]) == absent
    assert {retry["bucket"] for retry in history["retries"]} >= {"now", "later", "never"}
    assert [row["gates"]["clips"] for row in report(world)["trend"]] == ["warned", "warned"]


def test_the_page_is_self_contained_small_and_has_no_script(world: World) -> None:
    text = html(world)
    page = Page(text)
    assert len(text.encode()) < 2_000_000
    assert page.tags["script"] == page.tags["link"] == page.tags["iframe"] == page.tags["form"] == 0
    assert not page.handlers
    outside = [a for a in page.addresses if not a.startswith(("data:image/jpeg;base64,", "#"))]
    assert sorted(set(outside)) == ["../gates/clips.rows.csv", "missing.csv"]
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "url(http" not in text and "@import" not in text


def test_the_page_is_readable_without_eyes(world: World) -> None:
    text = html(world)
    page = Page(text)
    assert page.tags["img"] == 12 and page.images_without_alt == 0
    assert text.count("<caption>") >= 6
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        assert "<th scope=" in table
    assert text.count("<svg viewBox=") == text.count('aria-hidden="true" focusable="false"') == 4
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_missing_csv_has_every_absent_item_and_no_formula(world: World) -> None:
    with open(world.folder / "report" / "missing.csv", encoding="utf-8", newline="") as handle:
        found = list(csv.DictReader(handle))
    absent = [row for row in read_rows(world.folder / "recorded.parquet") if row["status"] != "done"]
    rejected = [row for row in read_rows(world.folder / "catalog.parquet") if row["status"] == "rejected"]
    assert {row["item_id"] for row in found} == {row["item_id"] for row in [*absent, *rejected]}
    assert not [row for row in found if row["evidence"].startswith(("=", "+", "@"))]
    assert any(row["evidence"].startswith("'=HYPERLINK") for row in found)
    assert {row["namespace"] for row in found} == {"youtube"}


def test_the_sample_does_not_depend_on_order_and_spreads_over_classes(world: World, tmp_path: Path) -> None:
    rows = list(read_rows(world.folder / "recorded.parquet"))
    write_rows(tmp_path / "other.parquet", STATE_SCHEMA, rows[::-1])
    first, second = aggregate(world.folder / "recorded.parquet").samples, aggregate(tmp_path / "other.parquet").samples
    assert first == second
    assert len(first) == len({sample.label for sample in first}) == 12


def hostile_rows(path: str) -> tuple[list[Row], list[Row]]:
    rng = random.Random(1)
    rows = catalog_rows(2, 6, rng)
    for row in rows:
        row |= {"label": HOSTILE, "class_dir": HOSTILE} if row["status"] == "done" else {"evidence": HOSTILE}
    found = result_rows(rows, rng, NOW, "kinetics400", 0.4)
    for row in found:
        row["evidence"] = HOSTILE if row["evidence"] else ""
        row["source"] = HOSTILE
        row["path"] = path if row.get("path") else None
    return rows, found


def test_hostile_text_is_text(tmp_path: Path) -> None:
    world = bare(tmp_path)
    rows, found = hostile_rows("../../../etc/passwd")
    world.made.catalog(rows)
    world.made.recorded(without_attempts(found))
    broken = check(
        HOSTILE, HOSTILE, success=False, sentence=HOSTILE, scope=HOSTILE, observed=HOSTILE, unexpected=9, checked=9,
        worst=[{"item_id": HOSTILE, HOSTILE: HOSTILE}],
    )  # fmt: skip
    write_json(world.folder / "gates" / "clips.json", gate_json("clips", "block", broken))
    params = {HOSTILE: HOSTILE, "splits": [HOSTILE]}
    write_json(world.folder / "run.json", {"started": HOSTILE, "params": params, "tools": {HOSTILE: HOSTILE}})
    write_json(world.folder / "lists.json", [{"path": HOSTILE, "lines": HOSTILE}])
    page = Page(written(world))
    assert page.tags["script"] == 0 and page.tags["img"] == 0 and not page.handlers
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in page.text and "\\u202e" in page.text
    assert "W" * 400 not in page.text
    assert "root:" not in page.text
    assert "cannot be used below" in page.text  # the path that leaves the data root, by name


def test_a_link_out_of_the_data_root_is_not_followed(tmp_path: Path) -> None:
    world = bare(tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "data" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    _, found = hostile_rows("link.mp4")
    world.made.recorded(without_attempts(found))
    assert "The file lies outside the data root." in written(world)


def test_a_clip_that_is_gone_or_damaged_is_said_so(tmp_path: Path) -> None:
    world = bare(tmp_path)
    (tmp_path / "bad.mp4").write_bytes(b"<html>not a video</html>" * 100)
    for path, said in (("bad.mp4", "No thumbnail:"), ("gone.mp4", "The file is no longer there.")):
        _, found = hostile_rows(path)
        world.made.recorded(without_attempts(found))
        assert said in written(world)


def test_damaged_files_are_named_and_do_not_stop_the_report(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.data.root, tmp_path / "copy")
    copy = replace(world, data=DataRoot(tmp_path / "copy"))
    for name in ("run.json", "gates/annotations.json", "gates/clips.json", "recorded.parquet"):
        (copy.folder / name).write_bytes(b"\x00garbage{")
    (copy.folder / "gates" / "lists.json").write_text('{"schema": "gate-result/v9"}')
    (copy.folder / "fetch").mkdir()
    (copy.folder / "fetch" / "part-00000.result.json").write_text('{"exit": 11, "sentence": "The disk is full <b>"}')
    text = written(copy)
    value = report(copy)
    assert [gate["verdict"] for gate in value["gates"]] == ["unreadable"] * 3
    assert value["verdict"]["level"] == "bad"
    assert "recorded.parquet is not a readable manifest" in text
    assert "The disk is full &lt;b&gt;" in text


def test_a_ledger_that_cannot_answer_is_said_so(world: World, tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'other.sqlite'}") as empty:
        write_report(world.spec, world.data, world.run, empty, NOW)
    assert "The ledger could not answer" in html(world)
    with Ledger.open(world.ledger_url) as ledger:
        write_report(world.spec, world.data, world.run, ledger, NOW)
    assert "The ledger could not answer" not in html(world)


def test_the_index_has_every_data_set_and_survives_a_damaged_summary(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.data.root, tmp_path / "copy")
    data = DataRoot(tmp_path / "copy")
    (data.private / "runs" / "gone_set" / "manual__1").mkdir(parents=True)
    (data.private / "runs" / "<b>").mkdir()
    text = write_index(data, [world.spec, find_spec("kinetics600")], NOW).read_text()
    assert f'href="runs/kinetics400/{RUN}/report/index.html"' in text
    assert "Never run" in text and "gone_set" in text and "No report yet" in text
    assert "<b>" not in text and "&lt;b&gt;" not in text
    (data.private / "index.html").unlink()
    (data.run("kinetics400", RUN) / "report" / "summary.json").write_text('{"title": 3}')
    text = write_index(data, [], NOW).read_text()
    assert "cannot be read" in text
    counts = {"expected": "<many>", "present": 1}
    summary = {"title": "T", "at": "x", "level": "good", "word": "w", "headline": "h", "counts": counts, "gates": {}}
    (data.run("kinetics400", RUN) / "report" / "summary.json").write_text(json.dumps(summary))
    assert "cannot be read (ValueError)" in write_index(data, [], NOW).read_text()
    assert write_index(DataRoot(tmp_path / "new"), [], NOW).read_text().count("No data set has run yet") == 1


def test_the_index_shows_the_data_set_and_not_a_trial_or_a_dry_run(world: World, tmp_path: Path) -> None:
    """A trial and a dry run after it are a second line: the numbers stay those of the ledger, the verdict that of the whole run."""
    shutil.copytree(world.data.root, tmp_path / "copy")
    data = DataRoot(tmp_path / "copy")
    rows = list(read_rows(world.folder / "recorded.parquet"))
    present = sum(row["status"] == "done" for row in rows)
    with Ledger.open(f"sqlite:///{data.private / 'ledger.sqlite'}") as ledger:
        before = write_index(data, [world.spec], NOW, ledger).read_text()
        for hour, name, params in ((1, "trial", {"limit": 1}), (2, "dry", {"dry_run": True})):
            trial = World(world.spec, data, name, "")
            trial.made.catalog(list(read_rows(world.folder / "catalog.parquet")))
            write_json(
                trial.folder / "run.json", {"started": (NOW + timedelta(hours=hour)).isoformat(), "params": params}
            )
            if name == "trial":
                trial.made.recorded([row for row in rows if row["status"] == "done"][:2])
            write_report(trial.spec, data, name, ledger, NOW)
            page = Page(write_index(data, [world.spec], NOW, ledger).read_text())
            assert f"{present} of {len(rows)} (" in page.text
            assert f"Last run ({'trial' if name == 'trial' else 'dry run'}): " in page.text
            assert page.tags["tr"] == 2 and "Incomplete" in page.text and "Dry run" not in page.text
    assert f"{present} of {len(rows)} (" in before and "Last run: " in before
    assert "ledger was not asked" in write_index(data, [world.spec], NOW).read_text()


def test_a_split_that_nobody_asked_for_is_named_and_not_counted(tmp_path: Path) -> None:
    world = bare(tmp_path)
    rows = catalog_rows(2, 3, random.Random(2))
    other = [
        row | {"split": "train", "item_id": "train" + row["item_id"][3:]} for row in rows if row["status"] == "done"
    ]
    found = result_rows(rows, random.Random(2), NOW, "kinetics400", 1e-9)
    world.made.catalog([*rows, *other])
    world.made.results(found[:4])
    with Ledger.open(f"sqlite:///{world.data.private / 'ledger.sqlite'}") as ledger:
        ledger.sync_catalog("kinetics400", world.folder / "catalog.parquet")
        ledger.record("kinetics400", RUN, "default", [world.folder / "results.parquet"], NOW)
        text = Page(write_index(world.data, [world.spec], NOW, ledger).read_text()).text
    assert "4 of 6 (66.6 %)" in text
    assert "2 items not asked for yet; nothing of train was ever asked for" in text
