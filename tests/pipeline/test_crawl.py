"""One crawl for all data sets, in the plan: order, what others lack, since when answers are shared, the forecast."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from clipquarry.files import read_json, write_json
from clipquarry.ledger import Pace, Rates
from clipquarry.ledger.policy import RULES
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import Kind, RunContext, update_run_file
from clipquarry.pipeline.crawl import Crawl, forecast, gives_way, waits_of
from clipquarry.pipeline.estimate_text import sentences
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.publish import publish_release
from clipquarry.pipeline.stages import NothingInThisRun, run_stage
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot, Settings
from families.made_run import FINE, MadeRun, item_row, step_schema, write_manifest
from pipeline_world import empty_ledger

SPEC = """
schema: dataset-spec/v1
name: {name}
title: Lab
family: clips
task: action-recognition
root: {name}
access: {{kind: open}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", resized: "videos_{{split}}_256p", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [mp4]}}
labels: {{source: annotation, count: 1}}
splits: {{train: annotations/train.csv}}
sources: [{{id: youtube, kind: youtube, provides: items, content: video}}]
lists: {{videos: "{name}_{{split}}_list_videos.txt"}}
missing: {{warn: 1.0, error: 1.0}}
"""


def clip(video: int, start: int) -> Row:
    name = f"vid{video:08d}"
    place = {"clip": f"{name}_{start:06d}_{start + 10:06d}", "folder": "wave", "label": "wave", "index": 0}
    return {**item_row("train", name, start, start + 10, line=2, **place), **FINE}


TAKES = "sources: [{{id: others, kind: dataset, provides: items, content: video, dataset: {0}}}, {{id: youtube, "


class Labs:
    """Data sets with YouTube's ids in one data root; fetch is played."""

    def __init__(self, folder: Path) -> None:
        self.specs, self.data = folder / "specs", DataRoot(folder / "data")
        self.specs.mkdir()
        self.data.root.mkdir()
        (self.data.root / "ledger.sqlite").write_bytes(empty_ledger())
        url = f"sqlite:///{self.data.root}/ledger.sqlite"
        self.settings = Settings(self.data, url, dataset_folders=(self.specs,), egress="lab")

    def plan(
        self, name: str, run: str, rows: list[Row], *, takes: str = "", kind: Kind = "full", automatic: bool = False,
        **params: Any,
    ) -> RunContext:  # fmt: skip
        """A planned run; ``takes``: the data set whose clips are its first source."""
        text = SPEC.format(name=name)
        if takes:
            text = text.replace("sources: [{id: youtube, ", TAKES.format(takes))
        (self.specs / f"{name}.yaml").write_text(text)
        ctx = make_context(name, run, params, kind=kind, settings=self.settings, automatic=automatic)
        MadeRun(ctx.folder).catalog(rows)
        update_run_file(ctx, number=1, started=datetime.now(UTC).isoformat(), ended=None)
        with ctx.ledger() as ledger:
            ledger.sync_catalog(name, ctx.catalog, namespace="youtube")
        run_stage("plan", ctx)
        return ctx

    def fetch(self, ctx: RunContext, lost: dict[int, str], at: datetime | None = None) -> None:
        """Every clip comes, but for those of the lost videos; then the run is recorded."""
        when = (at or datetime.now(UTC)).isoformat()
        for job in run_stage("fetch_shards", ctx):
            done = []
            for row in read_rows(self.data.root / job["items"]):
                reason = lost.get(int(row["video_id"][3:]), "ok")
                tried = {"source": "youtube", "at": when, "reason": reason, "evidence": "", "seconds": 2.0, "bytes": 9}
                status = "done" if reason == "ok" else "missing"
                told = {"status": status, "reason": reason, "evidence": "", "key": "k", "attempts": [tried]}
                path = f"{ctx.spec.name}/videos_train/{row['clip_id']}.mp4"
                if reason == "ok":
                    (self.data.root / path).parent.mkdir(parents=True, exist_ok=True)
                    (self.data.root / path).write_bytes(b"123456789")
                    told |= {
                        "path": path,
                        "bytes": 9,
                        "duration": 10.0,
                        "sha256": hashlib.sha256(b"123456789").hexdigest(),
                    }
                done.append({**row, **told})
            write_manifest(self.data.root / job["out"], step_schema("fetch"), done)
        run_stage("record", ctx)
        update_run_file(ctx, ended=datetime.now(UTC).isoformat())

    def params(self, ctx: RunContext) -> dict[str, Any]:
        return dict(read_json(self.data.root / read_json(ctx.plan_file)["jobs"]["fetch"][0]["params"]))


@pytest.fixture
def labs(tmp_path: Path) -> Labs:
    return Labs(tmp_path)


def order(labs: Labs, ctx: RunContext) -> list[int]:
    jobs = read_json(ctx.plan_file)["jobs"]["fetch"]
    rows = [row for job in jobs for row in read_rows(labs.data.root / job["items"])]
    return [int(name[3:]) for name in dict.fromkeys(row["video_id"] for row in rows)]


def test_shards_are_in_the_order_of_the_questions(labs: Labs) -> None:
    rows = [clip(n, 0) for n in range(20)] + [clip(7, 20), clip(7, 40), clip(12, 20)]
    ctx = labs.plan("lab_a", "one", rows, shards=4)
    found = order(labs, ctx)
    assert found[:2] == [7, 12] and found[2:] == [n for n in range(20) if n not in (7, 12)]
    jobs = read_json(ctx.plan_file)["jobs"]["fetch"]
    sizes = [len({row["video_id"] for row in read_rows(labs.data.root / job["items"])}) for job in jobs]
    assert sizes == [5, 5, 5, 5], "all clips of a video are in one shard"


def test_a_refresh_gives_way_to_first_questions(labs: Labs) -> None:
    rows = [clip(1, 0), clip(2, 0), clip(3, 0)]
    before = datetime.now(UTC) - timedelta(days=40)
    labs.fetch(labs.plan("lab_a", "one", rows, as_of=before.isoformat()), {1: "unavailable", 3: "http_5xx"}, before)
    full = labs.plan("lab_b", "one", [clip(9, 0)])
    ctx = labs.plan("lab_a", "two", rows, kind="refresh")
    assert order(labs, ctx) == [3], "what failed for our reason is no second look"
    assert read_json(ctx.plan_file)["counts"]["gave_way"] == 1
    update_run_file(full, ended=datetime.now(UTC).isoformat())
    labs.fetch(full, {})
    assert order(labs, labs.plan("lab_a", "three", rows, kind="refresh")) == [3, 1]


def test_a_run_that_was_given_up_holds_nobody(labs: Labs) -> None:
    rows = [clip(1, 0)]
    before = datetime.now(UTC) - timedelta(days=40)
    labs.fetch(labs.plan("lab_a", "one", rows, as_of=before.isoformat()), {1: "unavailable"}, before)
    full = labs.plan("lab_b", "one", [clip(9, 0)])
    assert gives_way(make_context("lab_a", "two", {}, kind="refresh", settings=labs.settings))
    os.utime(full.plan_file, (0, 0))
    assert not gives_way(make_context("lab_a", "two", {}, kind="refresh", settings=labs.settings))
    assert order(labs, labs.plan("lab_a", "two", rows, kind="refresh")) == [1]


@pytest.mark.parametrize("why", ["it asks others", "nothing is due", "it started by itself", "it asks YouTube"])
def test_only_a_run_with_first_questions_of_a_person_holds_a_refresh(labs: Labs, why: str) -> None:
    rows = [clip(1, 0)]
    before = datetime.now(UTC) - timedelta(days=40)
    labs.fetch(labs.plan("lab_a", "one", rows, as_of=before.isoformat()), {1: "unavailable"}, before)
    if why == "nothing is due":
        labs.fetch(labs.plan("lab_c", "one", [clip(9, 0)]), {9: "private"})
    more: dict[str, Any] = {
        "it asks others": {"takes": "lab_a", "sources": ["others"]},
        "it started by itself": {"automatic": True},
    }.get(why, {})
    full = labs.plan("lab_b", "one", [clip(9, 0)], **more)
    holds = why == "it asks YouTube"
    assert gives_way(make_context("lab_a", "two", {}, kind="refresh", settings=labs.settings)) == holds
    assert bool(read_json(full.plan_file).get("automatic")) == (why == "it started by itself")


def test_a_refresh_that_asks_nothing_because_it_gives_way_says_so(labs: Labs) -> None:
    rows = [clip(1, 0), clip(2, 0)]
    before = datetime.now(UTC) - timedelta(days=40)
    annotations = {"splits": {"train": {"sha256": "a" * 64}}, "label_names": ["wave"]}
    first = labs.plan("lab_a", "one", rows, as_of=before.isoformat())
    write_json(first.folder / "catalog.json", annotations)
    labs.fetch(first, {1: "private"}, before)
    publish_release(first, lambda folder: write_json(folder / "made.json", []))
    write_json(labs.data.run("lab_a", "two") / "catalog.json", annotations)
    write_json(labs.data.run("lab_a", "three") / "catalog.json", annotations)
    later = (datetime.now(UTC) + timedelta(days=100)).isoformat()
    full = labs.plan("lab_b", "one", [clip(9, 0)])
    with pytest.raises(NothingInThisRun, match=r"due \(1 item\) waits for another data set's full run, and its newest"):
        labs.plan("lab_a", "two", rows, kind="refresh", as_of=later)
    told = read_json(labs.data.run("lab_a", "two") / "report/report.json")["verdict"]
    assert told["word"] == "Nothing asked" and "first questions bring more (1 clip);" in told["headline"]
    with pytest.raises(NothingInThisRun, match="What was due was left to a later refresh when this run was planned"):
        labs.plan("lab_a", "two", rows, kind="refresh", as_of=later)
    os.utime(full.plan_file, (0, 0))
    with pytest.raises(NothingInThisRun, match="Nothing of lab_a is due, and"):
        labs.plan("lab_a", "three", rows, kind="refresh")


def test_what_is_dead_by_another_data_set_is_not_asked(labs: Labs) -> None:
    labs.fetch(labs.plan("lab_a", "one", [clip(1, 0), clip(2, 0)]), {1: "private"})
    ctx = labs.plan("lab_b", "one", [clip(1, 50), clip(3, 0)])
    assert order(labs, ctx) == [3]
    (held,) = read_rows(ctx.place.held)
    assert held["reason"] == "private"
    assert order(labs, labs.plan("lab_b", "two", [clip(1, 50), clip(3, 0)], retry_all=True)) == [3, 1]


def test_what_others_lack_is_cut_by_who_asks(labs: Labs) -> None:
    rows = [clip(1, 0), clip(1, 30), clip(2, 0), clip(3, 0)]
    labs.fetch(labs.plan("lab_a", "one", rows), {1: "too_short"})
    ctx = labs.plan("lab_b", "one", [clip(1, 0), clip(1, 60), clip(3, 50)], retry_all=True)
    found = [(int(row["video_id"][3:]), row["start"] // 1_000_000) for row in read_rows(ctx.place.others)]
    assert found == [(1, 30)], "neither what lab_a has nor what lab_b asks for itself"
    assert read_json(ctx.plan_file)["estimate"]["for_others"] == {"lab_a": 1}
    assert labs.params(ctx)["others"].endswith("plan/others.parquet")
    told = read_json(ctx.plan_file)["estimate"]
    assert "Windows that are cut for other data sets from the same videos, at most: 1 of lab_a." in told["sentences"]
    (extra,) = [one for one in told["disk"] if one["kind"] == "for_others"]
    assert (extra["files"], extra["bytes"]) == (1, None), "nothing says how large a clip of lab_b is"
    later = read_json(labs.plan("lab_a", "two", [*rows, clip(1, 90)]).plan_file)["estimate"]
    assert later["for_others"] == {"lab_b": 2}, "video 3 is there, and is verified only"
    sizes = {one["kind"]: (one["files"], one["bytes"]) for one in later["disk"]}
    assert sizes["for_others"] == (2, 18), "at the rate of lab_a's clips"
    assert later["need"] == sum(size for _, size in sizes.values())
    assert pq.read_table(ctx.place.others)["recipe"][0].as_py().startswith('{"audio"')


def test_what_an_open_run_wants_counts_as_lacking(labs: Labs) -> None:
    labs.plan("lab_a", "one", [clip(1, 0), clip(9, 0)])
    labs.plan("lab_c", "one", [clip(1, 90)], dry_run=True)
    ctx = labs.plan("lab_b", "one", [clip(1, 60)])
    assert read_json(ctx.plan_file)["estimate"]["for_others"] == {"lab_a": 1}


def test_a_damaged_table_of_another_data_set_stops_no_plan(labs: Labs) -> None:
    """Its own run says what is wrong with it; what else is lacked is found."""
    broken = labs.plan("lab_a", "one", [clip(1, 0)])
    broken.place.wanted.write_bytes(b"PAR1 and no more")
    labs.plan("lab_c", "one", [clip(1, 90)])
    ctx = labs.plan("lab_b", "one", [clip(1, 60)])
    assert read_json(ctx.plan_file)["estimate"]["for_others"] == {"lab_c": 1}


def test_nothing_is_written_where_nobody_else_wants_anything(labs: Labs) -> None:
    ctx = labs.plan("lab_a", "one", [clip(1, 0)])
    assert not ctx.place.others.exists() and "others" not in labs.params(ctx)


def test_answers_of_runs_that_are_not_over_count(labs: Labs) -> None:
    begun = datetime.now(UTC).timestamp()
    labs.fetch(labs.plan("lab_a", "zero", [clip(1, 0)]), {})
    labs.plan("lab_a", "one", [clip(1, 0), clip(2, 0)])
    labs.plan("lab_a", "look", [clip(1, 0)], dry_run=True)
    told = labs.params(labs.plan("lab_b", "one", [clip(1, 50)]))["answers"]
    assert (told["run"], told["unrecorded"]) == ("lab_b/one", ["lab_a/one"])
    assert begun < told["since"] < datetime.now(UTC).timestamp()
    assert told["waits"]["private"] == told["first_waits"]["private"] == timedelta(days=90).total_seconds()
    days = [told[name]["unavailable"] / 86_400 for name in ("first_waits", "waits")]
    assert days == [1, 30], "an answer that the ledger may never hear of holds as a first one"
    forced = labs.params(labs.plan("lab_b", "two", [clip(1, 50)], retry_all=True))["answers"]
    assert forced["unrecorded"] == [], "a person asks for all"


def test_only_answers_about_the_whole_video_are_shared() -> None:
    shared = {reason for reason in Reason if waits_of(reason)}
    assert shared == {reason for reason in Reason if RULES[reason].subject == "video"}
    found = waits_of(Reason.UNAVAILABLE)
    assert (found[0], found[-1]) == (timedelta(days=1), timedelta(days=30))
    assert waits_of(Reason.GEO) == (timedelta(days=365),), "never from this egress"


def test_the_plan_tells_what_is_shared_and_how_long_it_takes(labs: Labs) -> None:
    labs.fetch(labs.plan("lab_a", "one", [clip(1, 0), clip(2, 0)]), {1: "private"})
    ctx = labs.plan("lab_b", "one", [clip(1, 50), clip(2, 0), clip(3, 0)])
    told = read_json(ctx.plan_file)["estimate"]
    assert told["shared"] == [{"dataset": "lab_a", "videos": 2, "clips": 1, "there": 1}]
    assert "Shared with other data sets here: lab_a 2 videos (and 1 clip that this one lacks)." in told["sentences"]
    (days,) = [one for one in told["sentences"] if one.startswith("The crawl:")]
    assert "(the budget, all day); how many clips come is unknown before the first questions." in days


def test_the_plan_says_which_data_set_has_a_clip_on_disk(labs: Labs) -> None:
    labs.fetch(labs.plan("lab_a", "one", [clip(1, 0), clip(2, 0)]), {})
    for path in (labs.data.root / "lab_a/videos_train").glob("*.mp4"):
        (path.parent / "wave").mkdir(exist_ok=True)
        path.rename(path.parent / "wave" / path.name)
    ctx = labs.plan("lab_b", "one", [clip(1, 2), clip(1, 0), clip(3, 0)], takes="lab_a")
    told = read_json(ctx.plan_file)["estimate"]
    places = {(one["place"], one["name"]): one["items"] for one in told["items"]}
    assert places == {("folders", "lab_a"): 1, ("source", "youtube"): 2}
    assert "1 in local folders (1 of lab_a)" in told["sentences"][0]


def test_the_forecast_of_a_large_data_set() -> None:
    """Kinetics-700's, as its owner would like to read it."""
    fresh = forecast(583_200, 300, Crawl(), None, 1)
    assert (fresh["days"], fresh["days_with_all"], fresh["pace"]) == (81, 27, None)
    rates = Rates({(None, 0): (10_000, 8_000)})
    slow = forecast(583_200, 300, Crawl(rates=rates, pace=Pace(36_000, 10)), 460_000.0, 1)
    assert (slow["days"], slow["days_with_all"], slow["clips"]) == (162, 54, 460_000.0)
    fast = forecast(583_200, 300, Crawl(rates=rates, pace=Pace(100_000, 10)), None, 5)
    assert (fast["days"], fast["egresses"]) == (81, 5), "no pace is faster than the budget"
    youtube = {"requests": 583_200, "per_hour": 300, "hours": 1944.0, "download_hours": None, "forecast": slow}
    told = {
        "noun": "clip", "selected": 1, "items": [], "fetch": [], "youtube": youtube, "disk": [], "disks": [],
        "shared": [], "complete": True,
    }  # fmt: skip
    assert (
        "The crawl: 162 days with one egress, 54 days with 3, at 3,600 questions a day for each (from 36,000 on 10 busy days); "
        "about 460,000 clips (80% of 10,000 questions brought bytes)."
    ) in sentences(told)
