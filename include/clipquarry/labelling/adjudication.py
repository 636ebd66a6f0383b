"""Two people's work on a clip becomes one: what both say is taken, what they say differently is a conflict that a third look settles.

Nothing new is needed for that: both works are written into the journal ``agreed`` as two windows that did not see each other, and
the rule of ``state`` leaves exactly their differences as conflicts.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from clipquarry.labelling.agreement import paired
from clipquarry.labelling.model import Attribute, Clip, Region
from clipquarry.labelling.operations import (
    ALIVE,
    BOX,
    CLIP,
    COMPARED,
    DONE,
    FRAME,
    LABELS,
    MAX_WRITES,
    TRACK,
    BadOperation,
    Operation,
    Write,
)
from clipquarry.labelling.seats import FIRST, SECOND
from clipquarry.labelling.state import State


def both_works(
    made_with: Clip, first: Clip, second: Clip, attributes: tuple[Attribute, ...], before: State
) -> Iterator[tuple[str, Operation]]:
    """What is written for whom (seat, operation), in this order. A box that only one person has is a conflict. ``before``: what the
    journal has; in the frames of ``made_with`` it holds nothing but what a comparison that was killed left, which both have seen.
    """
    ones, others = {one.id: one for one in first.regions}, {one.id: one for one in second.regions}
    pairs = paired(ones.values(), others.values())
    here = {one.id for one in made_with.regions}
    frames = {one.name for one in made_with.frames}
    there = {one for one in before.alive() if before.value(one, FRAME) in frames}
    mine: list[Write] = []
    theirs: list[Write] = []
    for region in first.regions:
        same = others.get(pairs.same.get(region.id, ""))
        mine += [Write(region.id, FRAME, region.frame)] if region.id not in here else []
        mine += _values(region, attributes)
        if same is None:
            theirs.append(Write(region.id, ALIVE, False))
        else:
            theirs += [replace(one, region=region.id) for one in _values(same, attributes)]
    for name in pairs.second_only:
        theirs += [Write(name, FRAME, others[name].frame)] if name not in here else []
        theirs += _values(others[name], attributes)
    neither = there - set(ones) - set(others)
    after = [Write(name, ALIVE, False) for name in (*pairs.second_only, *sorted(neither))]
    for seat, writes in ((FIRST, mine), (SECOND, theirs), (FIRST, after)):
        for begin in range(0, len(writes), MAX_WRITES):
            part = (replace(one, resolves=True) for one in writes[begin : begin + MAX_WRITES])
            yield seat, _operation(f"of-{seat}-person", before.seq, part)


def compared(frames: Iterable[str], state: State) -> Operation:
    """What is written behind both works: that these ``frames`` are compared, and where nothing is left to settle, because both say
    the same everywhere, that the clip is done. ``state``: after both works.
    """
    settled = not state.conflicts() and not state.doubles()
    writes = [Write(CLIP, COMPARED, tuple(frames)), *([Write(CLIP, DONE, True)] if settled else [])]
    return _operation("of-both-people", state.seq, writes)


def check_compared(operation: Operation, frame_of: Mapping[str, str], frames: Container[str], *, agreed: bool) -> None:
    """Raise BadOperation for one that writes into compared ``frames`` after both works became one, or into others of what came out
    (``agreed``) before. ``frame_of``: known boxes and their frames.
    """
    new = {one.region: one.value for one in operation.writes if one.field == FRAME}
    for write in operation.writes:
        frame = new.get(write.region) or frame_of.get(write.region)
        if frame is not None and (frame in frames) != agreed:
            raise BadOperation(
                f"The frame {frame} waits for both people's work: compare it first."
                if agreed
                else f"Both people's work in the frame {frame} was compared: change what came out of it instead."
            )


def _values(region: Region, attributes: tuple[Attribute, ...]) -> list[Write]:
    """Everything that a person says of a box: its place and number, and the labels of each attribute. Where the other one says the
    same it is no conflict.
    """
    labels = [Write(region.id, f"{LABELS}{one.id}", tuple(region.labels.get(one.id, ()))) for one in attributes]
    return [Write(region.id, BOX, region.box), Write(region.id, TRACK, region.track), *labels]


def _operation(client: str, base: int, writes: Iterable[Write]) -> Operation:
    return Operation(uuid.uuid4().hex, client, base, "both", tuple(writes))
