"""The folder of a project: how it is made, who works on what, what is refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clipquarry.errors import UserError
from clipquarry.labelling.model import Attribute, Clip, Frame, Option, Region
from clipquarry.labelling.operations import MAX_WRITES, BadOperation, parsed
from clipquarry.labelling.project import Closed, Project, create
from labelling_world import ATTRIBUTES, clip_of, material, operation, plan

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_a_project_is_made_once_and_again(tmp_path: Path) -> None:
    create(tmp_path, plan(), [material("1"), material("2")])
    project = Project(tmp_path)
    project.submit("1", "shared", "anna", [operation(["image1_1", "labels/1", ["0"]])], 0)
    create(tmp_path, plan(title="Another title"), [material("1"), material("2"), material("3")])
    again = Project(tmp_path)
    assert (again.clips, again.plan.title) == (["1", "2", "3"], "Another title")
    assert again.open("1", "shared").labels("image1_1") == {"1": ("0",)}
    assert again.material("2") == material("2")
    keys = [option.key for attribute in again.plan.attributes for option in attribute.options]
    assert keys == list("1234567")
    with pytest.raises(UserError, match="other frames or boxes"):
        create(tmp_path, plan(), [material("1", people=2)])
    with pytest.raises(UserError, match="other actions"):
        create(tmp_path, plan(annotators=2), [material("1")])
    with pytest.raises(UserError, match="no labelling project"):
        Project(tmp_path / "nothing")


FRAME = Frame("a.jpg", 1, 100, 100)


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (Clip("../x", (FRAME,)), "holds a slash"),
        (Clip("x", ()), "no frame"),
        (Clip("x", (FRAME, FRAME)), "one name"),
        (Clip("x", (replace(FRAME, width=0),)), "no size"),
        (Clip("x", (FRAME,), (Region("r", "b.jpg", (0, 0, 1, 1)),)), "which the clip has not"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (50, 50, 60, 10)),)), "leaves its frame"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (1, 1, float("nan"), 10)),)), "four numbers"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (1, 1, 0, 10)),)), "without width"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (1, 1, 2, 2), -1),)), "whole number"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (1, 1, 2, 2), 1, {"9": ("0",)}),)), "no group"),
        (Clip("x", (FRAME,), (Region("r", "a.jpg", (1, 1, 2, 2), 1, {"2": ("0", "1")}),)), "more labels"),
        (Clip("x", (FRAME,), (Region("@clip", "a.jpg", (1, 1, 2, 2)),)), "other characters"),
    ],
)
def test_a_clip_that_cannot_be_labelled_is_said(tmp_path: Path, clip: Clip, said: str) -> None:
    with pytest.raises(UserError, match=said):
        create(tmp_path, plan(), [replace(material(), clip=clip, strips={})])
    assert not (tmp_path / "project.json").exists()


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../../b", "a\\b", ""])
def test_images_lie_below_their_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="below the folder of images"):
        create(tmp_path, plan(), [replace(material(), images=path)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no actions"),
        ((Option("0", "a", "x"),), "cannot have the key"),
        ((Option("0", "a", "AB"),), "cannot have the key"),
        ((Option("0", "a", "1"), Option("1", "b", "1")), "have the key"),
        ((Option("0", "a"), Option("0", "b")), "are the same"),
        ((Option("0", ""),), "cannot name an action"),
        (tuple(Option(str(n), str(n)) for n in range(501)), "more than 500"),
    ],
)
def test_actions_that_nobody_could_choose_are_said(tmp_path: Path, options: tuple[Option, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        create(tmp_path, replace(plan(), attributes=(Attribute("1", "x", options),)), [material()])


def test_many_actions_have_keys_as_far_as_keys_go(tmp_path: Path) -> None:
    options = tuple(Option(str(n), f"action {n}", "w" if n == 40 else "") for n in range(80))
    project = create(tmp_path, replace(plan(), attributes=(Attribute("1", "x", options),)), [material()])
    keys = [one.key for one in project.plan.attributes[0].options]
    assert keys[0] == "1" and keys[40] == "w" and keys.count("w") == 1 and keys[79] == ""


def good(**changes: Any) -> dict[str, Any]:
    return {
        "op": "op-00000001",
        "client": "window-a",
        "base": 0,
        "what": "label",
        "writes": [["image1_1", "track", 1]],
        **changes,
    }


@pytest.mark.parametrize(
    "told",
    [
        None, [], {}, good(op="x"), good(op=3), good(op="a" * 65), good(client="<script>"), good(base=-1), good(base=True),
        good(base=1.5), good(base=2**60), good(what="<b>"), good(writes=[]), good(writes={}), good(writes=[["a", "b"]]),
        good(writes=[["a", 1, 2]]), good(writes=[["a", "track", 1]] * (MAX_WRITES + 1)), good(undoes="../../x"),
    ],
)  # fmt: skip
def test_what_is_no_operation_is_refused(told: Any) -> None:
    with pytest.raises(BadOperation):
        parsed(told)


@pytest.mark.parametrize(
    "writes",
    [
        [["nobody", "track", 1]], [["image1_1", "frame", "1_000061.jpg"]], [["new", "frame", "other.jpg"], ["new", "box", [1, 1, 2, 2]]],
        [["new", "frame", "1_000061.jpg"]], [["image1_1", "box", [300, 1, 50, 50]]], [["image1_1", "box", "x"]],
        [["image1_1", "track", 1.5]], [["image1_1", "track", True]], [["image1_1", "alive", 1]], [["image1_1", "labels/1", ["9"]]],
        [["image1_1", "labels/2", ["0", "1"]]], [["image1_1", "labels/1", ["0", "0"]]], [["image1_1", "labels/1", [[]]]],
        [["image1_1", "other", 1]], [["@clip", "track", 1]], [["@clip", "done", 1]],
    ],
)  # fmt: skip
def test_an_operation_that_does_not_fit_is_refused_alone(tmp_path: Path, writes: list[list[Any]]) -> None:
    project = create(tmp_path, plan(), [material()])
    bad, fine = operation(*writes), operation(["image1_2", "labels/1", ["0"]])
    answer = project.submit("1", "shared", "anna", [bad, fine], 0)
    assert list(answer.refused) == [bad.op] and list(answer.kept) == [fine.op]
    assert project.open("1", "shared").seq == 1


def test_an_operation_that_is_sent_again_counts_once(tmp_path: Path) -> None:
    project = create(tmp_path, plan(), [material()])
    one = operation(["image1_2", "labels/1", ["0"]])
    assert project.submit("1", "shared", "anna", [one, one], 0).kept == {one.op: 1}
    answer = Project(tmp_path).submit("1", "shared", "anna", [one], 0)
    assert (answer.kept, answer.seq, [new.op for new in answer.news]) == ({one.op: 1}, 1, [one.op])


def test_a_window_from_the_future_is_refused(tmp_path: Path) -> None:
    """Its base would cover values that it never saw: the folder was replaced by an older copy."""
    project = create(tmp_path, plan(), [material()])
    late = operation(["image1_2", "labels/1", ["0"]], base=7)
    assert list(project.submit("1", "shared", "anna", [late], 7).refused) == [late.op]


def test_clips_are_taken_one_after_the_other_and_go_back(tmp_path: Path) -> None:
    project = create(tmp_path, plan(), [material(name) for name in "123"])
    assert project.take("anna", now=NOW) == ("1", "shared")
    assert project.take("ben", now=NOW) == ("2", "shared")
    assert project.take("anna", now=NOW) == ("1", "shared"), "what was begun comes first"
    assert project.take("ben", "1", now=NOW) == ("1", "shared"), "a shared clip keeps nobody out"
    assert project.seats("1")["shared"].holder == "anna"
    later = NOW + timedelta(minutes=11)
    assert project.take("carla", now=later) == ("1", "shared"), "nobody worked on it, and the lease is over"
    project.submit("2", "shared", "ben", [operation(["image1_1", "labels/1", ["0"]])], 0, later)
    assert project.take("dora", now=later) == ("3", "shared")
    assert project.take("emil", now=later + timedelta(hours=9)) == ("1", "shared")
    assert project.take("fred", now=later + timedelta(hours=9)) == ("2", "shared"), "a clip that was left half done"
    assert project.open("2", "shared").labels("image1_1") == {"1": ("0",)}
    project.release("1", "emil")
    project.take("dora", "1", later)
    project.release("2", "fred")
    project.submit("1", "shared", "dora", [operation(["@clip", "done", True])], 0, later)
    assert project.take("ben", now=later) == ("2", "shared")


def test_a_clip_can_be_given_and_two_people_are_two(tmp_path: Path) -> None:
    project = create(tmp_path, plan(annotators=2), [material()])
    project.give("1", "second", "ben")
    assert project.take("ben") == ("1", "second")
    assert project.take("anna", "1") == ("1", "first")
    with pytest.raises(UserError, match="two people must be two"):
        project.give("1", "first", "ben")
    with pytest.raises(UserError, match="no seat"):
        project.give("1", "third", "carla")
    project.submit("1", "first", "anna", [operation(["image1_1", "labels/1", ["0"]])], 0)
    project.release("1", "anna")
    assert project.seats("1")["first"].holder == "anna", "work stays its author's"
    project.give("1", "first", "carla")
    assert project.take("carla") == ("1", "first")
    assert project.open("1", "first").labels("image1_1") == {"1": ("0",)}
    project.give("1", "second", "")
    assert project.take("anna") is None, "her own work is in the other seat"
    with pytest.raises(Closed, match="Two other people"):
        project.take("anna", "1")
    with pytest.raises(UserError, match="or had it: two people must be two"):
        project.give("1", "second", "anna")
    assert project.take("dora") == ("1", "second")


def test_progress_says_who_did_what(tmp_path: Path) -> None:
    project = create(tmp_path, plan(), [material()])
    assert (project.progress("1", "shared").boxes, project.progress("1", "shared").labelled) == (21, 0)
    project.submit(
        "1", "shared", "anna", [operation(["image1_1", "labels/1", ["0"]], ["image1_2", "labels/1", ["0"]])], 0
    )
    project.submit("1", "shared", "ben", [operation(["image1_2", "labels/1", ["1"]], client="window-b", base=1)], 1)
    project.submit(
        "1",
        "shared",
        "ben",
        [operation(["image1_3", "alive", False], ["image2_1", "track", 2], client="window-b", base=2)],
        1,
    )
    found = Project(tmp_path).progress("1", "shared")
    assert (found.boxes, found.labelled, found.by) == (20, 2, {"anna": 1, "ben": 1})
    assert (found.conflicts, found.doubles, found.done) == (0, 1, False)
    clip, _ = project.result("1")
    assert len(clip.regions) == 20 and not project.is_done("1")


def test_threads_share_a_project(tmp_path: Path) -> None:
    project = create(tmp_path, plan(), [material()])

    def work(client: str) -> None:
        seen = 0
        for n in range(25):
            one = operation([f"image{n % 7 + 1}_1", f"labels/{client[-1]}", ["0"]], client=client, base=seen)
            seen = project.submit("1", "shared", client, [one], seen).seq

    threads = [threading.Thread(target=work, args=(f"window-{n}",)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = Project(tmp_path).open("1", "shared")
    assert state.seq == 75 and state.conflicts() == []
    assert all(state.labels(f"image{n}_1") == {"1": ("0",), "2": ("0",), "3": ("0",)} for n in range(1, 8))


def test_the_plain_form_needs_no_format() -> None:
    clip = clip_of()
    assert clip.regions[0] == Region("image1_1", "1_000061.jpg", (20.0, 40.0, 70.0, 150.0), 1, {})
    assert [one.name for one in ATTRIBUTES] == ["head", "body", "limbs"]
