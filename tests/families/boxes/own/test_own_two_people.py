"""Two annotators of each crop: a run waits for both and for what is settled, says how far they agree, and releases what came out."""

from __future__ import annotations

import csv
import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from box_world import BoxWorld
from clipquarry.datasets.load import find_spec
from clipquarry.errors import UserError, WaitUntil
from clipquarry.families.boxes.own.label_page import PROJECT
from clipquarry.families.boxes.own.labels import read_labels
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.sample import SAMPLE
from clipquarry.labelling.operations import CLIP, Operation, Write
from clipquarry.labelling.project import Project
from clipquarry.labelling.two_people import compare
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.run import run_all
from clipquarry.pipeline.stages import run_stage
from clipquarry.release.lock import open_lock
from clipquarry.settings import DataRoot

PARAMS: dict[str, Any] = {"shards": 1, "fps": 10, "margin": 1, "labels": True, "proposals": "none", "annotators": 2}
STAND, WALK, WATCH = (Write("", "labels/1", ("0",)), Write("", "labels/1", ("1",)), Write("", "labels/2", ("0",)))
LEFT, RIGHT = (4.0, 4.0, 20.0, 40.0), (60.0, 4.0, 20.0, 40.0)


def submit(project: Project, clip: str, seat: str, who: str, *writes: Write) -> None:
    name, base = uuid.uuid4().hex, project.open(clip, seat).seq
    answer = project.submit(clip, seat, who, [Operation(name, name, base, "label", writes)], base)
    assert answer.kept and not answer.refused


def label(project: Project, clip: str, who: str, seat: str, *, otherwise: bool = False) -> None:
    """On each frame one stands and watches on the left, and one walks on the right; ``otherwise`` that one stands in the first frame of clip 1."""
    assert project.take(who, clip) == (clip, seat)
    for at, frame in enumerate(project.material(clip).clip.frames):
        for track, (box, actions) in enumerate(((LEFT, (STAND, WATCH)), (RIGHT, (WALK,))), 1):
            if otherwise and (clip, at, box) == ("1", 0, RIGHT):
                actions = (STAND,)
            name = f"{who}-{at}-{track}"
            submit(
                project, clip, seat, who, Write(name, "frame", frame.name), Write(name, "box", box), Write(name, "track", track),
                *(replace(one, region=name) for one in actions),
            )  # fmt: skip
    submit(project, clip, seat, who, Write(CLIP, "done", True))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def run(data: DataRoot, name: str, **more: Any) -> RunContext:
    return BoxWorld(data.root).context(SAMPLE.dataset, name, **{**PARAMS, **more})


def states(ctx: RunContext) -> dict[str, str]:
    return {row["name"]: row["state"] for row in rows_of(OwnFiles(ctx.folder).label_crops)}


def why(ctx: RunContext) -> dict[str, str]:
    return {row["where"]: row["why"] for row in rows_of(OwnFiles(ctx.folder).label_problems)}


@pytest.mark.slow
def test_two_people_label_and_what_they_settled_is_released(data: DataRoot) -> None:
    one = run(data, "one")
    with pytest.raises(UserError, match=r"3 of 3 crops are not labelled by two people \(3 wait for both\)") as said:
        run_all(one)
    assert "_finish.json" not in str(said.value) and "VIA" not in str(said.value)
    assert "the first has 0 of 0 boxes with an action, the second 0 of 0" in why(one)["crop 1"]
    project = Project(data.labelling(SAMPLE.dataset, PROJECT))
    assert project.plan.annotators == 2 and "two people label each clip on their own" in project.plan.guide

    for clip in ("1", "door_1"):
        label(project, clip, "anna", "first")
    label(project, "door_1", "ben", "second")
    with pytest.raises(WaitUntil) as waits:
        run_stage("labels", run(data, "one", label_days=30))
    told = "(1 wait for both, 1 for the second, 1 to be compared and settled)"
    assert told in str(waits.value) and waits.value.page == "/clipquarry-labelling/p/custom_ava/labels/"
    assert states(one) == {"1": "labelled by one", "door_1": "to settle", "3": "waiting"}
    assert "waits for the second, who has 0 of 0 boxes" in why(one)["crop 1"]
    assert "compare" in why(one)["crop door_1"]
    assert {row["clips"] for row in rows_of(OwnFiles(one.folder).agreement)} == {"1"}, "so far"

    label(project, "1", "ben", "second", otherwise=True)
    label(project, "3", "ben", "first")
    label(project, "3", "anna", "second")
    for clip in project.clips:
        compare(project, clip)
    with pytest.raises(
        UserError, match=r"1 of 3 crops .* \(1 to be compared and settled\): .* settled on the page \(X\): 1 left"
    ):
        read_labels(one)
    (conflict,) = project.open("1", "agreed").conflicts()
    assert [value.by for value in conflict.values] == ["anna", "ben"]
    submit(project, "1", "agreed", "carla", Write(conflict.region, conflict.field, ("0",), True))  # as ben says
    with pytest.raises(UserError, match="nobody says that it is done"):
        read_labels(one)
    submit(project, "1", "agreed", "carla", Write(CLIP, "done", True))

    summary = run_all(one)
    assert summary["gates"]["labels"] in ("pass", "warn")
    release = data.release(SAMPLE.dataset) / "one"
    of_clip = [row for row in rows_of(release / "labels.csv") if row["name"] == "1" and row["second"] == "1"]
    assert sorted((row["action"], round(float(row["x1"]), 2) > 0.1) for row in of_clip) == [
        ("1", False), ("1", True), ("3", False),
    ]  # fmt: skip
    with (data.dataset(SAMPLE.dataset, "annotations") / "train.csv").open() as handle:
        assert "2" in {line[6] for line in csv.reader(handle)}, "the other boxes on the right walk"

    # By hand, of 12 boxes. Stand: anna 6, ben 7, both 6; agreed 11/12, by chance (6 x 7 + 6 x 5) / 144 = 1/2; so (11/12 - 1/2) / (1/2).
    # Walk: anna 6, ben 5, both 5; the same by chance. Watch: both say it of the same 6. The seats of clip 3 are the other way round.
    told_of = {row["name"]: row for row in rows_of(release / "agreement.csv")}
    assert [(row["clips"], row["boxes"], row["boxes_of_one"]) for row in told_of.values()] == [("3", "12", "0")] * 3
    numbers = ("action", "both", "first_only", "second_only", "neither", "agreed", "kappa")
    assert {name: tuple(row[key] for key in numbers) for name, row in told_of.items()} == {
        "stand": ("1", "6", "0", "1", "5", "0.9167", "0.8333"),
        "walk": ("2", "5", "1", "0", "6", "0.9167", "0.8333"),
        "watch": ("3", "6", "0", "0", "6", "1.0000", "1.0000"),
    }
    with open_lock(release / "custom_ava.lock") as lock:
        assert lock.header.settings["annotators"] == 2
    report = json.loads((one.folder / "report/report.json").read_text())
    assert [one["kappa"] for one in report["boxes"]["agreement"]["actions"]] == [0.8333, 0.8333, 1.0]

    # Neither another number of annotators nor a file takes anything away, and each is said at once.
    before = {path: path.read_bytes() for path in project.folder.rglob("*.json*")}
    with pytest.raises(UserError, match=r"made with annotators=2, .* Start it with annotators=2, or move that folder"):
        run_all(run(data, "two", annotators=1))
    file = data.dataset(SAMPLE.dataset, "choose_frames_middle", "1", "1_finish.json")
    file.write_bytes((data.dataset(SAMPLE.dataset, "annotations", "via", "1_finish.json")).read_bytes())
    with pytest.raises(
        UserError, match=r"1 for a finished project to be moved away.*1_finish.json: It is no two people's work"
    ):
        read_labels(one)
    assert states(one) == {"1": "to correct", "door_1": "labelled", "3": "labelled"}
    file.unlink()
    assert read_labels(one)["crops"] == 3
    assert {path: path.read_bytes() for path in project.folder.rglob("*.json*")} == before


def test_the_lock_names_the_number_of_annotators_where_there_are_labels() -> None:
    assert CropsParams(labels=True).in_lock()["annotators"] == 1 and "annotators" not in CropsParams().in_lock()


def test_two_annotators_without_labels_and_other_numbers_are_refused() -> None:
    spec = find_spec(SAMPLE.dataset)
    with pytest.raises(UserError, match="'annotators' does nothing in this run: set labels=true"):
        parse_run_params({"annotators": 2}, spec)
    for number in (0, 3, 1.5):
        with pytest.raises(UserError, match="annotators"):
            parse_run_params({"labels": True, "annotators": number}, spec)
