"""Kappa against published values, and two people's work that becomes one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from clipquarry.labelling.agreement import ActionAgreement, agreement, overlap, paired
from clipquarry.labelling.model import Region
from clipquarry.labelling.project import Closed, Project, create
from clipquarry.labelling.two_people import agreed, compare
from labelling_world import ATTRIBUTES, clip_of, material, operation, plan


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        ((20, 5, 10, 15), 0.4),  # the examples of Wikipedia's page on Cohen's kappa
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
        ((10, 0, 0, 10), 1.0),
        ((0, 10, 10, 0), -1.0),
        ((22, 2, 7, 19), 0.6423),  # 41/50 agree, by chance 0.4968: by hand
    ],
)
def test_kappa_of_known_tables(counts: tuple[int, int, int, int], kappa: float) -> None:
    both, first, second, neither = counts
    assert ActionAgreement("1", "0", both, first, second, neither).kappa == pytest.approx(kappa, abs=5e-5)


def test_kappa_has_no_value_where_chance_explains_everything() -> None:
    assert ActionAgreement("1", "0").kappa is None
    assert ActionAgreement("1", "0", neither=50).kappa is None
    assert ActionAgreement("1", "0", neither=50).agreed == 1.0
    assert ActionAgreement("1", "0", first=1, neither=49).kappa == 0.0


def test_agreement_counts_boxes_that_both_have() -> None:
    clip = clip_of(seconds=1)
    first = [replace(one, labels={"1": ("0",)}) for one in clip.regions]
    second = [replace(clip.regions[0], labels={"1": ("0", "1")}), clip.regions[1]]
    told = agreement([(first, second)], ATTRIBUTES)
    found = {(one.attribute, one.option): one for one in told.actions}
    assert found[("1", "0")] == ActionAgreement("1", "0", both=1, first=1)
    assert found[("1", "1")] == ActionAgreement("1", "1", second=1, neither=1)
    assert len(found) == 7 and (told.clips, told.boxes, told.alone) == (1, 2, 1)


def test_drawn_boxes_are_paired_by_their_place() -> None:
    def drawn(name: str, x: float, frame: str = "f") -> Region:
        return Region(name, frame, (x, 0.0, 100.0, 100.0))

    assert overlap(drawn("a", 0).box, drawn("b", 50).box) == pytest.approx(1 / 3)
    pairs = paired(
        [drawn("a", 0), drawn("b", 20), drawn("c", 500)], [drawn("x", 5), drawn("y", 25), drawn("z", 500, "g")]
    )
    assert pairs.same == {"a": "x", "b": "y"}
    assert (pairs.first_only, pairs.second_only) == (("c",), ("z",))


def test_what_two_people_say_differently_is_a_conflict_and_the_rest_is_taken(tmp_path: Path) -> None:
    project = create(tmp_path, plan(annotators=2), [material()])
    clip = project.material("1").clip
    frame = clip.frames[0].name
    assert project.take("anna") == ("1", "first")
    assert project.take("ben") == ("1", "second")
    assert project.take("carla") is None
    with pytest.raises(Closed, match="Two other people"):
        project.take("carla", "1")
    with pytest.raises(Closed, match="first"):
        compare(project, "1")
    same = [["image1_1", "labels/1", ["0"]], ["image1_2", "labels/2", ["1"]]]
    done = ["@clip", "done", True]
    ours = [["n1", "frame", frame], ["n1", "box", [200, 10, 50, 60]], ["n1", "labels/3", ["0"]]]
    theirs = [["m1", "frame", frame], ["m1", "box", [202, 10, 50, 60]], ["m1", "labels/3", ["0"]]]
    alone = [["m2", "frame", frame], ["m2", "box", [1, 1, 20, 20]]]
    project.submit(
        "1",
        "first",
        "anna",
        [operation(*same, ["image1_3", "labels/1", ["1"]], *ours, ["image2_1", "alive", False], done)],
        0,
    )
    project.submit(
        "1", "second", "ben", [operation(*same, *theirs, *alone, ["image2_2", "track", 9], done, client="window-b")], 0
    )
    with pytest.raises(Closed, match="is anna's"):
        project.submit("1", "first", "ben", [operation(["image1_1", "track", 4])], 0)
    for _ in range(2):  # a second time changes nothing
        state = compare(project, "1")
        assert {(one.region, one.field): [value.by for value in one.values] for one in state.conflicts()} == {
            ("image1_3", "labels/1"): ["anna", "ben"], ("n1", "box"): ["anna", "ben"], ("m2", "alive"): ["ben", "anna"],
            ("image2_1", "alive"): ["ben", "anna"], ("image2_2", "track"): ["anna", "ben"],
        }  # fmt: skip
    assert state.labels("image1_1") == {"1": ("0",)} and state.labels("n1") == {"3": ("0",)}
    with pytest.raises(Closed, match="compared"):
        project.submit("1", "first", "anna", [operation(["image1_1", "track", 4])], 0)
    seq = state.seq
    choices = [[one.region, one.field, one.values[0].value, True] for one in state.conflicts()]
    answer = project.submit("1", "agreed", "carla", [operation(*choices, done, client="window-c", base=seq)], seq)
    assert not answer.refused
    assert project.is_done("1")
    clip, progress = project.result("1")
    assert (progress.done, progress.conflicts) == (True, 0)
    assert {one.id for one in clip.regions} >= {"n1", "m2", "image2_1"} and "m1" not in {one.id for one in clip.regions}
    told = agreed(project)
    assert (told.clips, told.boxes, told.alone) == (1, 21, 2)
    assert {(one.attribute, one.option): one.both for one in told.actions}[("3", "0")] == 1
    assert Project(tmp_path).is_done("1"), "another server says so too"
