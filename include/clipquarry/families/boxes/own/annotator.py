"""An automatic annotator: says in a person's place, and in a person's way, what the people of a labelling project do.

It takes clips as a person does, and hands its work in as a page's server does, so that all that holds for people's work holds for
its own. It looks at boxes alone: whoever moves walks, all others stand, and those watch who stand while somebody walks. That is
good enough for a demo, and for nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from statistics import fmean

from clipquarry.errors import UserError
from clipquarry.labelling.model import Clip, Region
from clipquarry.labelling.operations import BOX, CLIP, DONE, FRAME, LABELS, TRACK, Operation, Write
from clipquarry.labelling.project import Project

ACTIONS = "posture: [stand, {name: walk, key: w}]\neyes: [watch]\n"
"""The list of actions that it knows."""
NAME = "automatic annotator"
STANDS, WALKS, WATCHES = ("1", "0"), ("1", "1"), ("2", "0")
"""Group and action, by their ids in a project with these actions."""
_MOVES = 0.03
"""Share of the frame's width: whoever goes farther walks. Boxes of somebody who stands differ by less."""


def label_all(project: Project) -> Iterator[str]:
    """Label every clip that is not done, and say of each that it is; a sentence for each clip. Raises UserError where work is refused."""
    while (taken := project.take(NAME)) is not None:
        clip, seat = taken
        state = project.open(clip, seat)
        now = state.clip(project.material(clip).clip)
        chosen = what_they_do(now)
        writes = [
            Write(region, f"{LABELS}{group}", (action,)) for region, acts in chosen.items() for group, action in acts
        ]
        told = f"{clip}: {len(chosen)} boxes in {len(now.frames)} key frames are labelled"
        if not now.regions:
            writes = [*_drawn(now)]
            told = f"{clip}: nobody was found in {len(now.frames)} key frames, so all of the first one is labelled as a person"
        name = uuid.uuid4().hex
        done = Operation(name, name, state.seq, "label", (*writes, Write(CLIP, DONE, True)))
        answer = project.submit(clip, seat, NAME, [done], state.seq)
        if answer.refused:
            raise UserError(f"The clip {clip} cannot be labelled: {' '.join(answer.refused.values())}")
        project.release(clip, NAME)
        yield told


def what_they_do(clip: Clip) -> dict[str, tuple[tuple[str, str], ...]]:
    """Groups and actions of every box of a clip, by the region's id."""
    width = {frame.name: frame.width for frame in clip.frames}
    walking = {person for person, boxes in _people(clip.regions).items() if _goes(boxes, width) > _MOVES}
    return {
        one.id: (WALKS,) if _person(one) in walking else (STANDS, WATCHES) if walking else (STANDS,)
        for one in clip.regions
    }


def _person(region: Region) -> str:
    """Whoever has no number is somebody for himself."""
    return region.id if region.track is None else str(region.track)


def _people(regions: Iterable[Region]) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    for one in regions:
        found.setdefault(_person(one), []).append(one)
    return found


def _goes(boxes: list[Region], width: Mapping[str, int]) -> float:
    """How far a person goes from one key frame to the next, on average, as a share of the frame's width."""
    middles = [(one.box[0] + one.box[2] / 2) / width[one.frame] for one in boxes]
    return fmean(abs(b - a) for a, b in pairwise(middles)) if len(middles) > 1 else 0.0


def _drawn(clip: Clip) -> Iterator[Write]:
    """A person in the first key frame who fills it, so that a clip in which nobody was found is labelled too."""
    frame, region = clip.frames[0], "drawn-1"
    yield Write(region, FRAME, frame.name)
    yield Write(region, BOX, (0.0, 0.0, float(frame.width), float(frame.height)))
    yield Write(region, TRACK, 0)
    yield Write(region, f"{LABELS}{STANDS[0]}", (STANDS[1],))
