"""Labelling with VIA 3 itself: frames and project down in one zip, the finished project up, checked.

A finished project lies beside the frames as ``{clip}_finish.json``, where a person may as well put it by hand.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import IO

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.actions import Attributes, Kind
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import Project, Size, project_text
from clipquarry.annotations.own_ava.via_reading import Reading, parse_project, read_project
from clipquarry.errors import UserError
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, link_or_copy, writing
from clipquarry.label_exchange.via import attributes_of, via_of
from clipquarry.labelling.documents import Plan
from clipquarry.labelling.model import Clip

MOST_ZIP = 1 << 30
"""Bytes of the frames of a clip in one zip."""
MOST_FINISHED = 8 << 20
"""Bytes of a finished project: a box takes some 150."""
_CHOICES = (Kind.CHECKBOX, Kind.RADIO, Kind.SELECT)
_README = """\
Open VIA 3 (https://www.robots.ox.ac.uk/~vgg/software/via/), load {project}, and let it find the images of this folder.
Choose the actions of each person, draw who was not found, and remove what is nobody. Then save the project as
{finish}, and give it back: on the page from which this zip comes, or beside the frames in the data root.
"""


def finish_name(clip: str) -> str:
    """The name of a finished project."""
    return f"{clip}_finish.json"


def finished_problems(found: Reading, attributes: Attributes) -> list[Refused]:
    """Why a project that was read is not finished, a sentence each; empty where it is. ``attributes``: the actions to label."""
    if found.refused:
        return found.refused
    if found.lacking:
        return [Refused("", lacking_told(found))]
    asked, given = (
        [(one.name, one.options) for one in each.values()] for each in (attributes, found.project.attributes)
    )
    if asked != given:
        return [Refused("", "Its actions are not those of this run: label the project that the run made.")]
    for one, told in zip(attributes.values(), found.project.attributes.values(), strict=True):
        if one.kind in _CHOICES and told.kind not in _CHOICES:
            return [
                Refused(
                    "",
                    f"Its group {visible(one.name, 60)} has no choices any more: label the project that the run made.",
                )
            ]
    if found.unlabelled and len(found.unlabelled) == len(found.project.regions):
        return [Refused("", "No box in it has an action yet: label it to its end.")]
    return []


def lacking_told(found: Reading) -> str:
    """What a person does about frames that came since a project was begun, as a sentence."""
    return (
        f"{len(found.lacking)} frames to label are not in it, the first is {visible(found.lacking[0], 80)}: take frames and project anew "
        "from the labelling page (With VIA 3), where the labels of this file are in the project, and label the rest."
    )


def write_zip(out: IO[bytes], clip: Clip, plan: Plan, images: Path, aside: Collection[str] = ()) -> None:
    """The key frames of a clip, its project as it is now, and what to do with them. ``images``: the folder of the frames, where a
    finished project counts before what was said on the page. ``aside``: frames that such a one may have besides.

    Raises UserError where frames are missing, lie elsewhere, or are too large together.
    """
    files = [(one.name, images / one.name) for one in clip.frames]
    if strange := next((path for _, path in files if path.resolve().parent != images.resolve()), None):
        raise UserError(f"{strange} leads out of its folder: let the run make its frames again.")
    try:
        size = sum(path.stat().st_size for _, path in files)
    except OSError as error:
        raise UserError(
            f"The frame {visible(str(error.filename or ''), 200)} is not there: let the run make its frames again."
        ) from error
    if size > MOST_ZIP:
        raise UserError(
            f"The frames of the clip {clip.id} have {size / 1e9:.1f} GB, and a zip at most {MOST_ZIP / 1e9:.1f}: take them from {images}."
        )
    attributes = attributes_of(plan.attributes)
    project = f"{clip.id}_proposal.json"
    with disk_errors(images), zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # JPEGs do not get smaller
        for name, path in files:
            archive.write(path, f"{clip.id}/{name}")
        told = via_of(clip, [one.name for one in clip.frames], attributes).project
        _take_finished(told, images / finish_name(clip.id), clip, attributes, aside)
        archive.writestr(f"{clip.id}/{project}", project_text(told))
        archive.writestr(f"{clip.id}/README.txt", _README.format(project=project, finish=finish_name(clip.id)))


def _take_finished(project: Project, path: Path, clip: Clip, attributes: Attributes, aside: Collection[str]) -> None:
    """Let the frames of a sound finished project have its boxes, in the place of those of ``project``."""
    if not path.is_file():
        return
    sizes = {one.name: Size(one.width, one.height) for one in clip.frames}
    try:
        found = read_project(path, frames=list(sizes), sizes=sizes, aside=aside)
    except UserError:
        return  # the run says what is wrong with it
    if found.refused or [one[:2] for one in found.project.attributes.values()] != [
        one[:2] for one in attributes.values()
    ]:
        return
    there = {one.name for one in found.project.files.values()}
    view_of = {project.files[files[0]].name: view for view, files in project.views.items()}
    kept = {key: one for key, one in project.regions.items() if project.file_of(one).name not in there}
    for key, one in found.project.regions.items():
        free = next(name for end in count() if (name := f"{key}-{end}" if end else key) not in kept)
        kept[free] = one._replace(view=view_of[found.project.file_of(one).name])
    project.regions = kept


def read_finished(
    content: bytes, clip: Clip, plan: Plan, aside: Collection[str] = ()
) -> tuple[Reading | None, list[str]]:
    """A finished project that somebody gave back, and a sentence for each fault; with any, it is not taken. One that lacks frames is
    (``lacking``), because its labels are somebody's work. ``aside``: frames that it may have besides.
    """
    name = finish_name(clip.id)
    if len(content) > MOST_FINISHED:
        return None, [
            f"{name} has more than {MOST_FINISHED >> 20} MB: give back the project alone, without frames in it."
        ]
    frames = [one.name for one in clip.frames]
    sizes: Mapping[str, Size] = {one.name: Size(one.width, one.height) for one in clip.frames}
    try:
        found = parse_project(content, name, frames=frames, sizes=sizes, aside=aside)
    except UserError as error:
        return None, [str(error)]
    faults = finished_problems(replace(found, lacking=[]), attributes_of(plan.attributes))
    return found, [f"{one.where}: {one.why}" if one.where else one.why for one in faults]


def keep_finished(content: bytes, folder: Path, clip: str, lock: Path) -> str:
    """Write a finished project beside the frames, under the lock of this file. Returns the name under which the former one is kept, or nothing."""
    target = folder / finish_name(clip)
    with FileLock.take(lock):
        former = ""
        if os.path.lexists(target):
            if not target.is_file():
                raise UserError(f"{target} is no file: move it away.")
            if target.read_bytes() == content:
                return ""
            former = _free_name(folder, f"{clip}_finish.{datetime.now(UTC):%Y%m%dT%H%M%S}")
            with disk_errors(target):
                link_or_copy(target, folder / former)
        with writing(target, "wb") as handle:
            handle.write(content)
    return former


def _free_name(folder: Path, begin: str) -> str:
    taken = {path.name for path in folder.iterdir()}
    number, name = 1, f"{begin}.json"
    while name in taken:
        number, name = number + 1, f"{begin}-{number}.json"
    return name
