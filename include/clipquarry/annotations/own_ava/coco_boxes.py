"""COCO's boxes a frame: ``images``, ``annotations`` with ``bbox`` (left, top, width, height in pixels), ``categories``.

Source: cocodataset.org's format of detections. Tracks are ``track_id``, actions ``attributes.actions``; a category other than
``person`` counts as an action, as detectors of actions write it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.frame_boxes import PERSON, Clip, FrameBox, Imported, box_problem, size_of
from clipquarry.annotations.own_ava.key_frames import parse_frame_name
from clipquarry.annotations.own_ava.refused import Refused, number
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.small_file import read_small_json
from clipquarry.errors import UserError


def read_coco(path: Path) -> list[Imported]:
    """The clips of a file, by name: frames are grouped by the name in front of the last ``_``.

    Raises :class:`UserError` for a file that is no such JSON.
    """
    return coco_clips(read_small_json(path, "COCO file"), path.name)


def coco_clips(value: Any, name: str) -> list[Imported]:
    """As :func:`read_coco`, of a parsed value; ``name`` is the file's, for sentences. What names no clip stands under ``""``."""
    parts = ("images", "annotations", "categories")
    if not isinstance(value, dict) or any(not isinstance(value.get(one), list) for one in parts):
        raise UserError(f"{name} is no COCO file: it needs lists of images, annotations and categories.")
    clips: dict[str, Imported] = {}
    lost: list[Refused] = []
    frames: dict[object, tuple[Imported, int]] = {}
    for place, image in enumerate(value["images"]):
        where = f"{name}, image {place}"
        try:
            key = image["id"] if isinstance(image, dict) else None
            file, size = Path(str(image["file_name"])).name, size_of(number(image["width"]), number(image["height"]))
            frame = parse_frame_name(file)
            if size is None or isinstance(key, bool) or not isinstance(key, int | str) or key in frames:
                lost.append(Refused(where, "Its id is given twice, or its size is no number: export the file again."))
                continue
        except (KeyError, TypeError):
            lost.append(Refused(where, "It lacks id, file_name, width or height: export the file again."))
            continue
        except UserError as error:
            lost.append(Refused(where, str(error)))
            continue
        found = clips.setdefault(frame.video, Imported(Clip(frame.video, size), []))
        if found.clip.size != size:
            lost.append(Refused(where, "Its size differs from the clip's other frames: export the frames again."))
            continue
        found.clip.names[frame.number] = file
        frames[key] = found, frame.number
    kinds = {
        one["id"]: one["name"]
        for one in value["categories"]
        if isinstance(one, dict) and isinstance(one.get("id"), int) and isinstance(one.get("name"), str)
    }
    for place, one in enumerate(value["annotations"]):
        image = one.get("image_id") if isinstance(one, dict) else None
        if not isinstance(one, dict) or not isinstance(image, int | str) or image not in frames:
            lost.append(Refused(f"{name}, annotation {place}", "Its image is not in the file: export the file again."))
            continue
        found, frame_number = frames[image]
        box = _box(one, frame_number, kinds)
        problem = box if isinstance(box, str) else box_problem(box, found.clip.size)
        if isinstance(box, str) or problem is not None:
            found.refused.append(Refused(f"{name}, annotation {place}", str(problem)))
        else:
            found.clip.boxes.append(box)
    result = [clips[one] for one in sorted(clips)]
    if lost:
        result.append(Imported(Clip("", next((one.clip.size for one in result), _NO_SIZE)), lost))
    return result


_NO_SIZE = Size(1, 1)


def _box(one: dict[str, Any], frame: int, kinds: Mapping[Any, str]) -> FrameBox | str:
    given = one.get("bbox")
    numbers = [number(side) for side in given] if isinstance(given, list) else []
    sides = [side for side in numbers if side is not None]
    if len(sides) != 4 or len(numbers) != 4:
        return "Its bbox is not four numbers: export the file again."
    kind, track, score = one.get("category_id"), one.get("track_id"), one.get("score")
    if not isinstance(kind, int) or kind not in kinds:
        return "Its category is not in the file: export the file again."
    if track is not None and (isinstance(track, bool) or not isinstance(track, int) or track < 0):
        return f"Its track {visible(str(track), 20)!r} is no whole number from 0: track the people again."
    if score is not None and ((number(score) is None) or not 0 <= score <= 1):
        return "Its score is not between 0 and 1: detect the people again."
    extra = one.get("attributes")
    actions = extra.get("actions", []) if isinstance(extra, dict) else []
    if not isinstance(actions, list) or any(not isinstance(action, str) for action in actions):
        return "Its actions are no list of texts: label the box again."
    labels = (*(() if kinds[kind] == PERSON else (kinds[kind],)), *actions)
    x, y, width, height = sides
    return FrameBox(frame, x, y, x + width, y + height, track, labels, None if score is None else float(score))


def coco_text(*clips: Clip) -> str:
    """The clips' frames that are named or have boxes, as one category ``person`` with tracks and actions; ids from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for clip in clips:
        numbers = sorted({*clip.names, *(one.frame for one in clip.boxes)})
        ids = {frame: place for place, frame in enumerate(numbers, len(images) + 1)}
        images += [
            {"id": ids[one], "file_name": clip.frame_name(one), "width": clip.size.width, "height": clip.size.height}
            for one in numbers
        ]
        annotations += [
            _entry(one, place, ids[one.frame]) for place, one in enumerate(clip.boxes, len(annotations) + 1)
        ]
    value = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": PERSON}]}
    return json.dumps(value, allow_nan=False) + "\n"


def _entry(one: FrameBox, place: int, image: int) -> dict[str, Any]:
    width, height = one.x2 - one.x1, one.y2 - one.y1
    entry: dict[str, Any] = {
        "id": place,
        "image_id": image,
        "category_id": 1,
        "bbox": [one.x1, one.y1, width, height],
        "area": width * height,
        "iscrowd": 0,
        "attributes": {"actions": list(one.labels)},
    }
    entry |= {} if one.track is None else {"track_id": one.track}
    return entry | ({} if one.score is None else {"score": one.score})
