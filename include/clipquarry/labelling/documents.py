"""The JSON documents of a labelling project: what it is about (``project.json``), and each clip as it was made (``clip.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from clipquarry.errors import UserError
from clipquarry.labelling.model import Attribute, Clip, Frame, Option, Region, check_attributes, check_clip, with_keys

VERSION = 1
STRIP_MOST = 60
"""Images of the film around a key frame."""


@dataclass(frozen=True)
class Plan:
    """What a project is about. ``annotators``: 1, or 2 who label each clip without seeing each other's work."""

    title: str
    attributes: tuple[Attribute, ...]
    annotators: int = 1
    guide: str = ""
    """A few sentences for whoever labels, shown on the page as plain text."""


class Shown(NamedTuple):
    """What a clip's images show. Labels are for it alone, whatever has its name later. Each part is empty where it is not known."""

    source: str = ""
    """The words for it, such as a video and a time."""
    sha256: str = ""
    """Of the file that the images are from."""
    fingerprint: str = ""
    """Of that file's pictures (:mod:`clipquarry.fingerprint`): another encode of a video is the same video."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Shown:
        """As a document has it, which may lack any part."""
        return cls(*(str(told.get(name, "")) for name in cls._fields))


@dataclass(frozen=True)
class Material:
    """A clip with its images. ``images``: the folder of its key frames, and ``strips`` key frame to the images of the second
    around it, in order of time: paths below the root of all images, with slashes. Nothing is copied.

    ``shown``: another one means other pictures under the same names.
    ``aside``: frames of the clip that nobody asks for any more, each with the seats whose work was done when that began. What was said of
    them stays, and they are neither shown nor counted.
    """

    clip: Clip
    images: str
    strips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shown: Shown = field(default_factory=Shown)
    aside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def asked(self, clip: Clip | None = None) -> Clip:
        """The clip as it was made, or another state of it, with the frames that are asked for and their boxes alone."""
        return (clip or self.clip).on(lambda frame: frame not in self.aside)

    def set_aside(self, clip: Clip | None = None) -> Clip:
        """The other frames, with their boxes."""
        return (clip or self.clip).on(lambda frame: frame in self.aside)


def checked_plan(plan: Plan) -> Plan:
    """The plan with a key for each action. Raises UserError."""
    if not plan.title.strip() or len(plan.title) > 200 or not plan.title.isprintable():
        raise UserError("A labelling project needs a title of 1 to 200 printable characters.")
    if plan.annotators not in (1, 2):
        raise UserError(f"A clip is labelled by 1 or 2 people, not by {plan.annotators}.")
    check_attributes(plan.attributes)
    return Plan(plan.title, with_keys(plan.attributes), plan.annotators, plan.guide[:4_000])


def check_material(material: Material, plan: Plan) -> None:
    """Raise UserError for a clip that cannot be labelled, or a path that leaves the folder of images."""
    check_clip(material.clip, plan.attributes)
    frames = {one.name for one in material.clip.frames}
    for path in (material.images, *(one for strip in material.strips.values() for one in strip)):
        pure = PurePosixPath(path)
        if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
            raise UserError(f"The path {path[:80]!r} of the clip {material.clip.id} is not below the folder of images.")
    if not set(material.strips) <= frames or any(len(one) > STRIP_MOST for one in material.strips.values()):
        raise UserError(f"A film of the clip {material.clip.id} is of no frame, or has more than {STRIP_MOST} images.")


def plan_document(plan: Plan, clips: list[str]) -> dict[str, Any]:
    return {
        "version": VERSION, "title": plan.title, "annotators": plan.annotators, "guide": plan.guide, "clips": clips,
        "attributes": [
            {
                "id": one.id, "name": one.name, "several": one.several,
                "options": [{"id": option.id, "text": option.text, "key": option.key} for option in one.options],
            }
            for one in plan.attributes
        ],
    }  # fmt: skip


def plan_from(told: Any, where: str) -> tuple[Plan, list[str]]:
    """The inverse. Raises UserError."""
    try:
        if told["version"] != VERSION:
            raise UserError(
                f"{where} is of version {told['version']}, and this program reads version {VERSION}: upgrade it."
            )
        attributes = tuple(
            Attribute(
                one["id"], one["name"],
                tuple(Option(option["id"], option["text"], option["key"]) for option in one["options"]), one["several"],
            )
            for one in told["attributes"]
        )  # fmt: skip
        return Plan(told["title"], attributes, told["annotators"], told["guide"]), list(told["clips"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{where} is no labelling project ({error!s:.60}): restore it.") from error


def clip_document(material: Material) -> dict[str, Any]:
    clip = material.clip
    return {
        "version": VERSION, "id": clip.id, "images": material.images, **material.shown._asdict(),
        "strips": {frame: list(paths) for frame, paths in material.strips.items()},
        "aside": {frame: list(seats) for frame, seats in material.aside.items()},
        "frames": [[one.name, one.second, one.width, one.height] for one in clip.frames],
        "regions": [
            {"id": one.id, "frame": one.frame, "box": list(one.box), "track": one.track,
             "labels": {attribute: list(options) for attribute, options in one.labels.items()}}
            for one in clip.regions
        ],
    }  # fmt: skip


def material_from(told: Any, where: str) -> Material:
    """The inverse. Raises UserError."""
    try:
        regions = tuple(
            Region(
                one["id"], one["frame"], tuple(one["box"]), one["track"],
                {attribute: tuple(options) for attribute, options in one["labels"].items()},
            )
            for one in told["regions"]
        )  # fmt: skip
        clip = Clip(told["id"], tuple(Frame(*one) for one in told["frames"]), regions)
        strips = {frame: tuple(paths) for frame, paths in told["strips"].items()}
        aside = {frame: tuple(seats) for frame, seats in told.get("aside", {}).items()}
        return Material(clip, told["images"], strips, Shown.of(told), aside)  # older ones lack the last two
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where} is no clip of a labelling project ({error!s:.60}): restore it.") from error
