"""Clips that two people label without seeing each other's work: how far they are, their comparison, and how far the two agree."""

from __future__ import annotations

from collections.abc import Container, Mapping
from contextlib import ExitStack
from enum import StrEnum

from clipquarry.errors import UserError
from clipquarry.labelling.adjudication import both_works, compared
from clipquarry.labelling.agreement import Agreement, agreement
from clipquarry.labelling.project import Closed, Project
from clipquarry.labelling.seats import AGREED, FIRST, SECOND
from clipquarry.labelling.state import State


class Stage(StrEnum):
    """How far two people's clip is: nobody of both is done, one is, both are, their works are compared, all is settled."""

    OPEN = "open"
    ONE = "one"
    BOTH = "both"
    COMPARED = "compared"
    FINAL = "final"


def stage(project: Project, clip: str) -> Stage:
    """How far a clip of a project for two people is. Raises UserError for another project, or a clip that it has not."""
    _check(project)
    if project.is_done(clip):
        return Stage.FINAL
    if project.is_compared(clip):
        return Stage.COMPARED
    return (Stage.OPEN, Stage.ONE, Stage.BOTH)[sum(project.progress(clip, seat).done for seat in (FIRST, SECOND))]


def compare(project: Project, clip: str) -> State:
    """What comes out of both people's work on a clip, begun when both are done: their differences are conflicts. Where there are
    none, nothing is left to settle, and the clip is done. Frames that the clip got since are compared when both are done again.

    Raises Closed before.
    """
    _check(project)
    journal, material = project.journal(clip, AGREED), project.material(clip)
    holders = {name: seat.holder for name, seat in project.seats(clip).items()}
    with ExitStack() as held:  # nobody says anything meanwhile
        works = {seat: held.enter_context(project.journal(clip, seat).opened()).state for seat in (FIRST, SECOND)}
        opened = held.enter_context(journal.opened())
        known = opened.state.compared
        frames = [one.name for one in material.asked().frames if one.name not in known]
        if frames:
            if waits := [seat for seat, work in works.items() if not work.done]:
                raise Closed(f"Of the clip {clip} the work of {' and '.join(waits)} is not done.")
            begun, first, second = (
                one.on(frames.__contains__)
                for one in (material.clip, *(work.clip(material.clip) for work in works.values()))
            )
            for seat, operation in list(both_works(begun, first, second, project.plan.attributes, opened.state)):
                opened.append([operation], holders[seat] or seat)
            opened.append([compared([*known, *frames], opened.state.without(material.aside))], "both people")
    return project.open(clip, AGREED)


def agreed(project: Project, frames: Mapping[str, Container[str]] | None = None) -> Agreement:
    """The agreement on each action, over the clips on which both people are done. ``frames``: only these frames of these clips."""
    two = project.plan.annotators == 2
    chosen = [one for one in project.clips if two and (frames is None or one in frames)]
    both = [one for one in chosen if all(project.progress(one, seat).done for seat in (FIRST, SECOND))]
    works = ([project.work(clip, seat) for seat in (FIRST, SECOND)] for clip in both)
    pairs = (
        [
            [one for one in work.regions if frames is None or one.frame in frames[work.id]]
            for work in of_clip
        ]
        for of_clip in works
    )  # fmt: skip
    return agreement(((first, second) for first, second in pairs), project.plan.attributes)


def _check(project: Project) -> None:
    if project.plan.annotators != 2:
        raise UserError("In this project one person labels each clip: there is nothing to compare.")
