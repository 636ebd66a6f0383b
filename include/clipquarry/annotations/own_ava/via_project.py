"""A project of VIA 3 (VGG Image Annotator) about the key frames of a crop, and its writer.

Sources: VIA 3's project files; ``dense_proposals_train_to_via.py`` and ``chang_via_json.py`` of
Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset, whose key order is kept. One line of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clipquarry.annotations.own_ava.actions import Attribute, Attributes, in_order
from clipquarry.annotations.own_ava.key_frames import FPS, frame_name, frame_of
from clipquarry.annotations.proposals import Boxes, proposal_key
from clipquarry.errors import UserError

CREATED = 1618642823079
"""Milliseconds since 1970 that the upstream script always writes; a project without a time of its own has it too."""
CREATOR = "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)"
RECTANGLE = 2
IMAGE = 2
LOCAL = 1


class Size(NamedTuple):
    """Of a frame, in pixels."""

    width: int
    height: int


class ViaFile(NamedTuple):
    """A frame's file; ``loc`` 1 is a local file, 2 an address, 3 a file address, 4 content."""

    name: str
    kind: int = IMAGE
    loc: int = LOCAL
    source: str = ""


class Region(NamedTuple):
    """A box on a view: ``box`` is left, top, width, height in pixels, not rounded.

    ``choices``: attribute id to the option id (radio, select), option ids with commas (checkbox), or "" for none.
    """

    view: str
    box: tuple[float, float, float, float]
    choices: Mapping[str, str]


@dataclass
class Project:
    """A project. Files and views by id (``"1"`` onwards), regions by key, all in order; a view holds ids of files."""

    attributes: Attributes
    files: dict[str, ViaFile] = field(default_factory=dict)
    views: dict[str, tuple[str, ...]] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    name: str = "Unnamed VIA Project"
    created: int = CREATED
    listed: tuple[str, ...] | None = None
    """``vid_list``; None stands for all views."""

    def file_of(self, region: Region) -> ViaFile:
        """The frame of a region's view."""
        return self.files[self.views[region.view][0]]


def project_of(
    frames: Sequence[str],
    size: Size,
    boxes: Mapping[str, Iterable[Sequence[float]]],
    attributes: Attributes,
    *,
    reference_default: bool = False,
) -> Project:
    """A project with a file and a view a frame, in the order of ``frames`` (names); ids count from 1.

    ``boxes``: frame name to rows that begin with ``x1, y1, x2, y2`` in fractions of the frame; a frame without boxes has no
    region and keeps its place. Nothing is chosen, unless ``reference_default``: upstream's option 0 of attribute 1.
    """
    project = Project(attributes)
    empty = {"1": "0"} if reference_default else dict.fromkeys(in_order(attributes), "")
    if unknown := sorted(set(boxes) - set(frames)):
        raise UserError(f"The boxes name the frame {unknown[0][:80]!r}, which is not in the project: choose it too.")
    for place, frame in enumerate(frames, 1):
        project.files[str(place)] = ViaFile(frame)
        project.views[str(place)] = (str(place),)
        for many, (x1, y1, x2, y2, *_) in enumerate(boxes.get(frame, ()), 1):
            left, top = size.width * float(x1), size.height * float(y1)
            box = (left, top, size.width * float(x2) - left, size.height * float(y2) - top)
            project.regions[f"image{place}_{many}"] = Region(str(place), box, dict(empty))
    return project


def project_of_proposals(
    video: str,
    seconds: Sequence[int],
    size: Size,
    proposals: Mapping[str, Boxes],
    attributes: Attributes,
    *,
    fps: int = FPS,
    reference_default: bool = False,
) -> Project:
    """The project of a crop: file k is the k-th of ``seconds`` (from 0), whichever they are, with the proposals of that second.

    Built from the seconds, so that a second without people at either end moves nothing.
    """
    names = {second: frame_name(video, frame_of(second, fps)) for second in seconds}
    found = {names[second]: proposals.get(proposal_key(video, second), ()) for second in seconds}
    return project_of(list(names.values()), size, found, attributes, reference_default=reference_default)


def without_choices(project: Project) -> Project:
    """The same project, with an empty choice for every attribute of every region."""
    empty = dict.fromkeys(in_order(project.attributes), "")
    regions = {key: region._replace(choices=dict(empty)) for key, region in project.regions.items()}
    return Project(
        project.attributes, project.files, project.views, regions, project.name, project.created, project.listed
    )


def project_text(project: Project, *, reference_default: bool = False) -> str:
    """One line of JSON without a line end. ``reference_default`` writes upstream's default option 0 in place of none."""
    ids = list(project.views) if project.listed is None else list(project.listed)
    value = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": project.name,
            "creator": CREATOR,
            "created": project.created,
            "vid_list": ids,
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": {key: _attribute(one, reference_default) for key, one in project.attributes.items()},
        "file": {
            key: {"fname": one.name, "type": one.kind, "fid": key, "loc": one.loc, "src": one.source}
            for key, one in project.files.items()
        },
        "metadata": {key: _region(one) for key, one in project.regions.items()},
        "view": {key: {"fid_list": list(files)} for key, files in project.views.items()},
    }
    return json.dumps(value, allow_nan=False)


def _attribute(one: Attribute, reference_default: bool) -> dict[str, Any]:
    return {
        "aname": one.name,
        "type": int(one.kind),
        "options": {str(place): name for place, name in enumerate(one.options)},
        "default_option_id": one.default or ("0" if reference_default else ""),
        "anchor_id": one.anchor,
        "desc": one.description,
    }


def _region(one: Region) -> dict[str, Any]:
    return {"vid": one.view, "xy": [RECTANGLE, *one.box], "av": dict(one.choices), "flg": 0, "z": []}
