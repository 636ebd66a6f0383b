"""A whole run in which people label on the page: the run waits, goes on to a release, and another run keeps what they said."""

from __future__ import annotations

import csv
import json
import uuid
import zipfile

import pytest
from box_world import BoxWorld
from clipquarry.errors import UserError, WaitUntil
from clipquarry.families.boxes.own.label_page import PROJECT, film
from clipquarry.families.boxes.own.labels import read_labels
from clipquarry.families.boxes.own.sample import SAMPLE
from clipquarry.labelling.operations import CLIP, Operation, Write
from clipquarry.labelling.project import Project
from clipquarry.pipeline.run import run_all
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot

PARAMS = {**SAMPLE.params, "score": 0.3}


def submit(project: Project, clip: str, *writes: Write) -> None:
    name = uuid.uuid4().hex
    base = project.open(clip, "shared").seq
    answer = project.submit(clip, "shared", "anna", [Operation(name, name, base, "label", writes)], base)
    assert answer.kept and not answer.refused


def label(project: Project, clip: str) -> None:
    """Everybody walks; whoever is drawn in the first frame stands and watches."""
    for region in list(project.open(clip, "shared").alive()):
        submit(project, clip, Write(region, "labels/1", ("1",)))
    frame = project.material(clip).clip.frames[0].name
    submit(
        project, clip, Write("drawn-1", "frame", frame), Write("drawn-1", "box", (4.0, 4.0, 20.0, 40.0)),
        Write("drawn-1", "track", 77), Write("drawn-1", "labels/1", ("0",)), Write("drawn-1", "labels/2", ("0",)),
    )  # fmt: skip
    submit(project, clip, Write(CLIP, "done", True))


def rows_of(data: DataRoot, split: str) -> list[list[str]]:
    with data.dataset(SAMPLE.dataset, "annotations", f"{split}.csv").open() as handle:
        return [*csv.reader(handle)]


@pytest.mark.slow
def test_people_label_on_the_page_and_the_run_goes_on(data: DataRoot) -> None:
    first = BoxWorld(data.root).context(SAMPLE.dataset, "one", **PARAMS)
    with pytest.raises(UserError, match=r"3 of 3 crops are not labelled.*/clipquarry-labelling/p/custom_ava/labels/"):
        run_all(first)
    folder = data.labelling(SAMPLE.dataset, PROJECT)
    project = Project(folder)
    assert set(project.clips) == {"1", "door_1", "3"} and project.plan.attributes[0].options[1].key == "w"
    for clip in project.clips:
        material = project.material(clip)
        paths = [path for strip in material.strips.values() for path in strip]
        paths += [f"{material.images}/{frame.name}" for frame in material.clip.frames]
        assert len(material.strips) == 2 and all((data.root / path).is_file() for path in paths)
        assert all(len(strip) >= 10 for strip in material.strips.values())

    waits = BoxWorld(data.root).context(SAMPLE.dataset, "one", **PARAMS, label_days=30)
    with pytest.raises(WaitUntil) as waited:
        run_stage("labels", waits)
    assert waited.value.page == "/clipquarry-labelling/p/custom_ava/labels/"
    label(project, "1")
    with pytest.raises(UserError, match=r"2 of 3 crops .* 0 of \d+ boxes have an action on the page"):
        read_labels(first)
    for clip in ("door_1", "3"):
        label(project, clip)

    summary = run_all(BoxWorld(data.root).context(SAMPLE.dataset, "two", **PARAMS))
    assert summary["gates"]["labels"] in ("pass", "warn")
    release = data.release(SAMPLE.dataset) / "two"
    rows = [row for split in ("train", "val") for row in rows_of(data, split)]
    drawn = [row for row in rows if row[0] == "1" and row[7] == "77"]
    assert [(row[1], row[6]) for row in drawn] == [("1", "1"), ("1", "3")], "two actions of the one who was drawn"
    with (release / "people.csv").open() as handle:
        assert {row["source"] for row in csv.DictReader(handle)} == {"page"}
    with zipfile.ZipFile(release / "via_projects.zip") as archive:
        assert set(archive.namelist()) == {"1_finish.json", "door_1_finish.json", "3_finish.json"}
        boxes = json.loads(archive.read("1_finish.json"))["metadata"]
        assert {"1": "0", "2": "0"} in [one["av"] for one in boxes.values()]
    assert not [*data.dataset(SAMPLE.dataset, "choose_frames_middle").rglob("*_finish.json")]

    # The person's work is the same file for file after another run, with other proposals.
    before = {path: path.read_bytes() for path in (folder / "clips").rglob("*.json*")}
    again = run_all(BoxWorld(data.root).context(SAMPLE.dataset, "three", **{**PARAMS, "score": 0.9}))
    assert again["gates"]["labels"] in ("pass", "warn")
    assert {path: path.read_bytes() for path in (folder / "clips").rglob("*.json*")} == before
    # Its own export is a finished project: placed by a person, it counts before the page.
    with zipfile.ZipFile(release / "via_projects.zip") as archive:
        target = data.dataset(SAMPLE.dataset, "choose_frames_middle", "1", "1_finish.json")
        target.write_bytes(archive.read("1_finish.json").replace(b'"1": "0"', b'"1": "1"', 1))
    last = BoxWorld(data.root).context(SAMPLE.dataset, "three", **PARAMS)
    assert read_labels(last)["rows"] == len(rows)
    changed = [row for row in rows_of(data, "val") + rows_of(data, "train") if row not in rows and row[0] == "1"]
    assert changed, "the file's one other action is in the csv"


def test_the_film_around_a_key_frame() -> None:
    assert film(61, 30, 330) == list(range(46, 77))
    assert film(1, 10, 40) == [1, 2, 3, 4, 5, 6]
    assert film(31, 10, 33) == [26, 27, 28, 29, 30, 31, 32, 33]
    assert len(film(601, 120, 9999)) == 31 and 601 in film(601, 120, 9999)
