"""Two people's work on a clip becomes one: what both say is taken, what they say differently is a conflict that a third look settles.

Nothing new is needed for that: both works are written into the journal ``agreed`` as two windows that did not see each other, and
the rule of ``state`` leaves exactly their differences as conflicts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from clipquarry.labelling.agreement import paired
from clipquarry.labelling.model import Attribute, Clip, Region
from clipquarry.labelling.operations import ALIVE, BOX, FRAME, LABELS, MAX_WRITES, TRACK, Operation, Write
from clipquarry.labelling.seats import FIRST, SECOND

_NAMES = uuid.UUID("5f0f8f1e-55a5-4cb2-9a65-0c2a3f1f9a11")


def both_works(
    made_with: Clip, first: Clip, second: Clip, attributes: tuple[Attribute, ...]
) -> list[tuple[str, Operation]]:
    """What is written for whom (seat, operation), in this order. The names of the operations follow from the clip, so that a
    server that was killed in between writes the rest, and nothing twice. A box that only one person has is a conflict.
    """
    ones, others = {one.id: one for one in first.regions}, {one.id: one for one in second.regions}
    pairs = paired(ones.values(), others.values())
    here = {one.id for one in made_with.regions}
    mine: list[Write] = []
    theirs: list[Write] = []
    for region in first.regions:
        same = others.get(pairs.same.get(region.id, ""))
        mine += _begun(region) if region.id not in here else []
        mine += _values(region, attributes, same)
        if same is None:
            theirs.append(Write(region.id, ALIVE, False))
        else:
            theirs += [Write(region.id, one.field, one.value) for one in _values(same, attributes, region)]
    for name in pairs.second_only:
        theirs += _begun(others[name]) if name not in here else []
        theirs += _values(others[name], attributes, None)
    neither = here - set(ones) - set(others)
    after = [Write(name, ALIVE, False) for name in (*pairs.second_only, *sorted(neither))]
    return [
        (seat, one)
        for seat, part, writes in ((FIRST, "", mine), (SECOND, "", theirs), (FIRST, "rest", after))
        for one in _operations(f"{made_with.id}\n{seat}\n{part}", seat, writes)
    ]


def _begun(region: Region) -> list[Write]:
    return [
        Write(region.id, FRAME, region.frame),
        Write(region.id, BOX, region.box),
        Write(region.id, TRACK, region.track),
    ]


def _values(region: Region, attributes: tuple[Attribute, ...], other: Region | None) -> list[Write]:
    """Everything that a person says of a box: labels of each attribute, and place and number where another one may differ."""
    writes = [Write(region.id, f"{LABELS}{one.id}", tuple(region.labels.get(one.id, ()))) for one in attributes]
    if other is not None and other.box != region.box:
        writes.append(Write(region.id, BOX, region.box))
    if other is not None and other.track != region.track:
        writes.append(Write(region.id, TRACK, region.track))
    return writes


def _operations(name: str, seat: str, writes: list[Write]) -> Iterator[Operation]:
    for begin in range(0, len(writes), MAX_WRITES):
        op = str(uuid.uuid5(_NAMES, f"{name}\n{begin}"))
        yield Operation(op, f"of-{seat}-person", 0, "both", tuple(writes[begin : begin + MAX_WRITES]))
