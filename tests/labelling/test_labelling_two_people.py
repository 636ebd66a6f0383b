"""Two people's clips: how far they are, what neither sees nor writes before both are done, and clips that grow afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clipquarry.errors import UserError
from clipquarry.labelling.documents import Material
from clipquarry.labelling.project import Closed, Project, create
from clipquarry.labelling.renewal import renew
from clipquarry.labelling.two_people import Stage, agreed, compare, stage
from labelling_world import material, operation, plan

DONE = ["@clip", "done", True]
SEATS = {"anna": "first", "ben": "second"}


def until(second: int) -> Material:
    """The usual clip up to a second (from 2)."""
    whole = material()
    frames = tuple(one for one in whole.clip.frames if one.second <= second)
    names = {one.name for one in frames}
    clip = replace(whole.clip, frames=frames, regions=tuple(one for one in whole.clip.regions if one.frame in names))
    return Material(clip, whole.images, {name: strip for name, strip in whole.strips.items() if name in names})


def say(project: Project, person: str, *writes: list[Any]) -> dict[str, str]:
    """What was refused of it. The first word takes the seat."""
    project.take(person, "1")
    seat = SEATS[person]
    base = project.open("1", seat).seq
    sent = [operation(*writes, client=f"window-{person}", base=base)]
    return project.submit("1", seat, person, sent, base).refused


def settle(project: Project, *writes: list[Any]) -> dict[str, str]:
    base = project.open("1", "agreed").seq
    return project.submit("1", "agreed", "carla", [operation(*writes, client="window-c", base=base)], base).refused


def test_a_clip_goes_from_open_to_final(tmp_path: Path) -> None:
    project = create(tmp_path, plan(2), [until(3)])
    assert stage(project, "1") is Stage.OPEN
    say(project, "anna", ["image1_1", "labels/1", ["0"]], DONE)
    assert stage(project, "1") is Stage.ONE and not project.is_done("1")
    say(project, "ben", ["image1_1", "labels/1", ["1"]], DONE)
    assert stage(project, "1") is Stage.BOTH and not project.is_done("1")
    state = compare(project, "1")
    assert stage(project, "1") is Stage.COMPARED and not state.done
    assert [(one.region, one.field) for one in state.conflicts()] == [("image1_1", "labels/1")]
    assert not settle(project, ["image1_1", "labels/1", ["1"], True])
    assert stage(project, "1") is Stage.COMPARED, "somebody says that it is done"
    assert not settle(project, DONE)
    assert stage(Project(tmp_path), "1") is Stage.FINAL
    assert project.result("1")[0].regions[0].labels == {"1": ("1",)}


def test_where_both_say_the_same_nothing_is_left_to_settle(tmp_path: Path) -> None:
    project = create(tmp_path, plan(2), [until(3)])
    for person in SEATS:
        say(project, person, ["image1_1", "labels/1", ["0"]], ["image2_3", "alive", False], DONE)
    assert compare(project, "1").done and stage(project, "1") is Stage.FINAL
    settle(project, ["@clip", "done", False])
    assert not compare(project, "1").done, "who opens it again has his way"


def test_what_both_change_in_the_same_way_is_changed(tmp_path: Path) -> None:
    """A number and a place too, which the project was made with."""
    project = create(tmp_path, plan(2), [until(3)])
    for person in SEATS:
        say(project, person, ["image1_1", "track", 9], ["image1_2", "box", [1, 2, 30, 40]], DONE)
    say(project, "anna", ["image1_3", "box", [5, 6, 70, 80]])
    say(project, "ben", ["image1_3", "alive", False])
    state = compare(project, "1")
    assert state.value("image1_1", "track") == 9 and state.value("image1_2", "box") == (1, 2, 30, 40)
    assert [(one.region, one.field) for one in state.conflicts()] == [("image1_3", "alive")]
    assert state.value("image1_3", "box") == (5, 6, 70, 80), "as the one who keeps it has it"


def test_nobody_writes_what_comes_out_before_anything_does(tmp_path: Path) -> None:
    """It would close both works, and show each person the other's."""
    project = create(tmp_path, plan(2), [until(3)])
    say(project, "anna", ["image1_1", "labels/1", ["0"]])
    for sent in ([], [operation(["image1_1", "labels/1", ["1"]])]):
        with pytest.raises(Closed, match="not compared yet"):
            project.submit("1", "agreed", "ben", sent, 0)
    assert not say(project, "anna", ["image1_2", "labels/1", ["0"]])


def test_a_killed_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipquarry.labelling import two_people

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    project = create(tmp_path, plan(2), [until(3)])
    say(project, "anna", ["image1_1", "labels/1", ["0"]], DONE)
    say(project, "ben", ["image1_1", "labels/1", ["1"]], DONE)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(two_people, "compared", killed)
        compare(project, "1")
    again = Project(tmp_path)
    assert stage(again, "1") is Stage.BOTH
    assert not say(again, "ben", ["image1_2", "labels/1", ["0"]]), "nothing is compared, and so nothing closed"
    state = compare(again, "1")
    assert {(one.region, one.field) for one in state.conflicts()} == {
        ("image1_1", "labels/1"),
        ("image1_2", "labels/1"),
    }
    assert compare(Project(tmp_path), "1").seq == state.seq


def test_frames_that_a_settled_clip_gets_are_labelled_by_both_too(tmp_path: Path) -> None:
    project = renew(tmp_path, plan(2), [until(3)]).project
    say(project, "anna", ["image1_1", "labels/1", ["0"]], DONE)
    say(project, "ben", ["image1_1", "labels/1", ["1"]], DONE)
    compare(project, "1")
    settle(project, ["image1_1", "labels/1", ["1"], True], DONE)
    assert project.is_done("1") and agreed(project).boxes == 6

    project = renew(tmp_path, plan(2), [until(4)]).project
    assert stage(project, "1") is Stage.OPEN and not project.is_done("1")
    (why,) = say(project, "anna", ["image1_1", "labels/1", []]).values()
    assert "was compared" in why
    (why,) = settle(project, ["image3_1", "labels/1", ["0"]]).values()
    assert "waits for both" in why
    (why,) = say(project, "ben", ["n1", "frame", "1_000061.jpg"], ["n1", "box", [1, 1, 9, 9]]).values()
    assert "was compared" in why
    settle(project, DONE)
    assert not project.is_done("1"), "the word of one who saw no new frame is not enough"
    with pytest.raises(Closed, match="first and second is not done"):
        compare(project, "1")
    assert not say(project, "anna", ["image3_1", "labels/1", ["0"]], DONE)
    assert stage(project, "1") is Stage.ONE
    assert not say(project, "ben", ["image3_1", "labels/1", ["0"]], ["image3_2", "labels/1", ["0"]], DONE)
    state = compare(project, "1")
    assert [(one.region, one.field) for one in state.conflicts()] == [("image3_2", "labels/1")]
    assert state.labels("image1_1") == {"1": ("1",)}, "what was settled stays settled"
    settle(project, ["image3_2", "labels/1", [], True], DONE)
    assert stage(project, "1") is Stage.FINAL and agreed(project).boxes == 9
    with pytest.raises(Closed, match="was compared"):
        say(project, "anna", ["image3_1", "labels/1", []])


def test_frames_that_are_no_longer_asked_for_wait_for_nobody(tmp_path: Path) -> None:
    """Of a clip that was not compared yet, and of one that was: they come back as they were."""
    renew(tmp_path, plan(2), [until(4)])
    project = Project(tmp_path)
    say(project, "anna", ["image1_1", "labels/1", ["0"]], ["image3_1", "labels/1", ["0"]], DONE)
    project = renew(tmp_path, plan(2), [until(3)]).project
    say(project, "ben", ["image1_1", "labels/1", ["0"]], DONE)
    assert agreed(project).boxes == 6
    compare(project, "1")
    assert stage(project, "1") is Stage.FINAL, "they differ only where nobody asks"
    project = renew(tmp_path, plan(2), [until(4)]).project
    assert stage(project, "1") is Stage.ONE, "anna was done with it, and ben never saw it"
    say(project, "ben", ["image3_1", "labels/1", ["1"]], DONE)
    assert [(one.region, one.values[0].by) for one in compare(project, "1").conflicts()] == [("image3_1", "anna")]
    project = renew(tmp_path, plan(2), [until(3)]).project
    assert stage(project, "1") is Stage.COMPARED, "it was opened again, and somebody says that it is done"
    settle(project, DONE)
    assert stage(project, "1") is Stage.FINAL
    project = renew(tmp_path, plan(2), [until(4)]).project
    assert stage(project, "1") is Stage.COMPARED and project.result("1")[1].conflicts == 1


def test_agreement_over_some_frames_of_some_clips(tmp_path: Path) -> None:
    project = create(tmp_path, plan(2), [material("1"), material("2")])
    say(project, "anna", ["image1_1", "labels/1", ["0"]], ["image2_1", "labels/1", ["0"]], DONE)
    say(
        project,
        "ben",
        ["image1_1", "labels/1", ["0"]],
        ["m", "frame", "1_000061.jpg"],
        ["m", "box", [1, 1, 9, 9]],
        DONE,
    )
    told = agreed(project)
    assert (told.clips, told.boxes, told.alone) == (1, 21, 1)
    first = project.material("1").clip.frames[0].name
    told = agreed(project, {"1": {first}})
    assert (told.clips, told.boxes, told.alone) == (1, 3, 1)
    assert next((one.both, one.first, one.neither) for one in told.actions) == (1, 0, 2)
    assert agreed(project, {"2": {first}}).clips == 0


def test_a_project_for_one_has_nothing_to_compare(tmp_path: Path) -> None:
    project = create(tmp_path, plan(1), [until(3)])
    for ask in (compare, stage):
        with pytest.raises(UserError, match="one person labels"):
            ask(project, "1")
    assert agreed(project).clips == 0


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("how", ["worked", "open", "given", "left the list"])
def test_the_number_of_annotators_stays_once_anybody_has_begun(tmp_path: Path, before: int, now: int, how: str) -> None:
    project = renew(tmp_path, plan(before), [material("1"), material("2")]).project
    seat = "shared" if before == 1 else "first"
    if how == "given":
        project.give("1", seat, "anna")
    else:
        project.take("anna", "1")
    if how in ("worked", "left the list"):
        project.submit("1", seat, "anna", [operation(["image1_1", "labels/1", ["0"]])], 0)
    clips = [material("1"), material("2")]
    if how == "left the list":
        clips = clips[1:]
        renew(tmp_path, plan(before), clips)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.json*")}
    with pytest.raises(UserError, match=rf"1 of its clips \(1\) behind. Start it with annotators={before}, or move"):
        renew(tmp_path, plan(now), clips)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json*")} == files


def test_the_number_of_annotators_changes_before_anybody_begins(tmp_path: Path) -> None:
    renew(tmp_path, plan(1), [material()])
    again = renew(tmp_path, plan(2), [material()])
    assert again.told == ("Each clip now asks for 2 annotator(s), and before for 1.",)
    assert again.project.take("anna", "1") == ("1", "first")
