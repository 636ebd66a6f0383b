"""A tiny own AVA: raw videos of drawn people and a list of crops, as a person places them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from clipquarry.annotations.own_ava.actions import attributes_of
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.annotations.own_ava.via_project import Size, project_of, project_text
from clipquarry.families.boxes.sample.walkers import HEIGHT, WIDTH, box_of, people, place
from clipquarry.files import publish, temporary_beside, writing
from clipquarry.pipeline.sample import Sample, Served

DATASET = "custom_ava"
RATE = 10
SECONDS = 6
CROPS = "video,start,length,name\nhall.mp4,0.5,3,\ndoor.mp4,1,3,door_1\nhall.mp4,1.5,3,\n"
"""Two crops of one video overlap, as in the reference; one has a name."""
ACTIONS = "posture: [stand, {name: walk, key: w}]\neyes: [watch]\n"
_STANDS, _WALKS = {"1": "0", "2": "0"}, {"1": "1", "2": ""}
_KEYS = {"1": ("hall", 0.5), "door_1": ("door", 1.0), "3": ("hall", 1.5)}
"""The crops' videos and starts; of each, the seconds 1 and 2 are labelled."""
_VIDEOS = {"hall": (), "door": (75.0,)}
"""Who stands beside the one who walks: pixels from the left."""


def make(folder: Path) -> Served:
    """Make ``folder/by_hand``, which a person copies into the data set's folder."""
    root = folder / "by_hand"
    for name, others in _VIDEOS.items():
        write_video(root / "videos" / f"{name}.mp4", _pictures(others))
    with writing(root / "crops.csv") as handle:
        handle.write(CROPS)
    with writing(root / "actions.yaml") as handle:
        handle.write(ACTIONS)
    for crop, (video, start) in _KEYS.items():
        with writing(root / MIDDLE / crop / f"{crop}_finish.json") as handle:
            handle.write(_finished(crop, video, start))
    return Served(folder, {}, "nothing: the videos are a person's own", by_hand=root)


def _finished(crop: str, video: str, start: float) -> str:
    """What the person has labelled: everybody, with boxes of their own."""
    attributes = attributes_of({"posture": ["stand", {"name": "walk", "key": "w"}], "eyes": ["watch"]})
    others, size = _VIDEOS[video], Size(WIDTH, HEIGHT)
    seconds = (1, 2)
    names = [frame_name(crop, frame_of(second, RATE)) for second in seconds]
    boxes = {
        name: [box_of(place(start + second) + 40 * len(others)), *map(box_of, others)]
        for name, second in zip(names, seconds, strict=True)
    }
    project = project_of(names, size, boxes, attributes)
    for key, region in project.regions.items():
        project.regions[key] = region._replace(choices=_WALKS if key.endswith("_1") else _STANDS)
    return project_text(project)


def _pictures(others: tuple[float, ...]) -> Iterator[Any]:
    import av

    for number in range(RATE * SECONDS):
        yield av.VideoFrame.from_ndarray(people(place(number / RATE) + 40 * len(others), *others), format="rgb24")


def write_video(path: Path, pictures: Iterable[Any]) -> None:
    """Write H.264 video without sound of ``pictures`` (``av.VideoFrame``, all of one even size), :data:`RATE` a second."""
    import av

    shown = iter(pictures)
    first = next(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with av.open(str(temporary), "w") as out:
            stream: Any = out.add_stream("libx264", rate=Fraction(RATE))
            stream.width, stream.height = first.width, first.height
            stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "20"}
            stream.codec_context.thread_count = 1
            for picture in chain((first,), shown):
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


SAMPLE = Sample(
    dataset=DATASET,
    params={"shards": 1, "fps": RATE, "margin": 1, "labels": True, "detector": "hog", "score": 0.5},  # needs no network
    make=make,
)
