"""What comes of a person's finished project: rows, or a sentence for each thing that is missing, broken or unfinished."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from box_world import BoxWorld
from clipquarry.annotations.own_ava.actions import attributes_of
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.annotations.own_ava.via_project import Size, project_of
from clipquarry.errors import UserError
from clipquarry.families.boxes.own import labels
from clipquarry.families.boxes.own.labels import Labelled, read_crop
from clipquarry.families.boxes.own.sample import RATE, _finished
from clipquarry.families.boxes.own.to_label import ToLabel
from clipquarry.label_exchange.via import clip_of, groups_of
from clipquarry.labelling.documents import Material, Plan, Shown
from clipquarry.labelling.operations import Operation, Write
from clipquarry.labelling.project import Project
from clipquarry.labelling.renewal import renew
from made_own import FPS, LEFT, WALKS, MadeOwn

ATTRIBUTES = attributes_of({"posture": ["stand", {"name": "walk", "key": "w"}], "eyes": ["watch"]})


@pytest.fixture
def crop(tmp_path: Path) -> ToLabel:
    names = tuple(frame_name("x", frame_of(second, RATE)) for second in (1, 2))
    one = ToLabel("x", "train", (1, 2), names, Size(320, 240), tmp_path)
    one.finish.write_text(_finished("x", "door", 1.0))
    return one


def test_a_finished_project_is_taken(crop: ToLabel) -> None:
    found = read_crop(crop, ATTRIBUTES, set(), None)
    assert isinstance(found, Labelled) and len(found.project.regions) == 4


def test_a_file_that_somebody_writes_or_that_is_not_there_is_waited_for(crop: ToLabel) -> None:
    growing = read_crop(crop, ATTRIBUTES, {"x_finish.json"}, None)
    assert isinstance(growing, list) and growing[0].why == "Somebody still writes it."
    crop.finish.unlink()
    absent = read_crop(crop, ATTRIBUTES, set(), None)
    assert isinstance(absent, list) and "x_proposal.json" in absent[0].why


def _unlabelled(value: Any) -> None:
    for region in value["metadata"].values():
        region["av"] = {"1": "", "2": ""}


def _renamed(value: Any) -> None:
    value["attribute"]["1"]["options"]["0"] = "sit"


def _texts(value: Any) -> None:
    """A group of checkboxes as free text: no row would come of it."""
    value["attribute"]["1"]["type"] = 1


def _outside(value: Any) -> None:
    next(iter(value["metadata"].values()))["xy"][1] = 900


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_unlabelled, "No box in it"),
        (_renamed, "not those of this run"),
        (_outside, "leaves the frame"),
        (_texts, "has no choices any more"),
    ],
)
def test_what_is_not_right_comes_back_with_a_sentence(crop: ToLabel, change: Callable[[Any], None], why: str) -> None:
    value = json.loads(crop.finish.read_text())
    change(value)
    crop.finish.write_text(json.dumps(value, indent=1))
    found = read_crop(crop, ATTRIBUTES, set(), None)
    assert isinstance(found, list) and why in found[0].why, found


def test_a_file_of_more_frames_than_are_asked_for_now_counts_with_those(crop: ToLabel, tmp_path: Path) -> None:
    size = Size(320, 240)

    def page_of(names: tuple[str, ...]) -> Project:
        frames = {name: at for at, name in enumerate(names, 1)}
        clip = clip_of("x", frames, size, project_of(names, size, {}, ATTRIBUTES), {})
        plan = Plan("labels", groups_of(ATTRIBUTES), 1, "")
        return renew(tmp_path / "page", plan, [Material(clip, "x", {}, Shown("door"))]).project

    page_of(crop.frames)
    fewer = crop._replace(seconds=(2,), frames=crop.frames[1:])
    before = crop.finish.read_bytes()
    found = read_crop(fewer, ATTRIBUTES, set(), page_of(fewer.frames))
    assert isinstance(found, Labelled), found
    assert {one.name for one in found.project.files.values()} == set(fewer.frames) and list(found.project.files) == [
        "1"
    ]
    assert len(found.project.regions) == 2 and crop.finish.read_bytes() == before
    more = crop._replace(seconds=(1, 2, 3), frames=(*crop.frames, "x_000031.jpg"))
    lacking = read_crop(more, ATTRIBUTES, set(), page_of(more.frames))
    assert isinstance(lacking, list) and len(lacking) == 1
    assert "1 frames to label are not in it, the first is x_000031.jpg" in lacking[0].why


def test_a_damaged_file_is_told_as_such_and_before_what_is_not_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MadeOwn(tmp_path, {"a": "train", "b": "train", "c": "val"})
    made.key_frames()
    made.label("a", {1: [(LEFT, WALKS)]})
    made.label("b", {1: [(LEFT, WALKS)]})
    made.crop("b").finish.write_text("[" * 100_000)
    made.data.dataset(made.spec.root, "actions.yaml").write_text(yaml.safe_dump(dict(made.groups), sort_keys=False))
    ctx = BoxWorld(tmp_path).context("custom_ava", "one", fps=FPS, margin=1, labels=True)
    monkeypatch.setattr(labels, "needs_plan", lambda _: None)
    with pytest.raises(UserError) as found:
        labels.read_labels(ctx)
    told, _, rest = str(found.value).partition("1 of 3 crops are not labelled")
    assert told.startswith("1 of 3 crops have a finished file that is damaged or not whole: correct it")
    assert "b_finish.json is no JSON (it is nested too deep)" in told and "crop c" not in told and "crop c" in rest
    assert [one["where"] for one in made.table(made.place.label_problems)] == ["b_finish.json", "crop c"]
    assert [one["state"] for one in made.table(made.place.label_crops)] == ["labelled", "to correct", "waiting"]


def test_half_a_file_is_one_sentence(crop: ToLabel) -> None:
    crop.finish.write_text(crop.finish.read_text()[:200])
    found = read_crop(crop, ATTRIBUTES, set(), None)
    assert isinstance(found, list) and "is no JSON" in found[0].why


def _material(crop: ToLabel) -> Material:
    """The crop for the page, with one box a frame."""
    size = Size(320, 240)
    proposed = project_of(crop.frames, size, {name: [(0.1, 0.1, 0.3, 0.9)] for name in crop.frames}, ATTRIBUTES)
    return Material(
        clip_of("x", dict(zip(crop.frames, crop.seconds, strict=True)), size, proposed, {}), "x", {}, Shown("door")
    )


@pytest.fixture
def page(crop: ToLabel, tmp_path: Path) -> Project:
    """The crop on the page, where everybody stands; there is no file."""
    crop.finish.unlink()
    material = _material(crop)
    made = renew(tmp_path / "page", Plan("labels", groups_of(ATTRIBUTES), 1, ""), [material]).project
    writes = [*(Write(one.id, "labels/1", ("0",)) for one in material.clip.regions), Write("@clip", "done", True)]
    with made.journal("x", "shared").opened() as opened:
        opened.append([Operation("1", "c", opened.state.seq, "label", tuple(writes))], "somebody")
    return made


def test_the_page_is_read_with_the_actions_that_it_was_made_with(crop: ToLabel, page: Project) -> None:
    found = read_crop(crop, ATTRIBUTES, set(), page)
    assert isinstance(found, Labelled)
    assert [one.choices["1"] for one in found.project.regions.values()] == ["0", "0"]
    inserted = attributes_of({"posture": ["lie", "stand", "walk"], "eyes": ["watch"]})
    other = read_crop(crop, inserted, set(), page)
    assert isinstance(other, list) and "The actions have changed since the page was made" in other[0].why
    added = attributes_of({"posture": ["stand", "walk", "lie"], "eyes": ["watch"]})
    assert isinstance(read_crop(crop, added, set(), page), Labelled)


def test_of_two_annotators_no_file_counts_and_no_page_for_one(crop: ToLabel, tmp_path: Path) -> None:
    project = renew(tmp_path / "two", Plan("labels", groups_of(ATTRIBUTES), 2), [_material(crop)]).project
    for growing in (set(), {crop.finish.name}):
        found = read_crop(crop, ATTRIBUTES, growing, project, 2)
        assert isinstance(found, list) and "move it away" in found[0].why and found[0].where == "x_finish.json"
    crop.finish.unlink()
    found = read_crop(crop, ATTRIBUTES, set(), project, 2)
    assert isinstance(found, list) and "waits for two people" in found[0].why and "_finish.json" not in found[0].why
    found = read_crop(crop, ATTRIBUTES, set(), project, 1)
    assert isinstance(found, list) and "made anew with annotators=2, and this run has 1" in found[0].why
