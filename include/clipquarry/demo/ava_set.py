"""AVA in small, as its sources serve it: a zip of annotations, a list of file names, films of drawn people.

One film ends early, one before anything is labelled, one is a dead link; a csv row is hostile. A film of the user's may
take the place of the film in val.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from clipquarry.demo.films import RATE, SECONDS, START, OwnFilm, Picture, write_film
from clipquarry.demo.walkers import Box, box_of, make_film, people, place
from clipquarry.files import writing

STAND, WALK, WATCH = 12, 14, 80
ACTIONS = {STAND: "stand", WALK: "walk", WATCH: "watch (a person)"}
UNLABELLED = 1
"""The action of a film that nobody has labelled; it is not evaluated."""
WHOLE_PICTURE: Box = (0.0, 0.0, 1.0, 1.0)
HOSTILE = "../../passwd"
_STANDS_AT = 75.0
"""Pixels from the left, where somebody stands and watches."""
_AHEAD = 33 / 30
"""Seconds behind a key frame of which readers take images."""
_SHORT = 60
"""Seconds of the film that ends before anything is labelled."""


@dataclass(frozen=True)
class Film:
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
        """Whole seconds that are labelled: from 902 on, as long as readers find the images behind them. Three of a film that
        cannot be had.
        """
        last = int(START + self.seconds - _AHEAD) if self.seconds else START + 4
        return [second for second in range(START + 2, last + 1) if second != self.excluded]


WALKS = Film("-walk_alone.mp4", "train", SECONDS, excluded=START + 15)
ENDS_EARLY = Film("ends_early_.mkv", "train", 15, people=2)
TOO_SHORT = Film("too_short_1.mp4", "train", 0)
GONE = Film("gone_film_0.mp4", "train", 0)
TWO = Film("two_people_.mp4", "val", SECONDS, people=2, excluded=START + 10)
YOURS = Film("your_film_0.mp4", "val", SECONDS)


@dataclass(frozen=True)
class AvaSet:
    """What was made: a folder to serve, the plan, and the films, the dead one too."""

    folder: Path
    plan: dict[str, Any]
    films: tuple[Film, ...]


def make_ava_set(folder: Path, own: OwnFilm | None = None) -> AvaSet:
    """Make ``folder/ava`` anew. ``own`` takes the place of :data:`TWO`."""
    films = (WALKS, ENDS_EARLY, TOO_SHORT, GONE, YOURS if own else TWO)
    root = folder / "ava"
    shutil.rmtree(root, ignore_errors=True)
    for film in films:
        path = root / "trainval" / film.name
        if film is YOURS and own is not None:
            write_film(path, own.pictures())
        elif film is TOO_SHORT:
            make_film(path, _SHORT)
        elif film is not GONE:
            write_film(path, _drawn(film))
    with writing(root / "annotations/ava_file_names_trainval_v2.1.txt") as handle:
        handle.writelines(f"{film.name}\n" for film in films)
    with zipfile.ZipFile(root / "ava_v2.2.zip", "w") as archive:
        for name, text in annotation_files(films).items():
            archive.writestr(f"ava_v2.2/{name}", text)
    return AvaSet(folder, {f"ava/trainval/{GONE.name}": "404"}, films)


def _walker(film: Film, second: float) -> float:
    """Where the one who walks is, in pixels: in company nearer to the right."""
    return place(second) + (40 if film.people > 1 else 0)


def _drawn(film: Film) -> Iterator[Picture]:
    others = [_STANDS_AT] * (film.people - 1)
    for number in range(round(film.seconds * RATE)):
        time = number / RATE
        picture = people(_walker(film, START + time), *others)
        yield time, av.VideoFrame.from_ndarray(picture, format="rgb24")


def _persons(film: Film, second: int) -> Iterator[tuple[Box, tuple[int, ...]]]:
    """Who is in the picture at a second, and what they do."""
    if film is YOURS:
        yield WHOLE_PICTURE, (UNLABELLED,)
        return
    yield box_of(_walker(film, second)), (WALK,)
    if film.people > 1:
        yield box_of(_STANDS_AT), (STAND, WATCH)


def _rows(film: Film) -> Iterator[str]:
    for second in film.key_seconds:
        for person, (box, actions) in enumerate(_persons(film, second)):
            for action in actions:
                yield f"{film.video_id},{second:04d},{','.join(f'{side:.3f}' for side in box)},{action},{person}\n"


def pbtxt(actions: Mapping[int, str]) -> str:
    """AVA's list of actions."""
    return "".join(
        f'label {{\n  name: "{name}"\n  label_id: {number}\n  label_type: PERSON_MOVEMENT\n}}\n'
        for number, name in actions.items()
    )


def annotation_files(films: tuple[Film, ...]) -> dict[str, str]:
    """File name to text, as in AVA's zip. What nobody labelled is excluded and its action not evaluated, so that it counts
    neither for nor against a detector.
    """
    named = ({UNLABELLED: "(not labelled)"} if YOURS in films else {}) | ACTIONS
    texts = {
        "ava_action_list_v2.2.pbtxt": pbtxt(named),
        "ava_action_list_v2.2_for_activitynet_2019.pbtxt": pbtxt(ACTIONS),
    }
    for split in ("train", "val"):
        of_split = [film for film in films if film.split == split]
        rows = [row for film in of_split for row in _rows(film)]
        if split == "train":
            rows.append(f"{HOSTILE},0902,0.100,0.100,0.900,0.900,{WALK},0\n")  # rejected by name
        excluded = [
            f"{film.video_id},{second:04d}\n"
            for film in of_split
            for second in (film.key_seconds if film is YOURS else [film.excluded] if film.excluded else [])
        ]
        texts[f"ava_{split}_v2.2.csv"] = "".join(rows)
        texts[f"ava_{split}_excluded_timestamps_v2.2.csv"] = "".join(excluded)
    return texts
