"""Detections of a folder of frames as one VIA project for correction, and the corrected project as label text for training.

Source: ``yolo2via.py`` and ``via2yoloTrain.py`` of Whiffe's ``imageDetection``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from clipquarry.annotations.own_ava.detections import Detection
from clipquarry.annotations.own_ava.heads import BODY
from clipquarry.annotations.own_ava.via_project import Project, Region, Size, ViaFile
from clipquarry.errors import UserError

SHARES = {"train": 0.8, "test": 0.1, "val": 0.1}
"""Upstream's shares of the splits."""


def detections_to_project(
    frames: Mapping[str, Size],
    found: Mapping[str, Sequence[Detection]],
    *,
    kind: int = BODY,
    reference_default: bool = False,
) -> Project:
    """A project without attributes, with a file and a view for every frame, sorted by name, and the boxes of class ``kind``.

    ``frames``: file name to size; ``found``: file name's stem to detections. Regions are ``image{file}_{place}``, where the place
    counts all detections of the frame from 1. ``reference_default`` gives each region upstream's choice ``{"1": "0"}``.
    """
    project = Project({})
    for place, name in enumerate(sorted(frames), 1):
        project.files[str(place)] = ViaFile(name)
        project.views[str(place)] = (str(place),)
        width, height = frames[name]
        for line, one in enumerate(found.get(PurePath(name).stem, ()), 1):
            if one.kind == kind:
                left, top = (one.cx - one.width / 2) * width, (one.cy - one.height / 2) * height
                right, bottom = (one.cx + one.width / 2) * width, (one.cy + one.height / 2) * height
                choices = {"1": "0"} if reference_default else {}
                project.regions[f"image{place}_{line}"] = Region(
                    str(place), (left, top, right - left, bottom - top), choices
                )
    return project


def project_to_labels(project: Project, sizes: Mapping[str, Size], *, kind: int = 0) -> dict[str, str]:
    r"""Label text by the frame's stem: ``kind cx cy w h`` a line in fractions, full numbers, each with ``\n``.

    Regions belong to the frame of their view. A frame without regions has an empty text, which trains as one without people.
    """
    texts: dict[str, list[str]] = {PurePath(one.name).stem: [] for one in project.files.values()}
    for region in project.regions.values():
        name = project.file_of(region).name
        if name not in sizes:
            raise UserError(f"The size of {name[:80]} is unknown: put the frame beside the project.")
        (x, y, w, h), (width, height) = region.box, sizes[name]
        numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        texts[PurePath(name).stem].append(f"{kind} {' '.join(map(str, numbers))}\n")
    return {stem: "".join(found) for stem, found in texts.items()}


def divide(names: Sequence[str], seed: int, shares: Mapping[str, float] = SHARES) -> dict[str, str]:
    """Name to split, by a number of its own for each name and seed: neither order nor other names change it."""
    if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise UserError("The shares of the splits must be 0 or more, and not all 0.")
    splits = list(shares)
    weights = [shares[one] for one in splits]
    return {name: random.Random(f"{seed}/{name}").choices(splits, weights)[0] for name in names}  # noqa: S311
