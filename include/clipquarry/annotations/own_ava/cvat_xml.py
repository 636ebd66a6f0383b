"""CVAT's "CVAT for video 1.1": tracks of boxes on frames (from 0 in the file), actions as attributes of each box.

Source: cvat-ai/cvat, its XML format of annotations. An attribute that is ``true`` is an action of its name; a text other than
``true`` and ``false`` is an action itself. Entities and document types are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.frame_boxes import PERSON, Clip, FrameBox, Imported, box_problem, size_of
from clipquarry.annotations.own_ava.refused import Refused, number_of_text
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError

_NONE = ("", "false", "undefined", "__undefined__", "none")
_DEPTH = 20


def read_cvat(path: Path) -> Imported:
    """The boxes of a file. Boxes that are marked ``outside`` are none; between listed frames nothing is made up.

    Raises :class:`UserError` for a file that is no such XML.
    """
    return parse_cvat(read_small(path, "CVAT file"), path.name)


def parse_cvat(content: bytes, name: str) -> Imported:
    """As :func:`read_cvat`, of a file's content; ``name`` is the file's, for sentences."""
    root = _tree(content, name)
    if root.tag != "annotations":
        raise UserError(f"{name} is no CVAT file: export it as 'CVAT for video 1.1'.")
    if root.find("track") is None and root.find("image") is not None:
        raise UserError(f"{name} is 'CVAT for images': export it as 'CVAT for video 1.1'.")
    size = next(
        (
            size_of(number_of_text(one.findtext("width")), number_of_text(one.findtext("height")))
            for one in root.iter("original_size")
        ),
        None,
    )
    if size is None:
        raise UserError(f"{name} does not say the size of its frames (original_size): export it again from CVAT.")
    meta = next((one for tag in ("task", "job") for one in root.iter(tag)), root)
    clip = Clip(meta.findtext("name") or Path(name).stem, size)
    refused: list[Refused] = []
    for place, track in enumerate(root.findall("track")):
        number = number_of_text(track.get("id"))
        where = f"{name}, track {visible(track.get('id') or str(place), 20)!r}"
        if number is None or number != int(number) or not 0 <= number < 1 << 53:
            refused.append(Refused(where, "Its id is no whole number from 0: export the file again."))
            continue
        refused += [
            Refused(where, f"It has shapes of the kind {visible(kind, 20)!r}: only boxes can be taken.")
            for kind in sorted({one.tag for one in track if one.tag != "box"})
        ]
        for box in track.findall("box"):
            if box.get("outside") == "1":
                continue
            found = _box(box, int(number))
            problem = (
                "Its frame or place is no number: export the file again." if found is None else box_problem(found, size)
            )
            if found is None or problem is not None:
                refused.append(Refused(f"{where}, frame {visible(str(box.get('frame')), 20)}", str(problem)))
            else:
                clip.boxes.append(found)
    return Imported(clip, refused)


def _box(box: ElementTree.Element, track: int) -> FrameBox | None:
    numbers = [number_of_text(box.get(one)) for one in ("frame", "xtl", "ytl", "xbr", "ybr")]
    frame, *corners = (one for one in numbers if one is not None) if None not in numbers else (None,)
    if frame is None or frame != int(frame):
        return None
    x1, y1, x2, y2 = corners
    drawn = box.get("keyframe") != "0"  # CVAT writes a box for each frame between two that somebody drew
    return FrameBox(int(frame) + 1, x1, y1, x2, y2, track, tuple(_actions(box)), drawn=drawn)


def _actions(box: ElementTree.Element) -> Iterator[str]:
    for one in box.findall("attribute"):
        text = (one.text or "").strip()
        if text == "true":
            yield str(one.get("name"))
        elif text.lower() not in _NONE:
            yield text


def _tree(content: bytes, name: str) -> ElementTree.Element:
    """The document; a declaration of a type or an entity ends the reading, before anything is expanded."""
    builder, depth = ElementTree.TreeBuilder(), 0
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise UserError(f"{name} declares a document type or entities, which annotations never need: export it again.")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise UserError(f"{name} is nested more than {_DEPTH} deep: that is no CVAT file.")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise UserError(f"{name} is no XML ({visible(str(error), 80)}): export it again.") from error


def cvat_text(clip: Clip, actions: Sequence[str], *, frames: int, label: str = PERSON) -> str:
    """The clip as a file that CVAT imports: a checkbox for each of ``actions``, a track a person.

    ``frames`` is the length of the clip. Behind a gap in a track, CVAT is told that the person is outside.
    Raises :class:`UserError` for an action that is not among ``actions``.
    """
    known = set(actions)
    for one in clip.boxes:
        if unknown := sorted(set(one.labels) - known):
            raise UserError(f"The action {visible(unknown[0], 60)!r} is not in the list of actions: add it.")
    checkboxes = "".join(
        f"<attribute><name>{escape(one)}</name><mutable>True</mutable><input_type>checkbox</input_type>"
        "<default_value>false</default_value><values>false</values></attribute>\n"
        for one in actions
    )
    tracks = "".join(
        f'<track id="{track}" label={quoteattr(label)} source="auto">\n{"".join(_shapes(boxes, actions, frames))}</track>\n'
        for track, boxes in clip.tracks().items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>\n<task>\n'
        f"<name>{escape(clip.name)}</name>\n<size>{frames}</size>\n<mode>interpolation</mode>\n"
        f"<labels><label><name>{escape(label)}</name><attributes>\n{checkboxes}</attributes></label></labels>\n"
        f"<original_size><width>{clip.size.width}</width><height>{clip.size.height}</height></original_size>\n"
        f"</task>\n</meta>\n{tracks}</annotations>\n"
    )


def _shapes(boxes: Sequence[FrameBox], actions: Sequence[str], frames: int) -> Iterator[str]:
    for place, one in enumerate(boxes):
        yield _shape(one, one.frame, actions)
        after = boxes[place + 1].frame if place + 1 < len(boxes) else frames + 1
        if after > one.frame + 1:
            yield _shape(one, one.frame + 1, actions, outside=1)


def _shape(one: FrameBox, frame: int, actions: Sequence[str], outside: int = 0) -> str:
    checks = "".join(
        f"<attribute name={quoteattr(action)}>{'true' if action in one.labels else 'false'}</attribute>\n"
        for action in actions
    )
    return (
        f'<box frame="{frame - 1}" keyframe="1" outside="{outside}" occluded="0" xtl="{one.x1}" ytl="{one.y1}" '
        f'xbr="{one.x2}" ybr="{one.y2}" z_order="0">\n{checks}</box>\n'
    )
