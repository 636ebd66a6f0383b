"""The report: its numbers, its safety, and that it can be written at any point of a run."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.files import write_json
from clipquarry.ledger import Ledger
from clipquarry.manifest import Row, read_rows, write_rows
from clipquarry.pipeline.gates import catalogue
from clipquarry.pipeline.reporting import write_report
from clipquarry.pipeline.state import STATE_SCHEMA
from clipquarry.report import write_index
from clipquarry.report.aggregate import aggregate
from clipquarry.settings import DataRoot
from report_fixture import (
    NOW,
    RUN,
    World,
    build,
    catalog_rows,
    check,
    gate_json,
    result_rows,
    without_attempts,
    write_gates,
    write_run_files,
)

HOSTILE = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(2)>&amp;" + "W" * 3000


class Page(HTMLParser):
    """What a browser would see: tags, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.tables_without_caption = 0
        self.images_without_alt = 0
        self._skip = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._skip = tag == "style"
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "action", "srcset"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag == "img" and not dict(attrs).get("alt"):
            self.images_without_alt += 1

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text += data


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("report"), classes=24, per_class=10, earlier=2)


def html(world: World) -> str:
    return (world.folder / "report" / "index.html").read_text(encoding="utf-8")


def report(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((world.folder / "report" / "report.json").read_text())
    return value


def bare(tmp_path: Path) -> World:
    return World(find_spec("kinetics400"), DataRoot(tmp_path), RUN, "")


def written(world: World) -> str:
    write_report(world.spec, world.data, world.run, None, NOW)
    return html(world)


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


def test_a_run_that_did_nothing_has_a_report(tmp_path: Path) -> None:
    text = written(bare(tmp_path))
    assert "Unfinished" in text and "Not run" in text
    assert "The ledger was not asked" in text


def test_a_gate_that_blocks_before_the_fetch(tmp_path: Path) -> None:
    world = bare(tmp_path)
    rows = catalog_rows(3, 4, random.Random(1))
    world.made.catalog(rows)
    write_run_files(world, begun=NOW)
    said = "3 of 15 rows are unusable."
    rejected = check("annotations.rejected", "csv rows are usable", success=False, sentence=said, unexpected=3)
    write_json(world.folder / "gates" / "annotations.json", gate_json("annotations", "block", rejected))
    text = written(world)
    value = report(world)
    assert value["verdict"]["word"] == "Blocked" and value["verdict"]["level"] == "bad"
    assert "3 of 15 rows are unusable." in text
    assert value["items"]["total"] == {
        "expected": 12, "present": 0, "missing": 12, "rejected": 0, "failed": 0, "not_asked": 12,
    }  # fmt: skip
    assert value["items_from"] == "catalog"


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


def small(world: World, rows: list[Row], **run: Any) -> str:
    world.made.recorded(rows)
    write_json(world.folder / "run.json", run)
    return written(world)


def test_verdicts(tmp_path: Path) -> None:
    world = bare(tmp_path)
    rng = random.Random(3)
    whole = without_attempts(result_rows(catalog_rows(2, 5, rng), rng, NOW, "kinetics400", 1e-9))
    assert {row["status"] for row in whole} == {"done"}
    small(world, whole)
    assert report(world)["verdict"]["word"] == "Unchecked"
    write_json(world.folder / "gates" / "clips.json", gate_json("clips", "pass", check("clips.facts", "facts")))
    small(world, whole)
    assert report(world)["verdict"]["level"] == "good"
    assert report(world)["verdict"]["next"] == ["Nothing: there is no clip left to fetch."]
    write_gates(world.folder, whole)
    small(world, whole)
    assert report(world)["verdict"]["word"] == "Check the warnings"
    lost = [row | {"status": "missing", "reason": "no_network"} for row in whole]
    small(world, lost)
    assert report(world)["verdict"]["word"] == "Nothing here"
    small(world, [], params={"dry_run": True})
    assert report(world)["verdict"]["word"] == "Dry run"
    (world.folder / "gates" / "clips.json").unlink()
    small(world, [])
    assert report(world)["verdict"]["word"] == "Empty"


def test_the_estimate_of_the_plan_is_shown(tmp_path: Path) -> None:
    """Of a dry run first of all; a hostile or damaged plan is text, or nothing."""
    world = bare(tmp_path)
    told = ["Of 3 clips: 0 here, 3 to come from <b>origin</b> first.", "Disk: 7 GB\u202e; 1 TB is free."]
    plan = {"counts": {}, "jobs": {}, "dry_run": True, "estimate": {"sentences": told}}
    write_json(world.made.place.plan_file, plan)
    small(world, [], params={"dry_run": True})
    shown = [told[0], "Disk: 7 GB\\u202e; 1 TB is free.", "Trigger the DAG without “dry run” to fetch."]
    assert report(world)["verdict"]["next"][:3] == shown
    assert "from &lt;b&gt;origin&lt;/b&gt; first" in html(world) and "<b>origin" not in html(world)
    assert "Expected by the plan" not in html(world), "once is enough"
    write_json(world.made.place.plan_file, {**plan, "dry_run": False})
    small(world, [])
    assert "Expected by the plan" in html(world) and "from &lt;b&gt;origin&lt;/b&gt; first" in html(world)
    for estimate in (None, 3, [told], {"sentences": "all"}, {"sentences": {}}, {}):
        write_json(world.made.place.plan_file, {**plan, "dry_run": False, "estimate": estimate})
        small(world, [])
        assert report(world)["estimate"] == [] and "Expected by the plan" not in html(world)


def test_an_unknown_status_never_counts_as_present(tmp_path: Path) -> None:
    world = bare(tmp_path)
    rng = random.Random(3)
    rows = without_attempts(result_rows(catalog_rows(1, 4, rng), rng, NOW, "kinetics400", 1e-9))
    small(world, [row | {"status": "perfect", "reason": "brand_new"} for row in rows])
    total = report(world)["items"]["total"]
    assert (total["present"], total["failed"]) == (0, 4)


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


def test_a_failed_run_is_red_whatever_is_there(tmp_path: Path) -> None:
    """A step that failed after everything was recorded, and a stage that ended with an error."""
    world = bare(tmp_path)
    rng = random.Random(3)
    whole = without_attempts(result_rows(catalog_rows(2, 5, rng), rng, NOW, "kinetics400", 1e-9))
    write_json(world.folder / "gates" / "clips.json", gate_json("clips", "pass", check("clips.facts", "facts")))
    small(world, whole)
    assert report(world)["verdict"]["level"] == "good"
    write_json(
        world.folder / "resize" / "part-00000.result.json",
        {"exit": 10, "sentence": "There is no ffmpeg.", "counts": {}},
    )
    small(world, [*whole[:-1], whole[-1] | {"status": "missing", "reason": "private"}])
    verdict = report(world)["verdict"]
    assert (verdict["level"], verdict["word"]) == ("bad", "Failed")
    assert verdict["headline"] == "“resize” failed: 1 of 1 shard: There is no ffmpeg."
    assert verdict["wrong"][0].startswith("9 of 10 clips are here")
    note = {"part": "release", "sentence": "The disk is full.", "at": NOW.isoformat()}
    write_json(world.folder / "failures" / "release.json", note)
    (world.folder / "failures" / "torn.json").write_text("{")
    text = small(world, whole)
    assert report(world)["verdict"]["headline"] == "“release” failed: The disk is full."
    assert "release" in Page(text).text and ["release", "failed"] in [
        [s["name"], s["state"]] for s in report(world)["stages"]
    ]


def test_a_blocked_gate_is_listed_once_with_what_to_do(tmp_path: Path) -> None:
    """The headline tells the check; its other splits are in the table below, and the advice is what happens next."""
    world = bare(tmp_path)
    said = "5 of 6 clips are missing (83 %, at most 60 % allowed)."
    rng = random.Random(3)
    lost = [
        row | {"status": "missing", "reason": "private"}
        for row in without_attempts(result_rows(catalog_rows(2, 3, rng), rng, NOW, "kinetics400", 1e-9))
    ]
    checks = [
        check(
            "clips.coverage",
            "enough clips are there",
            success=False,
            scope=scope,
            sentence=said,
            advice="Add a mirror.",
        )
        for scope in ("all", "val")
    ]
    write_json(world.folder / "gates" / "clips.json", gate_json("clips", "block", *checks))
    small(world, lost)
    verdict = report(world)["verdict"]
    assert verdict["headline"] == f"Not usable yet, the gate “clips” blocked the run: {said}"
    assert not [sentence for sentence in verdict["wrong"] if "clips are missing" in sentence]
    assert verdict["next"][0] == "Add a mirror."


def test_the_page_says_what_to_do_about_each_check_also_of_one_that_is_unknown(tmp_path: Path) -> None:
    world = bare(tmp_path)
    known = [
        check(one.id, one.title, severity="warn", success=False, sentence="Some rows break this.", advice=one.advice)
        for one in catalogue().values()
    ]
    mine = check("mine.colours", "colours are mine", severity="warn", success=False, sentence="3 of 9 rows.")
    write_json(world.folder / "gates" / "clips.json", gate_json("clips", "warn", *known, mine))
    small(world, [])
    text = Page(html(world)).text
    assert [one.id for one in catalogue().values() if " ".join(one.advice.split()) not in " ".join(text.split())] == []
    assert "colours are mine" in text


def test_the_page_shows_when_the_crawl_was_stopped(tmp_path: Path) -> None:
    world = build(tmp_path, classes=2, per_class=3, earlier=0)
    assert "When the crawl was stopped" not in html(world)
    stop = {"at": NOW.isoformat(), "until": (NOW + timedelta(hours=6)).isoformat(), "closed": None, "reason": "bot_check",
            "why": HOSTILE, "evidence": HOSTILE, "todo": "Wait"}  # fmt: skip
    write_json(world.folder / "stops.json", {"left": 7, "stops": [stop]})
    write_report(world.spec, world.data, RUN, None, NOW)
    page = Page(html(world))
    assert "When the crawl was stopped" in page.text and "7 clips of this run were left unasked" in page.text
    assert page.tags["script"] == 0 and not page.handlers and not page.tables_without_caption


def test_parameters_that_are_zero_or_false_are_told_and_those_that_say_nothing_are_not(tmp_path: Path) -> None:
    world = bare(tmp_path)
    small(world, [], params={"margin": 0, "val_share": 0.0, "labels": False, "limit": None, "crops": "", "splits": []})
    assert dict(report(world)["params"]) == {"margin": "0", "val_share": "0.0", "labels": "false"}
