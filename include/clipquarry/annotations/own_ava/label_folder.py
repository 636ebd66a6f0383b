"""A folder of label texts, one a frame (``{clip}_{number:06d}.txt``), as detectors of the YOLO family write and read them.

Source: ultralytics/yolov5 ``--save-txt``. Texts hold classes, boxes, scores and tracks, and no actions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from clipquarry.annotations.own_ava.detections import label_line, read_labels
from clipquarry.annotations.own_ava.frame_boxes import Clip, FrameBox, Imported, box_problem, of_detection, to_detection
from clipquarry.annotations.own_ava.key_frames import parse_frame_name
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError
from clipquarry.files import writing


def read_folder(folder: Path, sizes: Mapping[str, Size], *, kinds: Collection[int] = (0,)) -> list[Imported]:
    """The clips of a folder by name, with the boxes of the classes ``kinds``; ``sizes``: clip to its frames' size.

    What names no clip stands under ``""``. Files other than ``.txt`` are none of ours. Raises :class:`UserError` if the folder cannot be read.
    """
    try:
        paths = sorted(one for one in folder.iterdir() if one.suffix == ".txt" and one.is_file())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): name the folder of label texts.") from error
    clips: dict[str, Imported] = {}
    lost: list[Refused] = []
    for path in paths:
        try:
            video, number = parse_frame_name(path.stem)
            if video not in sizes:
                raise UserError(f"The size of the frames of {video} is unknown: put the frames beside the labels.")
            text = read_small(path, "label text").decode()
        except UnicodeDecodeError:
            lost.append(Refused(path.name, "It is no text: detect the frame again."))
            continue
        except UserError as error:
            lost.append(Refused(path.name, str(error)))
            continue
        found = clips.setdefault(video, Imported(Clip(video, sizes[video]), []))
        for one in read_labels(text, path.name):
            if isinstance(one, Refused):
                found.refused.append(one)
            elif one.kind in kinds:
                # Detectors round to whole pixels, so that a box may leave the frame by a little.
                box = _inside(of_detection(one, number, sizes[video]), sizes[video])
                if problem := box_problem(box, sizes[video]):
                    found.refused.append(Refused(path.name, problem))
                else:
                    found.clip.boxes.append(box)
    if lost:
        clips.setdefault("", Imported(Clip("", Size(1, 1)), [])).refused.extend(lost)
    return [clips[name] for name in sorted(clips)]


def _inside(box: FrameBox, size: Size) -> FrameBox:
    return box._replace(
        x1=max(box.x1, 0.0), y1=max(box.y1, 0.0), x2=min(box.x2, size.width), y2=min(box.y2, size.height)
    )


def folder_texts(clip: Clip, *, kind: int = 0) -> dict[str, str]:
    r"""Label text by file name, a file for each frame with a box; each line with ``\n``, full numbers."""
    texts: dict[str, list[str]] = defaultdict(list)
    for box in clip.boxes:
        name = f"{Path(clip.frame_name(box.frame)).stem}.txt"
        texts[name].append(f"{label_line(to_detection(box, clip.size, kind))}\n")
    return {name: "".join(lines) for name, lines in sorted(texts.items())}


def write_folder(clip: Clip, folder: Path, *, kind: int = 0) -> int:
    """Write :func:`folder_texts`, each file whole or not at all; how many there are."""
    texts = folder_texts(clip, kind=kind)
    for name, text in texts.items():
        with writing(folder / name) as handle:
            handle.write(text)
    return len(texts)
