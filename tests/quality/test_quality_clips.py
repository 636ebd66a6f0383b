"""The gate ``clips``: what it catches, and that a clean run is clean."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from clipquarry.errors import Exit, GateBlocked, ManifestError
from clipquarry.manifest import ManifestWriter, read_table
from clipquarry.pipeline.gates import catalogue, run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult
from clipquarry.reasons import Reason, Status
from quality_world import World, broken, ids, make_spec


def test_clean_run_passes_every_check(world: World) -> None:
    result = world.gate("clips")
    assert (result.verdict, broken(result)) == ("pass", {})
    assert {check.id for check in result.checks if check.skipped} == {
        "clips.height",
        "archives.read",
        "archives.refused",
    }


def test_seeded_clips_are_all_named(world: World) -> None:
    rows = world.recorded
    rows[0]["duration"] = 9.499  # truncated
    rows[1]["duration"] = 10.501
    rows[2]["duration"], rows[3]["duration"] = 9.5, 10.5  # at the tolerance
    rows[4]["frames"], rows[5]["bytes"], rows[6]["width"], rows[7]["height"] = 0, 0, None, 0
    rows[8]["sha256"] = rows[9]["sha256"]
    rows[10]["path"] = rows[10]["path"].replace("000", "001", 1)
    rows[11]["sha256"] = rows[11]["sha256"].upper() + "\n"
    rows[12]["duration"] = None
    found = broken(world.gate("clips", GateParams(short_error=0.5)))
    expected = {
        "clips.longer": [1], "clips.facts [frames]": [4], "clips.facts [bytes]": [5], "clips.facts [width]": [6],
        "clips.facts [height]": [7], "clips.duplicate_content": [8, 9], "clips.path": [10], "clips.sha256": [11],
        "clips.facts [duration]": [12], "clips.shorter": [0, 12], "clips.on_disk": [8, 10],
    }  # fmt: skip
    assert {name: ids(check) for name, check in found.items()} == {
        name: [rows[index]["item_id"] for index in indices] for name, indices in expected.items()
    }
    warnings = {"clips.longer", "clips.shorter", "clips.duplicate_content"}
    assert {check.id for check in found.values() if check.severity == "warn"} == warnings


def test_a_tolerance_is_kept_at_the_border_whatever_binary_fractions_say(world: World) -> None:
    world.spec = make_spec(recipe={"duration_tolerance": 0.3})
    for row, duration in zip(world.recorded, (10.3, 9.7, 10.300001, 9.699999), strict=False):
        row["duration"] = duration
    found = broken(world.gate("clips"))
    assert ids(found["clips.longer"]) == [world.recorded[2]["item_id"]]
    assert ids(found["clips.shorter"]) == [world.recorded[3]["item_id"]]


def test_many_short_clips_block(world: World) -> None:
    for row in world.recorded[:5]:
        row["duration"] = 7.0
    assert broken(world.gate("clips", GateParams(short_error=0.25)))["clips.shorter"].severity == "warn"
    assert broken(world.gate("clips", GateParams(short_error=0.2499)))["clips.shorter"].severity == "error"


@pytest.mark.parametrize(("check", "seconds"), [("clips.longer", 4.4), ("clips.shorter", -4.4)])
def test_no_single_clips_length_blocks_and_a_share_does(world: World, check: str, seconds: float) -> None:
    strict = GateParams(short_error=0.0, long_error=0.0)
    world.recorded[0]["duration"] += seconds
    assert (world.gate("clips", strict).verdict, list(broken(world.gate("clips", strict)))) == ("warn", [check])
    for index in range(1, 20):
        world.lose(index, Reason.REMOVED)
    world.spec = make_spec(missing={"warn": 1.0, "error": 1.0})
    alone = broken(world.gate("clips", strict))  # the only clip that is there
    assert {name: one.severity for name, one in alone.items()} == {check: "warn"}


def test_two_long_clips_block_above_the_share(world: World) -> None:
    for row in world.recorded[:2]:
        row["duration"] = 14.4
    assert broken(world.gate("clips", GateParams(long_error=0.1)))["clips.longer"].severity == "warn"
    assert broken(world.gate("clips", GateParams(long_error=0.09)))["clips.longer"].severity == "error"


def test_clips_that_fetch_threw_away_as_too_short_are_seen(world: World) -> None:
    lost = [world.lose(n, Reason.TOO_SHORT, evidence="7.00 s where 10 s were wanted") for n in range(5)]
    check = broken(world.gate("clips", GateParams(short_error=0.25)))["clips.shorter"]
    assert (ids(check), check.severity, check.checked) == (lost, "warn", 20)
    assert broken(world.gate("clips", GateParams(short_error=0.2)))["clips.shorter"].severity == "error"


def test_heights_below_what_was_asked(world: World) -> None:
    world.write()
    table = read_table(world.run_dir / "recorded.parquet")
    asked = [None] * 10 + [32] * 8 + [720, 33]  # clips have 32 lines; of half of them nothing was asked
    at = table.schema.get_field_index("asked_height")
    table = table.set_column(at, table.schema.field(at), pa.array(asked, pa.int32()))
    with ManifestWriter(world.run_dir / "recorded.parquet", table.schema) as writer:
        writer.write_table(table)

    def height(share: float) -> CheckResult:
        result = run_gate("clips", world.spec, world.run_dir, world.data, GateParams(low_warn=share))
        return next(check for check in result.checks if check.id == "clips.height")

    found = height(0.19)
    assert (found.success, found.severity, found.checked, found.unexpected) == (False, "warn", 10, 2)
    assert found.worst[0]["asked_height"] == 720 and height(0.2).success


@pytest.mark.parametrize(
    ("warn", "error", "verdict"), [(0.5, 0.6, "pass"), (0.49, 0.5, "warn"), (0.1, 0.49, "block"), (0.0, 0.0, "block")]
)
def test_coverage_at_the_exact_borders(world: World, warn: float, error: float, verdict: str) -> None:
    lost = [world.lose(index, Reason.REMOVED) for index in (12, 13, 14)]  # 3 of the 6 of val
    world.spec = make_spec(missing={"warn": warn, "error": error})
    result = world.gate("clips")
    assert result.verdict == verdict
    checks = {check.name: check for check in result.checks}
    val = checks["clips.coverage [val]"]
    assert (val.checked, val.unexpected, val.share, ids(val)) == (6, 3, 0.5, lost)
    assert val.thresholds == {"warn": warn, "error": error}
    assert (checks["clips.coverage [all]"].unexpected, checks["clips.coverage [train]"].unexpected) == (3, 0)
    rows = result.path.with_name(result.rows_file).read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == lost  # once, not again for all splits


@pytest.mark.parametrize("missing", range(1, 21))
def test_a_share_of_exactly_the_threshold_never_counts(missing: int) -> None:
    import pandas as pd
    from clipquarry.quality.engine import Engine, Rule, Suite

    table = pd.DataFrame({"item_id": [str(n) for n in range(20)], "there": [n >= missing for n in range(20)]})
    at, below = round(missing / 20, 2), round(missing / 20 - 0.01, 2)
    column = {"column": "there", "value_set": [True]}
    rules = [Rule("clips.coverage", "ExpectColumnValuesToBeInSet", column, str(x), max_share=x) for x in (at, below)]
    first, second = (finding.result for finding in Engine(catalogue()).run(Suite("border", table, rules)))
    assert (first.success, second.success) == (True, False)


def test_rejected_rows_do_not_count_as_missing(world: World) -> None:
    for index in (12, 13):
        world.lose(index, Reason.BAD_TIME, status=Status.REJECTED)
    result = world.gate("clips")
    val = next(check for check in result.checks if check.name == "clips.coverage [val]")
    assert (val.checked, val.unexpected, result.verdict) == (4, 0, "pass")


def test_losses_are_told_apart(world: World) -> None:
    stale, page, asked = (
        world.lose(0, Reason.TOOL_STALE, status=Status.FAILED, evidence="n challenge failed"),
        world.lose(1, Reason.NOT_A_VIDEO, evidence="<!DOCTYPE html>"),
        world.lose(2, Reason.BOT_CHECK, evidence="Sign in to confirm you’re not a bot"),
    )
    result = world.gate("clips")
    found = broken(result)
    assert {name: ids(check) for name, check in found.items()} == {
        "clips.our_fault": [stale], "clips.wrong_bytes": [page], "clips.stopped": [asked]
    }  # fmt: skip
    assert result.verdict == "warn" and found["clips.our_fault"].severity == "warn"
    assert found["clips.wrong_bytes"].worst[0]["evidence"] == "<!DOCTYPE html>"
    blocked = world.gate("clips", GateParams(our_fault_error=0.049))
    assert blocked.blocked and broken(blocked)["clips.our_fault"].severity == "error"


def test_an_html_page_recorded_as_a_clip_is_caught(world: World) -> None:
    world.recorded[0] |= {"duration": None, "frames": None, "width": None, "height": None}
    found = broken(world.gate("clips"))
    name = world.recorded[0]["item_id"]
    assert all(ids(found[f"clips.facts [{fact}]"]) == [name] for fact in ("duration", "frames", "width", "height"))


def test_missing_without_reason_or_evidence_and_present_with_one(world: World) -> None:
    silent = world.lose(0, Reason.REMOVED, evidence=" ")
    fine = world.lose(1, Reason.OK, evidence="nothing wrong")
    odd = world.recorded[2]
    odd["reason"] = "removed"
    world.recorded[3] |= {"status": "vanished", "reason": "aliens", "evidence": "lights"}
    found = broken(world.gate("clips"))
    assert ids(found["clips.explained"]) == [silent, fine, odd["item_id"]]
    assert ids(found["clips.words [status]"]) == ids(found["clips.words [reason]"]) == [world.recorded[3]["item_id"]]


def test_lost_doubled_and_foreign_results(world: World) -> None:
    lost = world.recorded.pop(0)["item_id"]
    twice = world.recorded[0]["item_id"]
    world.recorded.append(dict(world.recorded[0]))
    foreign = dict(world.recorded[1])
    foreign["item_id"] = "train/abseiling/zzzzzzzzzzz_000001_000011"
    world.recorded.append(foreign)
    found = broken(world.gate("clips"))
    assert {row["item_id"]: row["results"] for row in found["clips.one_row"].worst} == {lost: 0, twice: 2}
    assert ids(found["clips.in_catalog"]) == [foreign["item_id"]]


def test_a_run_that_selected_nothing_only_warns(world: World) -> None:
    world.recorded, world.plan, world.resized, world.frames = [], [], [], []
    result = world.gate("clips")
    assert (result.verdict, list(broken(result))) == ("warn", ["clips.selected"])
    assert world.gate("frames").verdict == "pass"


def test_nothing_there_at_all_blocks_with_one_sentence(world: World) -> None:
    lost = [world.lose(index, Reason.NO_NETWORK, evidence="no route to host") for index in range(20)]
    result = world.gate("clips")
    error = result.error()
    assert isinstance(error, GateBlocked) and error.exit_code is Exit.BLOCKED
    text = str(error)
    assert (
        "'clips' blocks: clips.coverage [all]" in text
        and "20 of 20 clips are missing (100 %" in text
        and lost[0] in text
    )
    assert str(result.path.with_name("clips.rows.csv")) in text and "\n" not in text


def test_hostile_evidence_is_data(world: World) -> None:
    evil = "</script><img src=x onerror=alert(1)>\r\n=HYPERLINK(1)\x00\u202e\U0001f600" + "A" * 5000
    name = world.lose(12, Reason.TRANSPORT, evidence=evil)
    world.spec = make_spec(missing={"warn": 0.0, "error": 1.0})
    result = world.gate("clips")
    shown = broken(result)["clips.coverage [val]"].worst[0]["evidence"]
    assert shown.startswith("</script>") and len(shown) == 301
    assert json.loads(result.path.read_text())["verdict"] == "warn"
    lines = result.path.with_name(result.rows_file).read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"{name},clips.coverage,val,warn,")


def test_damaged_and_absent_tables_are_one_sentence(world: World) -> None:
    world.write()
    recorded = world.run_dir / "recorded.parquet"
    for content in (b"", b"<html>", recorded.read_bytes()[:200]):
        recorded.write_bytes(content)
        with pytest.raises(ManifestError, match=r"recorded\.parquet"):
            run_gate("clips", world.spec, world.run_dir, world.data, GateParams())
    recorded.unlink()
    with pytest.raises(ManifestError, match="no manifest"):
        run_gate("clips", world.spec, world.run_dir, world.data, GateParams())
    recorded.write_bytes((world.run_dir / "catalog.parquet").read_bytes())
    with pytest.raises(ManifestError, match="not a whole recorded manifest"):
        run_gate("clips", world.spec, world.run_dir, world.data, GateParams())
    assert list((world.run_dir / "gates").iterdir()) == []  # nothing half-written
