"""A small HVU: its zips and two source videos on a server, a clip of Kinetics beside it, and the command line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from families.clips.file_world import PACKAGED, World, serve

RATE = 10
FIRST, SECOND, GONE, SHARED = "zzzzzzzzzzz", "-yyyyyyyyy_", "UNAVAIL0000", "0LtLS9wROrk"
CATEGORIES = (
    "Tag,Category\nrun,action\ncar,object\nforest,scene\nBike,object\nairplane,object\nzumba,action\nred,attribute\n"
)
"""In code-point order: action run, zumba; attribute red; object Bike, airplane, car; scene forest."""
HEADER = "Tags,youtube_id,time_start,time_end\n"
TRAIN = (
    f"forest|car|run|Bike,{FIRST},1.1,3.1\n" f"forest,{GONE},0.0,2.0\n" f"car|zumba|airplane|car,{SECOND},0.5,4.0\n"
    f"red,{FIRST},0.3,0.6\n" f"run|red,{SHARED},2,4\n" f"run,{FIRST},0.3,0.6\n" f"dog|run,{FIRST},2.0,3.0\n" f",{FIRST},2.0,3.5\n"
    f"run||car,{FIRST},2.0,3.6\n" f"run,{FIRST},3.0,2.0\n" f"run,{FIRST},-1,2.0\n" "run,short,0,1\n" f"run,{FIRST},1.0\n" f"run,{FIRST},nan,2\n"
)  # fmt: skip
VAL = f"forest|run,{SECOND},4.1,5.1\n"


def packed(name: str, text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


def yaml(name: str = "small_hvu") -> str:
    """The packaged YAML under another name, whose hosts are the server at ``${SMALL_URL}``."""
    text = (PACKAGED / "hvu.yaml").read_text()
    changes = (
        ("https://github.com/holistic-video-understanding/HVU-Dataset/raw/master/", "${SMALL_URL}/"), ("name: hvu\n", f"name: {name}\n"),
        ("root: hvu\n", f"root: {name}\n"), ("missing: {", "rejected: {error: 1}\nmissing: {"), ("hvu/videos/", f"{name}/videos/"),
        ("{id: youtube, kind: youtube, ", '{id: origin, kind: http, url: "${SMALL_URL}/{id}.mp4", attempts: 1, '),
    )  # fmt: skip
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


def world(folder: Path, train: str = TRAIN, categories: str = CATEGORIES) -> Iterator[World]:
    films = {
        name: make_video(folder / f"{name}.mp4", 6, RATE, size=(64, 48), label=name, gop=20) for name in (FIRST, SECOND)
    }
    served = {
        "HVU_Train_V1.0.zip": packed("HVU_Train_V1.0.csv", HEADER + train), "HVU_Val_V1.0.zip": packed("HVU_Val_V1.0.csv", HEADER + VAL),
        "HVU_Tags_Categories_V1.0.csv": categories.encode(), **{f"{name}.mp4": film.read_bytes() for name, film in films.items()},
    }  # fmt: skip
    with Origin(serve(folder / "served", served)) as origin:
        one = World(folder, "small_hvu", origin)
        one.spec(yaml())
        clip = one.data / f"kinetics600/videos_val/zumba/{SHARED}_000002_000004.mp4"
        clip.parent.mkdir(parents=True)
        make_video(clip, 2, RATE, size=(64, 48), label=SHARED, gop=20)
        yield one
