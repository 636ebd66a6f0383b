"""Labels of other tools as the finished projects of a data set's crops, and the crops' projects for other tools.

A crop's folder holds the frames to label and ``{crop}_proposal.json``, which says the frames and the groups of actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.annotations.own_ava.exchange import FINISHED, FrameSizes
from clipquarry.annotations.own_ava.frame_boxes import Clip
from clipquarry.annotations.own_ava.key_frames import parse_frame_name, video_problem
from clipquarry.annotations.own_ava.placed import check_place, place_file
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_clips import (
    NO_NUMBERS,
    NO_SCORES,
    Found,
    LeftOut,
    clips_of_project,
    lost_tracks,
    project_of_clips,
)
from clipquarry.annotations.own_ava.via_project import Size, project_text
from clipquarry.annotations.own_ava.via_reading import parse_project, read_project
from clipquarry.errors import UserError

PROPOSED = "_proposal.json"
VIA = "via"
"""Folder of the annotations with what was labelled, as projects of VIA."""
MIDDLE = "choose_frames_middle"
"""The reference's name of the folder with the crops' frames to label."""


@dataclass
class Finished:
    """Projects to write by their path, what of the file did not fit, faults, and the crops that the file does not name."""

    texts: dict[Path, str] = field(default_factory=dict)
    boxes: int = 0
    left: list[LeftOut] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


def crops_in(middle: Path) -> list[str]:
    """Names of the crops that a run made projects for. Raises :class:`UserError` where there is none."""
    try:
        names = sorted(one.name for one in middle.iterdir() if (one / f"{one.name}{PROPOSED}").is_file())
    except OSError:
        names = []
    if not names:
        raise UserError(f"No crop is there to label in {middle}: run the data set with labels=true first.")
    return names


def finished_of(middle: Path, found: Found, measure: Callable[[Path], Size | None]) -> Finished:
    """The finished project of every crop that ``found`` names, checked as a run checks it; nothing is written."""
    crops = crops_in(middle)
    done = Finished(left=list(found.left), refused=list(found.refused))
    for clip in found.clips:
        if clip.name in crops and not video_problem(clip.name):
            _finish(middle / clip.name, clip, measure, done)
        else:
            why = f"No crop of this name is there to label (there is {crops[0]!r}, and so on): rename the clip or its frames."
            done.refused.append(Refused(clip.name[:80], why))
    done.without = sorted(set(crops) - {clip.name for clip in found.clips})
    return done


def _finish(folder: Path, clip: Clip, measure: Callable[[Path], Size | None], done: Finished) -> None:
    proposal = read_project(folder / f"{clip.name}{PROPOSED}")
    frames = [one.name for one in proposal.project.files.values()]
    sizes = {name: size for name in frames if (size := measure(folder / name)) is not None}
    for name in frames:
        if name not in sizes:
            done.refused.append(Refused(name, "The frame is missing or broken: run the data set again."))
        elif sizes[name] != clip.size:
            (w, h), (width, height) = sizes[name], clip.size
            why = f"The file says {width}x{height} pixels, and the frame has {w}x{h}: label the crop's own frames."
            done.refused.append(Refused(name, why))
    numbers = {parse_frame_name(name).number for name in frames}
    there = [box for box in clip.boxes if box.frame in numbers]
    shown = f"the frames to label are {min(numbers, default=0)} to {max(numbers, default=0)}, counted from 1"
    done.left += [
        LeftOut(clip.name, box.frame, "a box on a frame that is not to be labelled", f"{shown}: draw it there")
        for box in clip.boxes
        if box.frame not in numbers and box.drawn
    ]
    done.left += lost_tracks(clip, there, NO_NUMBERS)
    done.left += [
        LeftOut(clip.name, box.frame, f"score {box.score}", NO_SCORES) for box in there if box.score is not None
    ]
    if not any(box.labels for box in there):
        why = f"No box with an action lies on a frame to label ({shown}): label those frames of the crop."
        done.refused.append(Refused(clip.name, why))
        return
    kept = Clip(clip.name, clip.size, there)
    project, refused = project_of_clips([kept], proposal.project.attributes, frames)
    text = project_text(project)
    target = folder / f"{clip.name}{FINISHED}"
    done.refused += [*refused, *parse_project(text.encode(), target.name, frames=frames, sizes=sizes).refused]
    done.texts[target] = text
    done.boxes += len(there)


def write_finished(done: Finished, *, replace: bool = False) -> list[Path]:
    """Write the projects; where former ones lie now. A project that differs is refused before anything is written, unless ``replace``."""
    if not replace:
        for target, text in done.texts.items():
            check_place(target, text)
    formers = (place_file(target, text, replace=replace) for target, text in done.texts.items())
    return [one for one in formers if one is not None]


def labelled_crops(
    middle: Path, measure: Callable[[Path], Size | None], *, proposed: bool = False
) -> tuple[Found, list[str]]:
    """The crops' finished projects, or what a run wrote of the labelling page, as clips, and the crops that have none; with ``proposed`` the projects as the run made them."""
    found, without = Found(), []
    for crop in crops_in(middle):
        folder = middle / crop
        path = folder / f"{crop}{PROPOSED if proposed else FINISHED}"
        if not proposed and not path.is_file():  # labelled on the page: the last run that read it wrote it here
            path = middle.parent / "annotations" / VIA / path.name
        if not path.is_file():
            without.append(crop)
            continue
        reading = read_project(path)
        one = clips_of_project(reading.project, path.name, FrameSizes([folder], measure).of_frame)
        found.attributes = found.attributes or one.attributes
        if (
            one.attributes is not None
            and found.attributes is not None
            and list(one.attributes.values()) != list(found.attributes.values())
        ):
            found.refused.append(
                Refused(path.name, "Its groups of actions are not those of the other crops: correct it.")
            )
        found.refused += [*reading.refused, *one.refused]
        found.left += one.left
        found.clips += one.clips
    if not found.clips and not found.refused:
        raise UserError(f"No crop in {middle} is labelled yet: label them, or export the proposals with --proposed.")
    return found, without
