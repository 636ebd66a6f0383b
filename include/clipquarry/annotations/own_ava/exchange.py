"""Labels between the formats of tools: VIA 3, YOLO label folders, CVAT for video, Label Studio and COCO boxes.

A format reads to clips, and is written from clips. What it cannot carry is listed and never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.annotations.own_ava.actions import Attribute, Attributes, action_names
from clipquarry.annotations.own_ava.coco_boxes import coco_text, read_coco
from clipquarry.annotations.own_ava.cvat_xml import cvat_text, read_cvat
from clipquarry.annotations.own_ava.frame_boxes import Clip, Imported
from clipquarry.annotations.own_ava.key_frames import parse_frame_name, video_problem
from clipquarry.annotations.own_ava.label_folder import folder_texts, read_folder
from clipquarry.annotations.own_ava.label_studio import frames_text, read_label_studio
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

FINISHED = "_finish.json"
"""End of the name of a project that somebody finished."""
_PICTURES = (".jpg", ".jpeg", ".png")
_GROUP = "action"


class FrameSizes(Mapping[str, Size]):
    """Sizes of frames by the clip's name: ``fixed`` for all, or measured from the frames in ``folders`` and in their folders of clips."""

    def __init__(self, folders: Sequence[Path], measure: Callable[[Path], Size | None], fixed: Size | None = None):
        self._folders, self._measure, self._fixed = tuple(folders), measure, fixed
        self._clips: dict[str, Size | None] = {}

    def of_frame(self, name: str) -> Size | None:
        """The size of a frame by its file's name; None if nobody knows it."""
        if self._fixed is not None:
            return self._fixed
        clip = name.rpartition("_")[0]
        for folder in self._folders:
            for path in (folder / name, folder / clip / name):
                if path.is_file():
                    return self._measure(path)
        return None

    def _of_clip(self, clip: str) -> Size | None:
        if self._fixed is not None or video_problem(clip):  # a name that leaves the folder is none
            return self._fixed
        for folder in self._folders:
            for place in (folder / clip, folder):
                for name in _names(place):
                    if name.startswith(f"{clip}_") and name.lower().endswith(_PICTURES) and _clip_of(name) == clip:
                        return self._measure(place / name)
        return None

    def frames(self) -> Iterator[str]:
        """Names of the pictures in the folders, and in those of the folders' clips."""
        for folder in self._folders:
            for name in _names(folder):
                if (folder / name).is_dir():
                    yield from (one for one in _names(folder / name) if one.lower().endswith(_PICTURES))
                elif name.lower().endswith(_PICTURES):
                    yield name

    def __getitem__(self, clip: str) -> Size:
        if clip not in self._clips:
            self._clips[clip] = self._of_clip(clip)
        size = self._clips[clip]
        if size is None:
            raise KeyError(clip)
        return size

    def __iter__(self) -> Iterator[str]:
        return iter(self._clips)

    def __len__(self) -> int:
        return len(self._clips)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir())
    except OSError:
        return []


def _clip_of(name: str) -> str | None:
    try:
        return parse_frame_name(name).video
    except UserError:
        return None


def read_labels(
    kind: str, source: Path, sizes: FrameSizes, *, classes: Collection[int] = (0,), clip: str | None = None
) -> Found:
    """The clips of a file, or of all files of its kind in a folder. ``classes``: those of label texts that are people.

    ``clip`` names the clip of a CVAT file, in the place of its task's name. Raises :class:`UserError` for what is no such file.
    """
    if kind == "via":
        return _join([_read_via(path, sizes) for path in _files(source, FINISHED, "VIA projects")])
    if kind == "yolo":
        imported = _with_frames(read_folder(source, sizes, kinds=classes), sizes)
    elif kind == "cvat":
        imported = [read_cvat(path) for path in _files(source, ".xml", "CVAT files")]
        if clip is not None:
            if len(imported) > 1:
                raise UserError(f"{source} holds {len(imported)} files, and --clip names one clip: name one file.")
            imported[0].clip.name = clip
    elif kind == "label-studio":
        imported = read_label_studio(source, sizes)
    else:
        imported = read_coco(source)
    return _join([_named(one) for one in imported])


def _files(source: Path, end: str, what: str) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = [source / name for name in _names(source) if name.endswith(end)]
    found += [
        path / name for path in sorted(source.iterdir()) if path.is_dir() for name in _names(path) if name.endswith(end)
    ]
    if not found:
        raise UserError(f"{source} holds no {what} ('*{end}'): name the file itself, or another folder.")
    return found


def _read_via(path: Path, sizes: FrameSizes) -> Found:
    reading = read_project(path)
    if not reading.project.attributes:  # boxes to correct, as of detections: nothing can be chosen
        reading = read_project(path, boxes_only=True)
    found = clips_of_project(reading.project, path.name, sizes.of_frame)
    found.refused[:0] = reading.refused
    return found


def _with_frames(imported: Sequence[Imported], sizes: FrameSizes) -> list[Imported]:
    """The clips, and all frames in the folders: a frame in which nobody was detected has no label text and belongs to the result."""
    clips = {one.clip.name: one for one in imported}
    for name in sizes.frames():
        try:
            frame = parse_frame_name(name)
        except UserError:
            continue  # another picture
        if frame.video in sizes:
            found = clips.setdefault(frame.video, Imported(Clip(frame.video, sizes[frame.video]), []))
            found.clip.names[frame.number] = name
    return [clips[name] for name in sorted(clips)]


def _named(one: Imported) -> Found:
    """The clip, unless its name cannot stand in a frame's name; boxes of what names no clip are none."""
    found = Found(refused=list(one.refused))
    if one.clip.name and (problem := video_problem(one.clip.name)):
        why = f"The clip's name {one.clip.name[:80]!r} {problem}: rename it, or name a CVAT file's clip by --clip."
        found.refused.append(Refused("clip", why))
    elif one.clip.name:
        found.clips.append(one.clip)
    return found


def _join(parts: Sequence[Found]) -> Found:
    found = Found()
    for part in parts:
        if part.attributes is not None:
            if found.attributes is not None and _groups(found.attributes) != _groups(part.attributes):
                raise UserError("The projects have different groups of actions: convert those of one list at a time.")
            found.attributes = part.attributes
        for clip in part.clips:
            if any(one.name == clip.name for one in found.clips):
                raise UserError(f"The clip {clip.name[:80]!r} is in two files: take one of them away.")
            found.clips.append(clip)
        found.refused += part.refused
        found.left += part.left
    return found


def _groups(attributes: Attributes) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.name, one.options) for one in attributes.values()]


@dataclass
class Made:
    """What is to be written: ``text`` of one file, or ``texts`` of a folder's files by name; what did not fit; faults."""

    text: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    left: list[LeftOut] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def make_labels(
    kind: str,
    found: Found,
    target: Path,
    *,
    attributes: Attributes | None = None,
    frames: Mapping[str, int] | None = None,
    kind_number: int = 0,
    scores: bool = False,
) -> Made:
    """Texts in a format. VIA and CVAT give one file for a target with their suffix, else a folder with a file a clip.

    ``attributes``: groups of actions; without them those that were read, or one group of all actions that are there.
    ``frames``: clip to its number of frames, for CVAT. ``scores``: label texts with score and track, as detectors write them.
    """
    clips, known = found.clips, attributes or found.attributes or _all_actions(found.clips)
    left = [*found.left, *_left(kind, clips, scores)]
    if kind == "via":
        return _make_via(clips, known, target, left)
    if kind == "yolo":
        texts: dict[str, str] = {}
        for clip in clips:
            plain = (
                clip
                if scores
                else Clip(clip.name, clip.size, [one._replace(score=None, track=None) for one in clip.boxes])
            )
            texts |= {f"{Path(name).stem}.txt": "" for name in clip.names.values()}
            texts |= folder_texts(Clip(clip.name, clip.size, plain.boxes, clip.names), kind=kind_number)
        return Made(texts=texts, left=left)
    if kind == "cvat":
        names = list(action_names(known).values())
        every = {clip.name: cvat_text(clip, names, frames=_length(clip, frames)) for clip in clips}
        if target.suffix == ".xml":
            if len(every) != 1:
                raise UserError(
                    f"A CVAT file holds one clip, and there are {len(every)}: name a folder, not {target.name}."
                )
            return Made(text=next(iter(every.values())), left=left)
        return Made(texts={f"{name}.xml": text for name, text in every.items()}, left=left)
    if kind == "label-studio":
        return Made(text=frames_text(*clips), left=left)
    return Made(text=coco_text(*clips), left=left)


def _make_via(clips: Sequence[Clip], attributes: Attributes, target: Path, left: list[LeftOut]) -> Made:
    made = Made(left=left)
    size_of = {clip.frame_name(number): clip.size for clip in clips for number in _numbers(clip)}
    parts = (
        {target.name: list(clips)} if target.suffix == ".json" else {f"{one.name}{FINISHED}": [one] for one in clips}
    )
    for name, some in parts.items():
        project, refused = project_of_clips(some, attributes)
        made.texts[name] = project_text(project)
        again = parse_project(made.texts[name].encode(), name, sizes=size_of.get, boxes_only=not attributes)
        made.refused += [*refused, *again.refused]
    if target.suffix == ".json":
        made.text, made.texts = made.texts[target.name], {}
    return made


def _numbers(clip: Clip) -> set[int]:
    return {*clip.names, *(box.frame for box in clip.boxes)}


def _length(clip: Clip, frames: Mapping[str, int] | None) -> int:
    last = max(_numbers(clip), default=1)
    return max(last, (frames or {}).get(clip.name, last))


def _all_actions(clips: Sequence[Clip]) -> dict[str, Attribute]:
    names = tuple(sorted({label for clip in clips for box in clip.boxes for label in box.labels}))
    return {"1": Attribute(_GROUP, names)} if names else {}


def _left(kind: str, clips: Sequence[Clip], scores: bool) -> Iterator[LeftOut]:
    """What the format has no place for."""
    for clip in clips:
        for box in clip.boxes:
            if kind == "yolo" and box.labels:
                what = f"actions {', '.join(box.labels)}"
                yield LeftOut(clip.name, box.frame, what, "YOLO's texts have boxes alone")
            if box.score is not None and kind != "coco" and not (kind == "yolo" and scores):
                why = "--scores writes them" if kind == "yolo" else NO_SCORES
                yield LeftOut(clip.name, box.frame, f"score {box.score}", why)
        if kind == "via" or (kind == "yolo" and not scores):
            yield from lost_tracks(clip, clip.boxes, NO_NUMBERS if kind == "via" else "--scores writes them")
