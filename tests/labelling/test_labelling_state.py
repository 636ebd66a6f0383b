"""How operations of several people merge: nothing that a person wrote disappears unless a person saw it."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

from clipquarry.labelling.operations import Operation, parsed
from clipquarry.labelling.state import State, folded, inverse
from labelling_world import clip_of, operation

CLIP = clip_of()


def after(*operations: Operation) -> State:
    return folded(CLIP, (replace(one, seq=n, by=one.client) for n, one in enumerate(operations, 1)))


def said(state: State, region: str, field: str) -> list[Any]:
    return [one.value for one in state.regions[region][field]]


def test_operations_on_different_boxes_and_groups_commute() -> None:
    apart = [
        operation(["image1_1", "labels/1", ["0"]], client="window-a"),
        operation(["image1_1", "labels/2", ["1"]], client="window-b"),
        operation(["image1_2", "labels/1", ["1"]], client="window-b"),
        operation(["image2_1", "box", [1, 2, 30, 40]], client="window-c"),
    ]
    seen = {str(after(*order).clip(CLIP)) for order in itertools.permutations(apart)}
    assert len(seen) == 1
    state = after(*apart)
    assert state.labels("image1_1") == {"1": ("0",), "2": ("1",)}
    assert state.conflicts() == []


def test_two_people_on_one_box_and_group_are_a_conflict_until_somebody_chooses() -> None:
    talk = operation(["image1_1", "labels/1", ["0"]], client="window-a")
    bow = operation(["image1_1", "labels/1", ["1"]], client="window-b")
    both = after(talk, bow)
    assert said(both, "image1_1", "labels/1") == [("0",), ("1",)]
    assert both.labels("image1_1") == {"1": ("0",)}, "the earlier one is shown"
    (conflict,) = both.conflicts()
    assert [one.by for one in conflict.values] == ["window-a", "window-b"]
    unaware = after(talk, bow, operation(["image1_1", "labels/1", []], client="window-c", base=2))
    assert len(unaware.conflicts()) == 1, "a key that knows nothing of the conflict does not end it"
    chosen = after(talk, bow, operation(["image1_1", "labels/1", ["0", "1"], True], client="window-b", base=2))
    assert chosen.conflicts() == [] and chosen.labels("image1_1") == {"1": ("0", "1")}


def test_a_choice_does_not_take_what_came_after_it_was_looked_at() -> None:
    three = [operation(["image1_1", "track", n], client=f"window-{n}") for n in (7, 8, 9)]
    state = after(*three[:2], three[2], operation(["image1_1", "track", 7, True], client="window-7", base=2))
    assert sorted(said(state, "image1_1", "track")) == [7, 9]


def test_the_same_said_twice_is_no_conflict() -> None:
    twice = [operation(["image1_1", "labels/1", ["0"]], client=f"window-{one}") for one in "ab"]
    assert after(*twice).conflicts() == []


def test_what_a_person_saw_may_be_changed() -> None:
    first = operation(["image1_1", "labels/1", ["0"]], client="window-a")
    seen = operation(["image1_1", "labels/1", ["1"]], client="window-b", base=1)
    assert said(after(first, seen), "image1_1", "labels/1") == [("1",)]


def test_keys_of_one_window_follow_one_another_without_an_answer_in_between() -> None:
    keys = [operation(["image1_1", "labels/1", value], base=0) for value in (["0"], ["0", "1"], ["1"])]
    assert said(after(*keys), "image1_1", "labels/1") == [("1",)]


def test_deleted_by_one_and_changed_by_another_is_a_conflict_whoever_came_first() -> None:
    gone = operation(["image1_1", "alive", False], client="window-a", what="delete")
    moved = operation(["image1_1", "box", [1, 1, 20, 20]], client="window-b", what="box")
    for order in ((gone, moved), (moved, gone)):
        state = after(*order)
        assert [one.field for one in state.conflicts()] == ["alive"]
        assert sorted(said(state, "image1_1", "alive")) == [False, True]
        assert "image1_1" in state.alive(), "it is shown until somebody chooses"
    settled = after(gone, moved, operation(["image1_1", "alive", False, True], client="window-b", base=2))
    assert "image1_1" not in settled.alive() and settled.conflicts() == []


def test_a_box_that_was_deleted_knowingly_is_gone() -> None:
    moved = operation(["image1_1", "box", [1, 1, 20, 20]], client="window-b")
    gone = operation(["image1_1", "alive", False], client="window-a", base=1)
    assert "image1_1" not in after(moved, gone).alive()


def test_a_new_box_and_two_people_of_one_number() -> None:
    frame = CLIP.frames[0].name
    new = operation(["n1", "frame", frame], ["n1", "box", [5, 5, 30, 30]], ["n1", "track", 1], what="add")
    state = after(new)
    assert state.doubles() == [(frame, 1, ("image1_1", "n1"))]
    assert state.clip(CLIP).regions[3].box == (5, 5, 30, 30)


def test_an_operation_and_its_inverse_show_what_was_before() -> None:
    frame = CLIP.frames[1].name
    made = after(operation(["image2_1", "labels/1", ["0"]]))
    for one in (
        operation(["image2_1", "labels/1", []], ["image2_2", "labels/2", ["1"]]),
        operation(["image2_1", "alive", False]),
        operation(["image2_1", "track", 9], ["image3_1", "track", 9], what="split"),
        operation(["new", "frame", frame], ["new", "box", [1, 1, 9, 9]], what="add"),
        operation(["@clip", "done", True], what="done"),
    ):
        before = State.from_plain(made.plain())
        state = State.from_plain(made.plain())
        state.apply(replace(one, seq=2))
        undone = replace(operation(["x", "box", 1], base=2), writes=tuple(inverse(before, one)), seq=3)
        state.apply(undone)
        assert state.clip(CLIP) == before.clip(CLIP)
        assert state.done == before.done


def random_operations(rng: random.Random, number: int) -> list[dict[str, Any]]:
    """As windows make them that hear of each other late; the browser's test applies them too."""
    made: list[dict[str, Any]] = []
    regions = [one.id for one in CLIP.regions[:4]]
    for n in range(number):
        region = rng.choice(regions)
        write = rng.choice(
            [
                [region, "labels/1", rng.choice([[], ["0"], ["1"], ["0", "1"]])],
                [region, "labels/2", rng.choice([[], ["0"], ["1"]])],
                [region, "box", [rng.randrange(9), 1, 20, 30]],
                [region, "track", rng.choice([None, 1, 2])],
                [region, "alive", rng.random() < 0.5],
                ["@clip", "done", rng.random() < 0.5],
            ]
        )
        if rng.random() < 0.3:
            write.append(True)
        writes = [write]
        if rng.random() < 0.1:
            regions.append(f"new-{n}")
            writes = [[f"new-{n}", "frame", rng.choice(CLIP.frames).name], [f"new-{n}", "box", [1, 1, 9, 9]]]
        client = f"window-{rng.randrange(3)}"
        made.append(
            {"seq": n + 1, "op": f"op-{n:08d}", "client": client, "by": client, "base": rng.randrange(max(0, n - 6), n + 1), "what": "any", "writes": writes}
        )  # fmt: skip
    return made


def test_a_value_disappears_only_by_a_window_that_saw_it() -> None:
    """Whatever comes: a value that is gone was replaced by its own window, by one that had seen it, or says the same."""
    for seed in range(60):
        state = State.of(CLIP)
        for told in random_operations(random.Random(seed), 60):
            op = parsed(told)
            before = {
                (region, field): list(values) for region, fields in state.regions.items() for field, values in fields.items()
            }  # fmt: skip
            state.apply(op)
            for (region, field), values in before.items():
                for gone in (one for one in values if one not in state.regions[region][field]):
                    write = next(one for one in op.writes if (one.region, one.field) == (region, field))
                    seen = gone.seq <= op.base and (len(values) == 1 or write.resolves)
                    assert seen or gone.client == op.client or gone.value == write.value
