"""Crops that two people label without seeing each other's work: what each waits for, and how far the two agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from clipquarry.annotations.own_ava.actions import Attributes, in_order, offsets
from clipquarry.annotations.own_ava.placed import write_table
from clipquarry.families.boxes.own.counts import BY_ONE, TO_SETTLE, WAITING, WRONG, CropLabels
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import ToLabel
from clipquarry.labelling.project import Progress, Project
from clipquarry.labelling.seats import AGREED, FIRST, SECOND
from clipquarry.labelling.two_people import Stage, agreed, stage

COLUMNS = (
    "action", "group", "name", "clips", "boxes", "boxes_of_one", "both", "first_only", "second_only", "neither", "agreed", "kappa",
)  # fmt: skip
"""``clips`` on which both are done, ``boxes`` that both have and ``boxes_of_one`` that only one has are the same in all rows;
``agreed`` is the share of boxes on which both say the same, ``kappa`` Cohen's, and empty where it has no value.
"""
_STATES = {Stage.OPEN: WAITING, Stage.ONE: BY_ONE}
_WAITING = {
    WAITING: "wait for both", BY_ONE: "for the second", TO_SETTLE: "to be compared and settled",
    WRONG: "for a finished project to be moved away",
}  # fmt: skip


def state_of(page: Project | None, one: ToLabel) -> str:
    """What a crop that is not labelled waits for, as its state in ``own/label_crops.csv``. ``page``: only where it is two people's."""
    if page is None or one.crop not in page.clips:
        return WAITING
    return _STATES.get(stage(page, one.crop), TO_SETTLE)


def left_to_do(page: Project, crop: str) -> str:
    """What a crop that is not final waits for, as a sentence."""
    found = stage(page, crop)
    first, second = (page.progress(crop, seat) for seat in (FIRST, SECOND))
    if found is Stage.OPEN:
        return f"It waits for two people on the page: the first has {_far(first)}, the second {_far(second)}."
    if found is Stage.ONE:
        return (
            f"One of two people is done, and it waits for the second, who has {_far(second if first.done else first)}."
        )
    if found is Stage.BOTH:
        return "Both people are done: it waits for somebody to compare what they said and to settle the differences on the page."
    settled = page.progress(crop, AGREED)
    if differences := settled.conflicts + settled.doubles:
        return f"Both people are done, and how they differ waits to be settled on the page (X): {differences} left."
    return "All differences are settled on the page, and nobody says that it is done (F)."


def _far(progress: Progress) -> str:
    return f"{progress.labelled} of {progress.boxes} boxes with an action"


def counted(told: Iterable[CropLabels]) -> str:
    """How many crops wait for what, in words: ``3 wait for both, 1 for the second, 2 to be compared and settled``."""
    numbers = Counter(one.state for one in told)
    return ", ".join(f"{numbers[state]} {words}" for state, words in _WAITING.items() if numbers[state])


def write_agreement(place: OwnFiles, page: Project | None, crops: Sequence[ToLabel], attributes: Attributes) -> None:
    """Write ``own/agreement.csv`` over the crops on which both people are done so far. ``page``: only where it is two people's; without
    it there is no file.
    """
    place.agreement.unlink(missing_ok=True)
    if page is None:
        return
    found = agreed(page, {one.crop: frozenset(one.frames) for one in crops})
    by_action = {(one.attribute, one.option): one for one in found.actions}
    before = offsets(attributes)
    rows = []
    for key in in_order(attributes):
        for at, name in enumerate(attributes[key].options):
            if (one := by_action.get((key, str(at)))) is None:
                continue  # an action that the page has not yet
            shares = ("" if value is None else f"{value:.4f}" for value in (one.agreed, one.kappa))
            rows.append(
                (before[key] + at + 1, attributes[key].name, name, found.clips, found.boxes, found.alone,
                 one.both, one.first, one.second, one.neither, *shares)
            )  # fmt: skip
    write_table(place.agreement, COLUMNS, rows)
