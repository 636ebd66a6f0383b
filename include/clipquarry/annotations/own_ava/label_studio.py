"""Label Studio's JSON of tasks: object tracking in videos (``videorectangle``) and rectangles on frames (``rectanglelabels``).

Source: HumanSignal/label-studio. Places are per cent of the frame; frames of videos count from 1. A video's key frames are joined
by straight lines while ``enabled`` says so, as Label Studio shows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.own_ava.frame_boxes import (
    MAX_FRAME,
    PERSON,
    Clip,
    FrameBox,
    Imported,
    box_problem,
    size_of,
)
from clipquarry.annotations.own_ava.key_frames import parse_frame_name
from clipquarry.annotations.own_ava.refused import Refused, number
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.small_file import read_small_json
from clipquarry.errors import UserError

_UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts in front of an uploaded file's name."""
_MOST_FRAMES = 1_000_000
_MOST_BOXES = 2_000_000
"""A few lines of text can ask for any number of boxes between two key frames."""
_SIDES = ("x", "y", "width", "height")
Sizes = Mapping[str, Size]
"""Clip's name to the size of its frames."""


def read_label_studio(path: Path, sizes: Sizes) -> list[Imported]:
    """The clips of a file of tasks, by name. Raises :class:`UserError` for a file that is no such JSON."""
    return label_studio_clips(read_small_json(path, "Label Studio file"), path.name, sizes)


def label_studio_clips(value: Any, name: str, sizes: Sizes) -> list[Imported]:
    """As :func:`read_label_studio`, of a parsed value; ``name`` is the file's, for sentences. What names no clip stands under ``""``."""
    if not isinstance(value, list) or any(not isinstance(one, dict) for one in value):
        raise UserError(f"{name} is no list of tasks: export it from Label Studio as JSON.")
    clips: dict[str, Imported] = {}
    lost: list[Refused] = []
    many = 0
    for place, task in enumerate(value):
        where = f"{name}, task {visible(str(task.get('id', place)), 20)}"
        try:
            video, frame, file = _what(task)
            results = _results(task)
            size = sizes.get(video) or _own_size(results)
        except UserError as error:
            lost.append(Refused(where, str(error)))
            continue
        if size is None:
            lost.append(
                Refused(where, f"The size of the frames of {video} is unknown: put the frames beside the file.")
            )
            continue
        found = clips.setdefault(video, Imported(Clip(video, size), []))
        if frame is not None:
            found.clip.names[frame] = file
        for track, result in enumerate(results):
            for box in _boxes(result, frame, track, size):
                many += 1
                if many > _MOST_BOXES:
                    raise UserError(f"{name} makes more than {_MOST_BOXES} boxes: export fewer tasks at once.")
                problem = box if isinstance(box, str) else box_problem(box, size)
                if isinstance(box, str) or problem is not None:
                    found.refused.append(
                        Refused(f"{where}, region {visible(str(result.get('id')), 20)!r}", str(problem))
                    )
                else:
                    found.clip.boxes.append(box)
    result_clips = [clips[one] for one in sorted(clips)]
    return [*result_clips, Imported(Clip("", Size(1, 1)), lost)] if lost else result_clips


def _what(task: Mapping[str, Any]) -> tuple[str, int | None, str]:
    """The clip, the frame if the task is one, and the file's name."""
    data = task.get("data")
    data = data if isinstance(data, dict) else {}
    for key in ("video", "image"):
        if isinstance(data.get(key), str):
            try:
                path = unquote(urlsplit(data[key]).path)
            except ValueError:
                break
            file = PurePosixPath(path).name
            file = _UPLOADED.sub("", file, count=1) if "/upload/" in path else file
            if key == "image":
                return *parse_frame_name(file), file
            return PurePosixPath(file).stem, None, file
    raise UserError("It has neither a video nor an image: export the tasks with their data.")


def _results(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = task.get("annotations")
    done = (
        [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
        if isinstance(given, list)
        else []
    )
    if len(done) > 1:
        raise UserError(f"It has {len(done)} annotations: keep the one that is right in Label Studio.")
    results = done[0].get("result") if done else []
    if not isinstance(results, list) or any(not isinstance(one, dict) for one in results):
        raise UserError("Its annotation has no list of results: export the tasks again.")
    return results


def _own_size(results: Sequence[Mapping[str, Any]]) -> Size | None:
    found = (size_of(number(one.get("original_width")), number(one.get("original_height"))) for one in results)
    return next((one for one in found if one is not None), None)


def _boxes(result: Mapping[str, Any], frame: int | None, track: int, size: Size) -> Iterator[FrameBox | str]:
    value = result.get("value")
    kind = result.get("type")
    if not isinstance(value, dict) or kind not in ("videorectangle", "rectanglelabels", "rectangle"):
        yield f"Its type {visible(str(kind), 30)!r} is no rectangle: only rectangles can be taken."
        return
    labels = value.get("labels" if frame is None else "rectanglelabels", [])
    if not isinstance(labels, list) or any(not isinstance(one, str) for one in labels):
        yield "Its labels are no list of texts: label the box again."
        return
    actions = tuple(one for one in labels if one != PERSON)
    if frame is not None:
        yield _box(value, frame, _track_of(result), actions, size)
        return
    sequence = value.get("sequence")
    if not isinstance(sequence, list) or not sequence or any(not isinstance(one, dict) for one in sequence):
        yield "It has no key frames (sequence): export the tasks again."
        return
    yield from _between(sequence, number(value.get("framesCount")), track, actions, size)


def _track_of(result: Mapping[str, Any]) -> int | None:
    meta = result.get("meta")
    texts = meta.get("text") if isinstance(meta, dict) else None
    for one in texts if isinstance(texts, list) else ():
        if isinstance(one, str) and (found := re.fullmatch(r"track ([0-9]{1,9})", one)):
            return int(found[1])
    return None


def _between(
    sequence: Sequence[Mapping[str, Any]], frames: float | None, track: int, actions: tuple[str, ...], size: Size
) -> Iterator[FrameBox | str]:
    """The boxes of key frames and those between them."""
    keys: list[tuple[FrameBox, bool]] = []
    for one in sequence:
        place = number(one.get("frame"))
        if place is None or place != int(place):
            yield "Its frame is no whole number from 1: export the tasks again."
            continue
        found = _box(one, int(place), track, actions, size)
        if isinstance(found, str):
            yield found
        else:
            keys.append((found, one.get("enabled") is not False))
    keys.sort(key=lambda key: key[0].frame)
    if len({one.frame for one, _ in keys}) < len(keys) or (
        keys and not 1 <= keys[0][0].frame <= keys[-1][0].frame <= MAX_FRAME
    ):
        yield "A key frame is given twice or is out of range: export the tasks again."
        return
    end = min(int(frames), MAX_FRAME) if frames is not None and frames >= 1 else 0
    for place, (box, goes_on) in enumerate(keys):
        yield box
        last = place + 1 == len(keys)
        following = box._replace(frame=max(end, box.frame) + 1) if last else keys[place + 1][0]
        if not goes_on:
            continue
        if following.frame - box.frame > _MOST_FRAMES:
            yield f"It spans more than {_MOST_FRAMES} frames: cut the video."
            return
        for frame in range(box.frame + 1, following.frame):
            share = (frame - box.frame) / (following.frame - box.frame)
            x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(_corners(box), _corners(following), strict=True))
            yield FrameBox(frame, x1, y1, x2, y2, track, actions)


def _corners(box: FrameBox) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2


def _box(
    value: Mapping[str, Any], frame: int, track: int | None, actions: tuple[str, ...], size: Size
) -> FrameBox | str:
    sides = [number(value.get(one)) for one in _SIDES]
    numbers = [one for one in sides if one is not None]
    if len(numbers) < 4:
        return "Its place is not four numbers: draw the box again."
    if value.get("rotation") not in (None, 0):
        return "It is turned: draw it upright."
    x, y, width, height = numbers
    x1, y1 = x * size.width / 100, y * size.height / 100
    return FrameBox(frame, x1, y1, x1 + width * size.width / 100, y1 + height * size.height / 100, track, actions)


def frames_text(*clips: Clip, prefix: str = "") -> str:
    """A task for each frame of the clips that is named or has boxes; the image is ``prefix`` and the file's name.

    A box's labels are its actions, or ``person`` without any; its track stands in the region's text as ``track 3``.
    """
    tasks = []
    for clip in clips:
        of_frame: dict[int, list[FrameBox]] = {frame: [] for frame in clip.names}
        for one in clip.boxes:
            of_frame.setdefault(one.frame, []).append(one)
        for frame in sorted(of_frame):
            results = [_rectangle(one, place, clip.size) for place, one in enumerate(of_frame[frame])]
            tasks.append({"data": {"image": prefix + clip.frame_name(frame)}, "annotations": [{"result": results}]})
    return json.dumps(tasks, allow_nan=False) + "\n"


def _rectangle(box: FrameBox, place: int, size: Size) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": f"box{place}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": size.width,
        "original_height": size.height,
        "image_rotation": 0,
        "value": {**_percent(box, size), "rotation": 0, "rectanglelabels": list(box.labels) or [PERSON]},
    }
    return result if box.track is None else {**result, "meta": {"text": [f"track {box.track}"]}}


def _percent(box: FrameBox, size: Size) -> dict[str, float]:
    return {
        "x": 100 * box.x1 / size.width,
        "y": 100 * box.y1 / size.height,
        "width": 100 * (box.x2 - box.x1) / size.width,
        "height": 100 * (box.y2 - box.y1) / size.height,
    }


def video_text(clip: Clip, video: str, *, frames: int, fps: float) -> str:
    """One task of object tracking: a region a track, every box a key frame. ``frames`` and ``fps`` are the video's.

    Raises :class:`UserError` where actions change within a track, because a region of a video has one set of labels.
    """
    results = []
    for track, boxes in clip.tracks().items():
        if len({frozenset(one.labels) for one in boxes}) > 1:
            raise UserError(
                f"The actions of track {track} change, which Label Studio's videos cannot hold: export frames."
            )
        following = [*(one.frame for one in boxes[1:]), 0]
        sequence = [
            {
                "frame": one.frame,
                "enabled": after == one.frame + 1,
                "rotation": 0,
                "time": (one.frame - 1) / fps,
                **_percent(one, clip.size),
            }
            for one, after in zip(boxes, following, strict=True)
        ]
        value = {
            "framesCount": frames,
            "duration": frames / fps,
            "sequence": sequence,
            "labels": list(boxes[0].labels) or [PERSON],
        }
        results.append(
            {
                "id": f"track{track}",
                "type": "videorectangle",
                "from_name": "box",
                "to_name": "video",
                "original_width": clip.size.width,
                "original_height": clip.size.height,
                "value": value,
            }
        )
    return json.dumps([{"data": {"video": video}, "annotations": [{"result": results}]}], allow_nan=False) + "\n"
