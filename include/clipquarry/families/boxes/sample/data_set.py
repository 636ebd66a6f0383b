"""A small AVA data set as its sources serve it: a zip of annotations, a list of file names, videos of drawn people.

One video ends early, one ends before the first label, one is a dead link; one csv row is hostile. A video of the user may
replace the video in val.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av

from clipquarry.families.boxes.sample.videos import RATE, SECONDS, START, OwnVideo, Picture, write_video
from clipquarry.families.boxes.sample.walkers import Box, box_of, make_walk, people, place
from clipquarry.files import writing
from clipquarry.pipeline.sample import Served

STAND, WALK, WATCH = 12, 14, 80
ACTIONS = {STAND: "stand", WALK: "walk", WATCH: "watch (a person)"}
UNLABELLED = 1
"""The action id of a video without labels; it is not evaluated."""
WHOLE_PICTURE: Box = (0.0, 0.0, 1.0, 1.0)
HOSTILE = "../../passwd"
_STANDS_AT = 75.0
"""Pixels from the left, where somebody stands and watches."""
_AHEAD = 33 / 30
"""Seconds after a key frame from which readers take frames."""
_SHORT = 60
"""Seconds of the video that ends before the first label."""


@dataclass(frozen=True)
class Video:
    """``seconds``: of its content, from 900 on. ``people``: one who walks, or a second one who watches."""

    name: str
    split: str
    seconds: float
    people: int = 1
    excluded: int | None = None
    """A second that is labelled by nobody, and excluded."""

    @property
    def video_id(self) -> str:
        return self.name.partition(".")[0]

    @property
    def key_seconds(self) -> list[int]:
        """Whole seconds that are labelled: from 902 on, while readers find the frames after them. The dead link has three."""
        last = int(START + self.seconds - _AHEAD) if self.seconds else START + 4
        return [second for second in range(START + 2, last + 1) if second != self.excluded]


WALKS = Video("-walk_alone.mp4", "train", SECONDS, excluded=START + 15)
ENDS_EARLY = Video("ends_early_.mkv", "train", 15, people=2)
TOO_SHORT = Video("too_short_1.mp4", "train", 0)
GONE = Video("gone_film_0.mp4", "train", 0)
TWO = Video("two_people_.mp4", "val", SECONDS, people=2, excluded=START + 10)
YOURS = Video("your_film_0.mp4", "val", SECONDS)


def videos_with(own: OwnVideo | None) -> tuple[Video, ...]:
    """The videos of the sample, the dead link too; ``own`` takes the place of :data:`TWO`."""
    return WALKS, ENDS_EARLY, TOO_SHORT, GONE, YOURS if own else TWO


def make_ava(folder: Path, own: OwnVideo | None = None) -> Served:
    """Make ``folder/ava`` anew. ``own``: a video of the user's."""
    videos = videos_with(own)
    root = folder / "ava"
    shutil.rmtree(root, ignore_errors=True)
    for video in videos:
        path = root / "trainval" / video.name
        if video is YOURS and own is not None:
            write_video(path, own.pictures())
        elif video is TOO_SHORT:
            make_walk(path, _SHORT)
        elif video is not GONE:
            write_video(path, _drawn(video))
    with writing(root / "annotations/ava_file_names_trainval_v2.1.txt") as handle:
        handle.writelines(f"{video.name}\n" for video in videos)
    with zipfile.ZipFile(root / "ava_v2.2.zip", "w") as archive:
        for name, text in annotation_files(videos).items():
            archive.writestr(f"ava_v2.2/{name}", text)
    serves = f"{len(videos) - 1} videos and simulates 1 dead link ({GONE.name})"
    return Served(folder, {f"ava/trainval/{GONE.name}": "404"}, serves)


def _walker(video: Video, second: float) -> float:
    """Position of the walking person, in pixels: in company further to the right."""
    return place(second) + (40 if video.people > 1 else 0)


def _drawn(video: Video) -> Iterator[Picture]:
    others = [_STANDS_AT] * (video.people - 1)
    for number in range(round(video.seconds * RATE)):
        time = number / RATE
        picture = people(_walker(video, START + time), *others)
        yield time, av.VideoFrame.from_ndarray(picture, format="rgb24")


def _persons(video: Video, second: int) -> Iterator[tuple[Box, tuple[int, ...]]]:
    """The people in the frame at a second, and their actions."""
    if video is YOURS:
        yield WHOLE_PICTURE, (UNLABELLED,)
        return
    yield box_of(_walker(video, second)), (WALK,)
    if video.people > 1:
        yield box_of(_STANDS_AT), (STAND, WATCH)


def ava_row(video_id: str, second: int, box: Box, action: int, person: int = 0) -> str:
    """A line of AVA's csv."""
    return f"{video_id},{second:04d},{','.join(f'{side:.3f}' for side in box)},{action},{person}\n"


def _rows(video: Video) -> Iterator[str]:
    for second in video.key_seconds:
        for person, (box, actions) in enumerate(_persons(video, second)):
            yield from (ava_row(video.video_id, second, box, action, person) for action in actions)


def pbtxt(actions: Mapping[int, str]) -> str:
    """AVA's list of actions."""
    return "".join(
        f'label {{\n  name: "{name}"\n  label_id: {number}\n  label_type: PERSON_MOVEMENT\n}}\n'
        for number, name in actions.items()
    )


def annotation_files(videos: tuple[Video, ...]) -> dict[str, str]:
    """File name to text, as in AVA's zip. What nobody labelled is excluded and its action not evaluated, so that it counts
    neither for nor against a detector.
    """
    named = ({UNLABELLED: "(not labelled)"} if YOURS in videos else {}) | ACTIONS
    texts = {
        "ava_action_list_v2.2.pbtxt": pbtxt(named),
        "ava_action_list_v2.2_for_activitynet_2019.pbtxt": pbtxt(ACTIONS),
    }
    for split in ("train", "val"):
        of_split = [video for video in videos if video.split == split]
        rows = [row for video in of_split for row in _rows(video)]
        if split == "train":
            rows.append(ava_row(HOSTILE, 902, (0.1, 0.1, 0.9, 0.9), WALK))  # rejected by name
        excluded = [
            f"{video.video_id},{second:04d}\n"
            for video in of_split
            for second in (video.key_seconds if video is YOURS else [video.excluded] if video.excluded else [])
        ]
        texts[f"ava_{split}_v2.2.csv"] = "".join(rows)
        texts[f"ava_{split}_excluded_timestamps_v2.2.csv"] = "".join(excluded)
    return texts
