"""What the report says of a run: the verdict, what is wrong, and what to do next, at any point of the run."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

from clipquarry.files import write_json
from clipquarry.pipeline.gates import catalogue
from clipquarry.pipeline.reporting import write_report
from report_fixture import (
    NOW,
    RUN,
    build,
    catalog_rows,
    check,
    gate_json,
    result_rows,
    without_attempts,
    write_gates,
    write_run_files,
)
from report_pages import HOSTILE, Page, bare, html, report, small, written


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
