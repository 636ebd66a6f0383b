"""The automatic annotator: what it says of people, that its work is kept as a person's is, and that it never labels twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from clipquarry.annotations.own_ava.actions import attributes_of
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.annotator import ACTIONS, NAME, label_all
from clipquarry.label_exchange.via import groups_of
from clipquarry.labelling.documents import Material, Plan
from clipquarry.labelling.model import Attribute, Clip, Frame, Option, Region
from clipquarry.labelling.operations import Operation, Write
from clipquarry.labelling.project import Project, create

FRAMES = tuple(Frame(f"c_{second}.jpg", second, 320, 240) for second in (1, 2, 3))
PLAN = Plan("Ours", groups_of(attributes_of(yaml.safe_load(ACTIONS))))


def person(track: int | None, step: float) -> list[Region]:
    """A box in every frame that goes ``step`` pixels a second."""
    return [
        Region(f"r{track}-{frame.second}", frame.name, (100.0 + step * frame.second, 20.0, 60.0, 180.0), track)
        for frame in FRAMES
    ]


def project(folder: Path, *regions: Region, plan: Plan = PLAN) -> Project:
    return create(folder, plan, [Material(Clip("c", FRAMES, regions), "images", {})])


def said(found: Project) -> dict[int | None, set[str]]:
    """The actions of every person, in words."""
    words = {(group.id, one.id): one.text for group in found.plan.attributes for one in group.options}
    told: dict[int | None, set[str]] = {}
    for region in found.result("c")[0].regions:
        told.setdefault(region.track, set()).update(
            words[group, one] for group, chosen in region.labels.items() for one in chosen
        )
    return told


def test_who_moves_walks_and_others_watch(tmp_path: Path) -> None:
    found = project(tmp_path, *person(1, 15), *person(2, 3), *person(None, 30))
    assert [*label_all(found)] == ["c: 9 boxes in 3 key frames are labelled"]
    assert said(found) == {1: {"walk"}, 2: {"stand", "watch"}, None: {"stand", "watch"}}, (
        "nobody's boxes are one person"
    )
    assert found.is_done("c") and found.progress("c", "shared").by == {NAME: 9}
    assert not found.seats("c")["shared"].holder, "the clip is given back"
    assert [*label_all(Project(tmp_path))] == [], "what is done is left alone"


def test_nobody_watches_where_nobody_walks(tmp_path: Path) -> None:
    found = project(tmp_path, *person(4, 0))
    assert [*label_all(found)] and said(found) == {4: {"stand"}}


def test_a_clip_is_left_to_the_person_who_has_it(tmp_path: Path) -> None:
    found = project(tmp_path, *person(1, 15))
    deleted = Operation("deleted-1", "window-a", 0, "delete", (Write("r1-2", "alive", False),))
    assert found.submit("c", "shared", "anna", [deleted], 0).kept
    assert [*label_all(found)] == []
    found.release("c", "anna")
    assert [*label_all(found)] == ["c: 2 boxes in 3 key frames are labelled"]


def test_a_clip_without_people_has_one_afterwards(tmp_path: Path) -> None:
    found = project(tmp_path)
    (told,) = label_all(found)
    assert "nobody was found" in told and said(found) == {0: {"stand"}}
    assert found.result("c")[0].regions[0].box == (0, 0, 320, 240) and found.is_done("c")


def test_other_actions_are_refused_with_a_sentence(tmp_path: Path) -> None:
    found = project(tmp_path, *person(1, 15), plan=Plan("Others", (Attribute("3", "limbs", (Option("0", "catch"),)),)))
    with pytest.raises(UserError, match="The clip c cannot be labelled: The box r1-1"):
        [*label_all(found)]
    assert not found.is_done("c")
