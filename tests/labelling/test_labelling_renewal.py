"""A project that is made again: what was said stays, whatever became of clips, frames, boxes and actions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.fingerprint import fingerprint
from clipquarry.labelling.documents import Material, Plan, Shown
from clipquarry.labelling.journal import COMPACT_BYTES
from clipquarry.labelling.model import Attribute, Option
from clipquarry.labelling.project import Project
from clipquarry.labelling.renewal import renew
from clipquarry.labelling.two_people import agreed, compare
from labelling_world import ATTRIBUTES, clip_of, material, operation, plan

DONE = ["@clip", "done", True]


def with_seconds(first: int, last: int, name: str = "1", source: str = "hall.mp4 from 0 s") -> Material:
    """The usual clip, of which only some of its seconds 2 to 8 are to be labelled. Names of boxes follow from their frames."""
    whole = material(name)
    frames = tuple(one for one in whole.clip.frames if first <= one.second <= last)
    names = {one.name for one in frames}
    regions = tuple(replace(one, id=f"of-{one.frame}-{one.track}") for one in whole.clip.regions if one.frame in names)
    strips = {name: strip for name, strip in whole.strips.items() if name in names}
    return Material(replace(whole.clip, frames=frames, regions=regions), whole.images, strips, Shown(source))


def said(project: Project, clip: str = "1") -> dict[str, dict[str, tuple[str, ...]]]:
    return {one.id: dict(one.labels) for one in project.result(clip)[0].regions if one.labels}


def labelled(folder: Path, begun: Material) -> tuple[Project, str]:
    project = renew(folder, plan(), [begun]).project
    box = begun.clip.regions[0].id
    answer = project.submit("1", "shared", "anna", [operation([box, "labels/1", ["1"]]), operation(DONE)], 0)
    assert not answer.refused
    return project, box


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    _, box = labelled(tmp_path, with_seconds(3, 6))
    before = {path: path.read_bytes() for path in tmp_path.rglob("clips/*/*")}
    again = renew(tmp_path, plan(), [with_seconds(3, 6)])
    assert again.told == () and {path: path.read_bytes() for path in tmp_path.rglob("clips/*/*")} == before
    assert said(again.project) == {box: {"1": ("1",)}} and again.project.is_done("1")


def test_what_nobody_touched_follows_and_what_somebody_has_does_not(tmp_path: Path) -> None:
    renew(tmp_path, plan(), [with_seconds(3, 6)])
    moved = with_seconds(4, 5, source="door.mp4 from 9 s")
    project = renew(tmp_path, plan(), [moved]).project
    assert project.material("1") == moved and not (tmp_path / "aside").exists()
    project.take("anna", "1")
    other = replace(moved, clip=replace(moved.clip, regions=moved.clip.regions[:1]))
    project = renew(tmp_path, plan(), [other]).project
    assert len(project.material("1").clip.regions) == 6, "somebody looks at these boxes now"


def test_other_proposals_leave_labelled_boxes_alone(tmp_path: Path) -> None:
    begun = with_seconds(3, 6)
    _, box = labelled(tmp_path, begun)
    other = replace(begun, clip=replace(begun.clip, regions=()))
    again = renew(tmp_path, plan(), [other])
    assert again.told == () and said(again.project) == {box: {"1": ("1",)}} and again.project.is_done("1")


@pytest.mark.parametrize("compacted", [False, True])
def test_new_frames_come_with_their_boxes_and_open_the_clip_again(tmp_path: Path, compacted: bool) -> None:
    project, box = labelled(tmp_path, with_seconds(3, 6))
    if compacted:
        with project.journal("1", "shared").opened() as opened:
            assert COMPACT_BYTES > 1 and opened.compact(at_least=1)
    again = renew(tmp_path, plan(), [with_seconds(2, 7)])
    assert "2 frames more" in again.told[0]
    clip, progress = again.project.result("1")
    assert [one.second for one in clip.frames] == [2, 3, 4, 5, 6, 7]
    assert (progress.boxes, progress.labelled, progress.done) == (18, 1, False)
    assert said(again.project) == {box: {"1": ("1",)}} and not again.project.is_done("1")
    answer = again.project.submit("1", "shared", "anna", [operation(DONE, client="window-b", base=3)], 3)
    assert not answer.refused and again.project.is_done("1"), "the run's word and the person's are no conflict"


def test_frames_that_are_no_longer_asked_for_keep_their_labels(tmp_path: Path) -> None:
    _, box = labelled(tmp_path, with_seconds(3, 6))
    again = renew(tmp_path, plan(), [with_seconds(5, 6)])
    told = "2 frames of the clip 1 are no longer asked for, from 1_000091.jpg on: what was said there (boxes with labels: 1)"
    assert told in again.told[0] and again.told == renew(tmp_path, plan(), [with_seconds(5, 6)]).told
    clip, progress = again.project.result("1")
    assert [one.second for one in clip.frames] == [5, 6] and {one.frame for one in clip.regions} == {
        one.name for one in clip.frames
    }
    assert (progress.boxes, progress.labelled, progress.done) == (6, 0, True)
    aside = again.project.set_aside("1")
    assert [one.second for one in aside.frames] == [3, 4] and [one.id for one in aside.regions] == [box]
    late = operation([box, "labels/2", ["0"]], client="window-b", base=2)
    assert not again.project.submit("1", "shared", "ben", [late], 2).refused, "a page that was open all the time"
    whole = renew(tmp_path, plan(), [with_seconds(3, 6)])
    assert "2 frames of the clip 1 are asked for again" in whole.told[0] and whole.project.is_done("1")
    assert said(whole.project) == {box: {"1": ("1",), "2": ("0",)}} and not whole.project.set_aside("1").frames


def test_who_was_done_without_a_frame_looks_again_when_it_comes_back(tmp_path: Path) -> None:
    project = renew(tmp_path, plan(), [with_seconds(3, 6)]).project
    box = with_seconds(3, 6).clip.regions[0].id
    project.submit("1", "shared", "anna", [operation([box, "labels/1", ["1"]])], 0)
    project = renew(tmp_path, plan(), [with_seconds(5, 6)]).project
    project.submit("1", "shared", "anna", [operation(DONE, base=1)], 1)
    assert project.is_done("1")
    project = renew(tmp_path, plan(), [with_seconds(3, 6)]).project
    assert not project.is_done("1") and said(project) == {box: {"1": ("1",)}}


def test_what_two_people_say_differently_of_a_frame_that_is_set_aside_stops_nobody(tmp_path: Path) -> None:
    project, box = labelled(tmp_path, with_seconds(3, 6))
    conflict = operation([box, "labels/1", ["0"]], client="window-b")
    project.submit("1", "shared", "ben", [conflict], 0)
    assert project.result("1")[1].conflicts == 1 and not project.is_done("1")
    project = renew(tmp_path, plan(), [with_seconds(5, 6)]).project
    assert project.result("1")[1].conflicts == 0 and project.is_done("1")
    again = renew(tmp_path, plan(), [with_seconds(3, 6)]).project
    assert again.result("1")[1].conflicts == 1 and not again.is_done("1")


def test_two_people_agree_on_what_is_asked_for(tmp_path: Path) -> None:
    project = renew(tmp_path, plan(2), [with_seconds(3, 6)]).project
    first, *_, last = with_seconds(3, 6).clip.regions
    for person, seat, option in (("anna", "first", "0"), ("ben", "second", "1")):
        project.take(person, "1")
        said = operation([first.id, "labels/1", [option]], [last.id, "labels/1", ["1"]], client=f"window-{person}")
        project.submit("1", seat, person, [said, operation(DONE, client=f"window-{person}")], 0)
    assert len(compare(project, "1").conflicts()) == 1
    project = renew(tmp_path, plan(2), [with_seconds(5, 6)]).project
    told = agreed(project)
    assert told.clips == 1
    assert next((one.both, one.first, one.second) for one in told.actions if one.option == "1") == (1, 0, 0)
    assert project.result("1")[1].conflicts == 0


def test_a_clip_that_nobody_worked_on_still_knows_the_frames_it_had(tmp_path: Path) -> None:
    renew(tmp_path, plan(), [with_seconds(3, 6)])
    project = renew(tmp_path, plan(), [with_seconds(5, 6)]).project
    assert set(project.material("1").aside) == {"1_000091.jpg", "1_000121.jpg"}, "labelled in VIA, perhaps"
    assert [one.second for one in project.result("1")[0].frames] == [5, 6]
    assert renew(tmp_path, plan(), [with_seconds(3, 6)]).project.material("1") == with_seconds(3, 6)


def test_other_pictures_under_the_same_names_begin_anew_and_the_work_is_kept(tmp_path: Path) -> None:
    _, box = labelled(tmp_path, with_seconds(3, 6))
    again = renew(tmp_path, plan(), [with_seconds(3, 6, source="door.mp4 from 9 s")])
    assert "shows door.mp4 from 9 s, and was labelled as hall.mp4 from 0 s" in again.told[0]
    assert said(again.project) == {} and not again.project.is_done("1")
    (aside,) = (tmp_path / "aside").iterdir()
    shutil.rmtree(tmp_path / "clips/1")
    aside.rename(tmp_path / "clips/1")  # as a person takes it back
    assert said(Project(tmp_path)) == {box: {"1": ("1",)}}


def print_of(seed: int, noise: float = 0.0) -> str:
    """A fingerprint of eight frames of moving shapes; ``noise``: what another encode changes, in grey levels."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (8, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    encoded = coarse + np.random.default_rng(99).normal(0, noise, coarse.shape)
    return fingerprint(np.clip(encoded, 0, 255).astype(np.uint8))


def film(sha256: str, fingerprint: str) -> Material:
    return replace(with_seconds(3, 6), shown=Shown("hall.mp4 from 0 s", sha256, fingerprint))


def test_another_film_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    labelled(tmp_path, film("a", print_of(1)))
    again = renew(tmp_path, plan(), [film("b", print_of(2))])
    assert "shows another film than the one that was labelled under this name" in again.told[0]
    assert said(again.project) == {} and len([*(tmp_path / "aside").iterdir()]) == 1


def test_films_without_a_picture_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    labelled(tmp_path, film("a", ""))
    assert renew(tmp_path, plan(), [film("a", "")]).told == ()
    assert "another film" in renew(tmp_path, plan(), [film("b", "")]).told[0]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (("a", print_of(1)), ("b", print_of(1, 4.0))),  # another encode of it
        (("", ""), ("b", print_of(1))),  # labelled before this was noted
        (("a", print_of(1)), ("", "")),
    ],
)
def test_the_same_film_keeps_its_labels(before: tuple[str, str], now: tuple[str, str], tmp_path: Path) -> None:
    _, box = labelled(tmp_path, film(*before))
    again = renew(tmp_path, plan(), [film(*now)])
    assert again.told == () and said(again.project) == {box: {"1": ("1",)}} and again.project.is_done("1")
    assert again.project.material("1").shown[1:] == (now if now[0] else before)


def test_clips_that_a_run_is_not_about_stay_and_those_that_nobody_asks_for_go(tmp_path: Path) -> None:
    renew(tmp_path, plan(), [with_seconds(3, 6), with_seconds(3, 6, "2"), with_seconds(3, 6, "3")])
    again = renew(tmp_path, plan(), [with_seconds(3, 6, "3")], known={"1", "3"})
    assert again.project.clips == ["3", "1"] and "The clip 2 of the labelling project" in again.told[0]
    assert (tmp_path / "clips/2/clip.json").exists()


def grown(*more: str) -> Plan:
    first, *others = ATTRIBUTES
    options = (*first.options, *(Option(str(2 + at), text) for at, text in enumerate(more)))
    return Plan("Ours", (Attribute("1", "head", options), *others))


def test_actions_may_be_added_and_not_moved_under_labels(tmp_path: Path) -> None:
    labelled(tmp_path, with_seconds(3, 6))
    project = renew(tmp_path, grown("nod"), [with_seconds(3, 6)]).project
    assert [one.text for one in project.plan.attributes[0].options] == ["talk", "bow", "nod"]
    renamed = Plan("Ours", (Attribute("1", "head", (Option("0", "bow"), Option("1", "talk"))), *ATTRIBUTES[1:]))
    for wrong in (plan(), renamed, Plan("Ours", ATTRIBUTES[:1])):
        with pytest.raises(UserError, match=r"The clip 1 of the project .* put them back at their places"):
            renew(tmp_path, wrong, [with_seconds(3, 6)])


def test_nothing_binds_actions_before_anybody_labels(tmp_path: Path) -> None:
    renew(tmp_path, grown("nod"), [with_seconds(3, 6)])
    assert renew(tmp_path, plan(2), [with_seconds(3, 6)]).project.plan.annotators == 2


def test_clips_of_one_name_and_none_at_all_are_refused(tmp_path: Path) -> None:
    for clips in ([], [Material(clip_of(), "x"), Material(clip_of(), "x")]):
        with pytest.raises(UserError, match="no clip, or two of one name"):
            renew(tmp_path, plan(), clips)
