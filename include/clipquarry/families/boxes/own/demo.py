"""The sample of a person's own AVA as the demo runs it: raw videos and a list, a program that labels, and what came of it."""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.families.boxes.own.annotator import ACTIONS, label_all
from clipquarry.families.boxes.own.label_page import PROJECT
from clipquarry.families.boxes.own.sample import DATASET, RATE, write_video
from clipquarry.families.boxes.sample.videos import OwnVideo, own_video
from clipquarry.families.boxes.sample.walkers import people
from clipquarry.files import writing
from clipquarry.labelling.project import Project
from clipquarry.pipeline.sample import Sample, Served
from clipquarry.settings import DataRoot

SECONDS = 7
"""Length of a raw video."""
CROPS = "video,start,length,name\nhall.mp4,0.5,4,hall_1\ndoor.mp4,0,4,door_1\ndoor.mp4,1.5,4,door_2\n"
_VIDEOS = {"hall": (45.0, 15.0, 245.0), "door": (140.0, -15.0, 255.0)}
"""Of each video: where somebody walks from, in pixels, how fast, in pixels a second, and where somebody stands."""
MOST_FILMS = 4
"""Videos of the user that are taken: the demo is to end soon."""
_SETTLED = 60
"""Seconds since a file was written: a run waits for one that is newer, because a person may still write it."""
_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg"})


def _make(folder: Path) -> Served:
    films = {name: _walk(*how) for name, how in _VIDEOS.items()}
    return replace(_placed(folder, films, CROPS), about=("videos: in each, somebody walks and somebody else stands",))


def _walk(begin: float, speed: float, stands: float) -> Iterator[Any]:
    import av

    for number in range(RATE * SECONDS):
        yield av.VideoFrame.from_ndarray(people(begin + speed * number / RATE, stands), format="rgb24")


def _placed(folder: Path, films: dict[str, Iterator[Any]], crops: str) -> Served:
    """What a person puts into the data set's folder, a minute ago. Nothing of an earlier demo is in it."""
    root = folder / "by_hand"
    shutil.rmtree(root, ignore_errors=True)
    for name, pictures in films.items():
        write_video(root / "videos" / f"{name}.mp4", pictures)
    for name, text in (("crops.csv", crops), ("actions.yaml", ACTIONS)):
        with writing(root / name) as handle:
            handle.write(text)
    before = time.time() - _SETTLED
    for path in root.rglob("*.*"):
        os.utime(path, (before, before))
    return Served(folder, {}, "nothing: the videos are a person's own", by_hand=root)


# Videos of the user


def _with_videos(path: Path) -> Sample:
    """The sample on a video of the user's, or on those of a folder, in the place of the made ones. Raises UserError for one that cannot be
    decoded.
    """
    paths = _films(path)
    films = [(one, own_video(one)) for one in paths[:MOST_FILMS]]
    left = f", the first {MOST_FILMS} of {len(paths)}" if len(paths) > MOST_FILMS else ""
    return replace(SAMPLE, make=partial(_make_with, films, left))


def _films(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES and one.is_file())
    if not found:
        raise UserError(f"FILM: {path} holds no video ({', '.join(sorted(_SUFFIXES))}).")
    return found


def _make_with(films: list[tuple[Path, OwnVideo]], left: str, folder: Path) -> Served:
    named = {f"film_{number}": film for number, film in enumerate(films, 1)}
    crops = "".join(f"{name}.mp4,0,4,{name}\n" for name in named)
    made = _placed(
        folder, {name: _beginning(own) for name, (_, own) in named.items()}, f"video,start,length,name\n{crops}"
    )
    yours = "; ".join(f"{name} is {path}" for name, (path, _) in named.items())
    return replace(made, about=(f"your videos, of each the first {SECONDS} s, small{left}: {yours}",))


def _beginning(own: OwnVideo) -> Iterator[Any]:
    """The pictures of its first seconds, at the demo's rate; a shorter video is repeated."""
    import av

    shown = own.pictures()
    _, picture = next(shown)
    after = next(shown, None)
    for number in range(RATE * SECONDS):
        while after is not None and after[0] <= number / RATE:
            picture, after = after[1], next(shown, None)
        pixels = picture.to_ndarray(format="rgb24")  # a frame that was decoded has times and a kind of its own
        yield av.VideoFrame.from_ndarray(pixels, format="rgb24")


# What came of it


def _person(data: DataRoot) -> Iterable[str]:
    yield "a program labels in their place, through the same journal as the page's server:"
    yield from label_all(Project(data.labelling(DATASET, PROJECT)))


def _results(data: DataRoot, run: str) -> Iterator[str]:
    place = data.release(DATASET) / run / "labels_per_action.csv"
    if place.is_file():
        with place.open(newline="") as handle:
            for row in csv.DictReader(handle):
                yield f"{row.pop('group')} {row.pop('name')}: " + ", ".join(
                    f"{count} in {split}" for split, count in row.items() if split != "action"
                )
    yield f"the labelling page's project: {data.labelling(DATASET, PROJECT)}"


SAMPLE = Sample(
    dataset=DATASET,
    params={
        "shards": 1,
        "fps": RATE,
        "margin": 1,
        "track_every": 5,
        "detector": "hog",
        "score": 0.3,
        "labels": True,
        "label_days": 0.02,  # half an hour: nobody comes if the program fails
    },
    make=_make,
    results=_results,
    files={"labels": "annotations/*.csv", "config": "annotations/mmaction2_config.py"},
    with_video=_with_videos,
    person=_person,
    then=(
        "a person puts videos into data/custom_ava/videos, crops.csv and actions.yaml beside that folder, starts `make up`, opens\n"
        "http://localhost:8080, and triggers custom_ava with 'labels'. The run waits under Required Actions, whose link opens the\n"
        "labelling page, and goes on when all clips are done there"
    ),
)
