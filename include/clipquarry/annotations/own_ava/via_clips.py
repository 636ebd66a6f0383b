"""VIA 3 projects as clips with boxes, and back: names of actions in the place of options' numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.actions import Attributes, Kind, action_names, in_order
from clipquarry.annotations.own_ava.frame_boxes import Clip, FrameBox, box_problem
from clipquarry.annotations.own_ava.key_frames import parse_frame_name
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import Project, Region, Size, ViaFile
from clipquarry.errors import UserError

_TEXTS = (Kind.TEXT, Kind.IMAGE)


class LeftOut(NamedTuple):
    """What does not come through: of which clip and frame (from 1), what, and why."""

    clip: str
    frame: int
    what: str
    why: str


NO_NUMBERS = "a VIA project has no numbers of people: a run gives them, by its tracks or by the overlap of boxes"
NO_SCORES = "the format has no scores"


def lost_tracks(clip: Clip, boxes: Iterable[FrameBox], why: str) -> list[LeftOut]:
    """The tracks of ``boxes`` as they are lost, box by box; not those of one box, which say of nobody who he is elsewhere."""
    boxes = list(boxes)
    many = Counter(box.track for box in boxes)
    return [
        LeftOut(clip.name, box.frame, f"track {box.track}", why)
        for box in boxes
        if box.track is not None and many[box.track] > 1
    ]


@dataclass
class Found:
    """What was read: clips by name, faults, what did not fit, and the groups of actions where the format has them."""

    clips: list[Clip] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)
    attributes: Attributes | None = None


def clips_of_project(project: Project, where: str, size_of: Callable[[str], Size | None]) -> Found:
    """The clips of a project, each with all its frames; ``size_of`` gives the size of a frame by its file's name."""
    many = Counter(action_names(project.attributes).values()).most_common(1)
    if many and many[0][1] > 1:
        raise UserError(f"{where} has the action {visible(many[0][0], 60)!r} in two groups: rename one of them.")
    found = Found(attributes=project.attributes)
    clips: dict[str, Clip] = {}
    place_of: dict[str, tuple[Clip, int]] = {}
    for key, one in project.files.items():
        try:
            frame = parse_frame_name(one.name)
        except UserError as error:
            found.refused.append(Refused(f"{where}, file {key}", str(error)))
            continue
        size = size_of(one.name)
        if size is None:
            why = "The size of its frame is unknown: name the folder of frames by --frames, or their size by --size."
            found.refused.append(Refused(f"{where}, {one.name}", why))
            continue
        clip = clips.setdefault(frame.video, Clip(frame.video, size))
        if clip.size != size:
            why = "Its size differs from the clip's other frames: make the frames again."
            found.refused.append(Refused(f"{where}, {one.name}", why))
            continue
        clip.names[frame.number] = one.name
        place_of[one.name] = clip, frame.number
    for key, region in project.regions.items():
        name = project.file_of(region).name
        if name in place_of:
            clip, number = place_of[name]
            left, top, width, height = region.box
            labels = tuple(_labels(project.attributes, region))
            box = FrameBox(number, left, top, left + width, top + height, labels=labels)
            if problem := box_problem(box, clip.size):
                found.refused.append(Refused(f"{where}, region {visible(key, 40)!r} on {name}", problem))
                continue
            clip.boxes.append(box)
            found.left += [
                LeftOut(
                    clip.name,
                    number,
                    f"text of {visible(project.attributes[one].name, 40)!r}",
                    "only choices are actions",
                )
                for one, text in region.choices.items()
                if text and project.attributes[one].kind in _TEXTS
            ]
    found.clips = [clips[name] for name in sorted(clips)]
    return found


def _labels(attributes: Attributes, region: Region) -> Iterable[str]:
    for key in in_order(region.choices):
        if region.choices[key] and attributes[key].kind not in _TEXTS:
            yield from (attributes[key].options[int(option)] for option in region.choices[key].split(","))


def project_of_clips(
    clips: Sequence[Clip], attributes: Attributes, frames: Sequence[str] | None = None
) -> tuple[Project, list[Refused]]:
    """One project of all ``clips``: a file and a view a frame, by clip and number; or the ``frames`` of one clip, in their order.

    Boxes of other frames are none of it. An action that no group has is refused.
    """
    project, refused = Project(attributes), list[Refused]()
    choice_of = {name: (key, str(place)) for key in attributes for place, name in enumerate(attributes[key].options)}
    numbers = (
        [(clip, number) for clip in clips for number in sorted({*clip.names, *(box.frame for box in clip.boxes)})]
        if frames is None
        else [(clip, parse_frame_name(name).number) for clip in clips for name in frames]
    )
    of_frame: dict[tuple[str, int], list[FrameBox]] = {}
    for clip in clips:
        for box in clip.boxes:
            of_frame.setdefault((clip.name, box.frame), []).append(box)
    for place, (clip, number) in enumerate(numbers, 1):
        project.files[str(place)] = ViaFile(clip.frame_name(number) if frames is None else frames[place - 1])
        project.views[str(place)] = (str(place),)
        for many, box in enumerate(of_frame.get((clip.name, number), ()), 1):
            chosen: dict[str, list[str]] = {key: [] for key in in_order(attributes)}
            for label in dict.fromkeys(box.labels):
                if label in choice_of:
                    key, option = choice_of[label]
                    chosen[key].append(option)
                else:
                    why = f"The action {visible(label, 60)!r} is not in the list of actions: add it, or correct it."
                    refused.append(Refused(f"{clip.name}, frame {number}", why))
            choices = {key: ",".join(sorted(options, key=int)) for key, options in chosen.items()}
            sides = box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1
            project.regions[f"image{place}_{many}"] = Region(str(place), sides, choices)
    return project, refused
