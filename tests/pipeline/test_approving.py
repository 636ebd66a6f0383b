"""A gate that does not hold is released by a person, on the command line; and what nobody may release."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from clipquarry.approvals import read_approval
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.approving import asked_about, question
from clipquarry.pipeline.params import RunParams
from clipquarry.pipeline.summary import run_summary
from clipquarry.quality.results import CheckResult, GateResult, load_result
from clipquarry.release.lock import open_lock
from clipquarry.run_documents import verdicts
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot

DATASET = "kinetics_demo"
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data")


@pytest.fixture
def clipquarry(demo_origin: Origin, data: DataRoot) -> Iterator[Command]:
    """``clipquarry …`` over a source from which most clips have gone."""
    demo_origin.set_plan({"videos/*": "404", "clips/*": "404"})
    environment = {"CLIPQUARRY_DATA": str(data.root), "CLIPQUARRY_DEMO_URL": demo_origin.url, "NO_PROXY": "127.0.0.1"}

    def call(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, words, env=environment)
        return done.exit_code, done.output

    yield call


def lock_header(data: DataRoot, run: str) -> dict[str, Any]:
    path = data.release(DATASET) / run / f"{DATASET}.lock"
    value: dict[str, Any] = json.loads(path.read_text().splitlines()[0])
    return value


def test_a_person_releases_all_the_same(
    clipquarry: Command, data: DataRoot, demo_origin: Origin, tmp_path: Path
) -> None:
    run = ("run", DATASET, "--run", "one", "--limit", "2", "--split", "val", "--set", "approve_gates=blocked")
    code, output = clipquarry(*run)
    assert code == Exit.BLOCKED, output
    assert f"clipquarry approve {DATASET} clips --run one --because TEXT" in output
    assert run_summary(data, DATASET, "one")["gates"]["clips"] == "asked"
    folder = data.run(DATASET, "one")
    assert "has not answered yet" in (folder / "report/index.html").read_text()
    asked = demo_origin.asked.total()

    for reason in ("", "  \n "):
        code, output = clipquarry("approve", DATASET, "clips", "--because", reason)
        assert code == Exit.USAGE and "An answer needs a reason" in output
    because = "the lab agreed <b>today</b>\x1b[31m"
    code, output = clipquarry("approve", DATASET, "clips", "--because", because)
    assert code == Exit.OK, output
    user = getpass.getuser()
    assert f"{user} released all the same at " in output and f"clipquarry run {DATASET} --run one" in output
    code, output = clipquarry("approve", DATASET, "clips", "--because", "again")
    assert code == Exit.USAGE and f"Nothing to do: {user} released" in output

    code, output = clipquarry(*run)
    assert code == Exit.OK, output
    assert demo_origin.asked.total() == asked, "what is finished is not asked for again"
    (entry,) = lock_header(data, "one")["approved"]
    assert (entry["gate"], entry["by"]) == ("clips", user)
    assert entry["because"] == "the lab agreed <b>today</b>\N{REPLACEMENT CHARACTER}[31m"
    assert entry["checks"] and all(name.startswith("clips.coverage") for name in entry["checks"])
    summary = run_summary(data, DATASET, "one")
    assert (summary["blocked"], summary["gates"]["clips"]) == (False, "approved")
    assert f"The gate 'clips' did not hold: {user} released all the same" in summary["sentence"]
    page = (folder / "report/index.html").read_text()
    assert "Approved" in page and f"{user} released all the same" in page
    assert "&lt;b&gt;today&lt;/b&gt;" in page and "<b>today</b>" not in page
    line = read_json(folder / "report/summary.json")
    assert (line["word"], line["gates"]["clips"]) == ("Approved", "approved") and user in line["headline"]
    with open_lock(data.release(DATASET) / "one" / f"{DATASET}.lock") as lock:
        assert list(lock.header.approved) == [entry]


def test_an_answer_is_about_one_verdict(clipquarry: Command, data: DataRoot, demo_origin: Origin) -> None:
    run = ("run", DATASET, "--run", "one", "--limit", "2", "--split", "val", "--set", "approve_gates=blocked")
    assert clipquarry(*run)[0] == Exit.BLOCKED
    assert clipquarry("approve", DATASET, "clips", "--because", "two are gone")[0] == Exit.OK
    before = read_approval(RunFolder(data.run(DATASET, "one")), "clips")
    more = [word if word != "2" else "3" for word in run]  # another plan: one more is gone
    code, output = clipquarry(*more)
    assert code == Exit.BLOCKED, output
    after = read_approval(RunFolder(data.run(DATASET, "one")), "clips")
    assert before is not None and after is not None
    assert (before.answer, after.answer) == ("release", "") and before.fingerprint != after.fingerprint
    assert not (data.release(DATASET) / "one").exists()


def test_never_is_never(clipquarry: Command, data: DataRoot) -> None:
    code, output = clipquarry("run", DATASET, "--run", "one", "--limit", "2", "--split", "val")
    assert code == Exit.BLOCKED and "approve" not in output
    code, output = clipquarry("release", DATASET)
    assert code == Exit.USAGE and "the gate 'clips' does not hold, so nothing is released" in output
    assert not (data.release(DATASET) / "one").exists()
    code, output = clipquarry("approve", DATASET, "clips", "--because", "please")
    assert code == Exit.USAGE and "takes no approvals" in output
    assert not RunFolder(data.run(DATASET, "one")).approvals()
    code, output = clipquarry("approve", DATASET, "colour", "--because", "please")
    assert code == Exit.USAGE and "There is no gate 'colour'" in output
    code, output = clipquarry("run", DATASET, "--set", "approve_above=0.5", "--set", "approve_gates=blocked")
    assert code == Exit.USAGE and "'approve_above' does nothing in this run" in output


def test_an_approval_of_a_run_that_no_longer_takes_any_is_void(clipquarry: Command, data: DataRoot) -> None:
    run = ("run", DATASET, "--run", "one", "--limit", "2", "--split", "val")
    assert clipquarry(*run, "--set", "approve_gates=blocked")[0] == Exit.BLOCKED
    assert clipquarry("approve", DATASET, "clips", "--because", "two are gone")[0] == Exit.OK
    assert clipquarry(*run)[0] == Exit.BLOCKED
    assert verdicts(RunFolder(data.run(DATASET, "one")))["clips"] == "block"


def test_a_warning_is_asked_about_too(clipquarry: Command, data: DataRoot, demo_origin: Origin) -> None:
    demo_origin.set_plan({})
    run = ("run", DATASET, "--run", "one", "--limit", "1", "--split", "val", "--set", "approve_gates=warned", "--set")
    code, output = clipquarry(*run, "approve_above=0.02")
    assert code == Exit.BLOCKED and "The gate 'annotations' warns: annotations.rejected" in output
    page = (data.run(DATASET, "one") / "report/index.html").read_text()
    assert "Not released, the gate “annotations” did not hold: 1 of 29 csv rows" in page
    assert clipquarry("approve", DATASET, "annotations", "--because", "one hostile row")[0] == Exit.OK
    code, output = clipquarry(*run, "approve_above=0.02")
    assert code == Exit.OK, output
    assert [one["gate"] for one in lock_header(data, "one")["approved"]] == ["annotations"]
    code, output = clipquarry(*[word if word != "one" else "two" for word in run], "approve_above=0.9")
    assert code == Exit.OK, output
    assert "approved" not in lock_header(data, "two")


def check(
    name: str, severity: str, *, approvable: bool = True, share: float = 0.5, success: bool = False
) -> CheckResult:
    return CheckResult(
        name,
        "title",
        severity,
        success,
        share=share,
        checked=10,
        unexpected=5,
        approvable=approvable,
        sentence="5 of 10.",
    )  # type: ignore[arg-type]


def result(*checks: CheckResult, fingerprint: str = "f" * 64) -> GateResult:
    return GateResult(
        "clips", "d", "r", "", "", 0, checks, 0, "clips.rows.csv", Path("gates/clips.json"), fingerprint=fingerprint
    )


@pytest.mark.parametrize(
    ("params", "checks", "asked"),
    [
        ({}, [check("a", "error")], ""),
        ({"approve_gates": "blocked"}, [check("a", "error"), check("b", "warn")], "a"),
        ({"approve_gates": "blocked"}, [check("b", "warn")], ""),
        ({"approve_gates": "blocked"}, [check("a", "error"), check("c", "error", approvable=False)], ""),
        ({"approve_gates": "warned"}, [check("b", "warn"), check("a", "error")], "ab"),
        ({"approve_gates": "warned"}, [check("b", "warn"), check("c", "error", approvable=False)], ""),
        ({"approve_gates": "warned", "approve_above": 0.5}, [check("b", "warn")], ""),
        ({"approve_gates": "warned", "approve_above": 0.4}, [check("b", "warn"), check("i", "info")], "b"),
        ({"approve_gates": "warned"}, [check("a", "error", success=True), check("i", "info")], ""),
    ],
)
def test_what_a_person_is_asked_about(params: dict[str, Any], checks: list[CheckResult], asked: str) -> None:
    assert "".join(one.name for one in asked_about(result(*checks), RunParams(**params))) == asked


def test_a_result_of_an_earlier_version_is_not_asked_about() -> None:
    assert asked_about(result(check("a", "error"), fingerprint=""), RunParams(approve_gates="blocked")) == ()


def test_what_is_damaged_is_never_released(clipquarry: Command, data: DataRoot, demo_origin: Origin) -> None:
    demo_origin.set_plan({})
    run = ("run", DATASET, "--run", "one", "--limit", "2", "--split", "val", "--set", "approve_gates=blocked")
    code, output = clipquarry(*run)
    assert code == Exit.OK, output
    assert "approved" not in lock_header(data, "one"), "only where somebody released"
    clip = next(data.dataset(DATASET).glob("videos_val/*/*.mp4"))
    content = clip.read_bytes()
    clip.unlink()  # the store has the same file by another name
    clip.write_bytes(content[: len(content) // 2])
    code, output = clipquarry("stage", "gate_clips", DATASET, "--run", "one")
    assert code == Exit.BLOCKED, output
    assert "Nobody can approve this: clips.on_disk" in output
    code, output = clipquarry("approve", DATASET, "clips", "--because", "please")
    assert code == Exit.USAGE and "asks nothing about the gate 'clips'" in output


def test_the_question_shows_the_verdict_and_no_label_can_change_it(clipquarry: Command, data: DataRoot) -> None:
    run = ("run", DATASET, "--run", "one", "--limit", "2", "--split", "val", "--set", "approve_gates=blocked")
    assert clipquarry(*run)[0] == Exit.BLOCKED
    place = RunFolder(data.run(DATASET, "one"))
    asked = read_approval(place, "clips")
    assert asked is not None
    value = read_json(place.gate("clips"))
    broken, *_ = [one for one in value["checks"] if one["id"] == "clips.coverage" and not one["success"]]
    broken["worst"][0]["item_id"] = "`[x](javascript:alert(1))\u202e"
    broken["title"] = "**bold** <script>"
    write_json(place.gate("clips"), value)
    text = question(load_result(place.gate("clips")), asked)
    assert "2 of 2" in text and "clips.coverage" in text and "\\<script\\>" in text
    assert "`'[x](javascript:alert(1))\\u202e`" in text
