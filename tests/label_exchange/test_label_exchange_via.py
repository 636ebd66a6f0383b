"""A crop as a clip of the labelling page and as a project of VIA: there and back nothing changes."""

from __future__ import annotations

import pytest
from clipquarry.annotations.own_ava.actions import attributes_of as read_groups
from clipquarry.annotations.own_ava.label_rows import rows_of
from clipquarry.annotations.own_ava.via_project import Size, project_of
from clipquarry.errors import UserError
from clipquarry.families.boxes.own.proposal_ids import ids_of_proposals
from clipquarry.label_exchange.via import attributes_of, clip_of, groups_of, region_id, via_of
from clipquarry.labelling.documents import Plan, checked_plan

ATTRIBUTES = read_groups(
    {"posture": {"kind": "radio", "options": ["stand", {"name": "walk", "key": "W"}]}, "eyes": ["watch", "close"]}
)
SIZE = Size(200, 100)
FRAMES = {"x_000001.jpg": 0, "x_000031.jpg": 1}
BOXES = {
    "x_000001.jpg": [(0.1, 0.1, 0.3, 0.9), (0.6, 0.1, 0.8, 0.9)],
    "x_000031.jpg": [(0.62, 0.1, 0.82, 0.9), (0.12, 0.1, 0.32, 0.9)],
}


def labelled() -> tuple[list[str], list[dict[str, str]]]:
    return list(FRAMES), [{"1": "1", "2": "0,1"}, {"1": "0", "2": ""}, {"1": "", "2": "1"}, {"1": "", "2": ""}]


def test_actions_and_their_keys_reach_the_page() -> None:
    groups = groups_of(ATTRIBUTES)
    assert [(one.id, one.several) for one in groups] == [("1", False), ("2", True)]
    plan = checked_plan(Plan("Ours", groups))
    keys = {option.text: option.key for group in plan.attributes for option in group.options}
    assert keys == {"stand": "1", "walk": "w", "watch": "2", "close": "3"}
    back = attributes_of(plan.attributes)
    assert [(one.name, one.options, one.kind) for one in back.values()] == [
        (one.name, one.options, one.kind) for one in ATTRIBUTES.values()
    ]
    taken = groups_of(read_groups({"posture": [{"name": "stand", "key": "s"}]}))
    with pytest.raises(UserError, match="cannot have the key 's'"):
        checked_plan(Plan("Ours", taken))


def test_there_and_back_the_rows_are_the_same() -> None:
    project = project_of(list(FRAMES), SIZE, BOXES, ATTRIBUTES)
    for (key, region), chosen in zip(list(project.regions.items()), labelled()[1], strict=True):
        project.regions[key] = region._replace(choices=chosen)
    clip = clip_of("x", FRAMES, SIZE, project, ids_of_proposals("x", FRAMES, SIZE, project))
    assert [one.track for one in clip.regions] == [0, 1, 1, 0], "by overlap, not by place"
    assert clip.regions[0].labels == {"1": ("1",), "2": ("0", "1")} and clip.regions[3].labels == {}
    told = via_of(clip, FRAMES, ATTRIBUTES)
    assert list(rows_of(told.project, SIZE)) == list(rows_of(project, SIZE))
    assert list(told.people.values()) == [0, 1, 1, 0]
    assert [one.name for one in told.project.files.values()] == list(FRAMES)


def test_frames_that_are_not_asked_for_are_left_out() -> None:
    clip = clip_of("x", FRAMES, SIZE, project_of(list(FRAMES), SIZE, BOXES, ATTRIBUTES), {})
    told = via_of(clip, ["x_000031.jpg"], ATTRIBUTES)
    assert len(told.project.regions) == 2 and set(told.people.values()) == {-1}
    assert {one.view for one in told.project.regions.values()} == {"1"}


def test_boxes_are_cut_to_the_frame_and_named_by_their_place() -> None:
    boxes = {"x_000001.jpg": [(-0.1, 0.5, 0.5, 1.2), (1.1, 0.1, 1.2, 0.2), (-0.1, 0.5, 0.5, 1.2)]}
    clip = clip_of("x", FRAMES, SIZE, project_of(list(FRAMES), SIZE, boxes, ATTRIBUTES), {})
    (one,) = clip.regions
    assert one.box == (0.0, 50.0, 100.0, 50.0) and one.id == region_id("x_000001.jpg", one.box)
    assert region_id("x_000031.jpg", one.box) != one.id
