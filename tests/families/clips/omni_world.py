"""A small OmniSource: six sources in volumes, their lists, and the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from acquire.made_archives import tar
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from families.clips.file_world import World, film, serve, small

NAME = "small_omnisource"
SMALLER = (
    ("root: OmniSource\n", f"root: {NAME}\n"),
    ("count: 200,", "count: 3,"),
    ("volumes: 10", "volumes: 2"),
    ("volumes: 16", "volumes: 2"),
    ("volumes: 20", "volumes: 2"),
)
CLASSES = "abseiling\nair drumming\narchery\n"
TRAIN, VAL = {"0074cdXclLU": 0, "zzzlyL61Fyo": 2}, {"01fAWEHzudA": 1}
RAW = {"___dTOdxzXY": 23, "exact20secs": 20}
"""Seconds of each long video, 5 frames a second."""


def picture(folder: Path, name: str) -> bytes:
    """A small JPEG that differs by its name."""
    path = folder / f"{abs(hash(name))}.jpg"
    pixels = np.random.default_rng(abs(hash(name)) % 1000).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        for packet in (
            *stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuvj420p")),
            *stream.encode(None),
        ):
            out.mux(packet)
    return path.read_bytes()


def long_video(folder: Path, name: str, seconds: int) -> bytes:
    return make_video(folder / f"long_{name}.mp4", seconds, 5, (64, 48), label=name).read_bytes()


class OmniWorld(World):
    """``volumes`` are the tars by their paths, ``lists`` the annotation files."""

    def __init__(self, folder: Path, *changes: tuple[str, str]) -> None:
        super().__init__(folder, NAME, Origin(serve(folder / "served", {})))
        self.spec(small("omnisource", *SMALLER, *changes))
        made = folder / "made"
        made.mkdir()
        web = {
            "googleimage_200": {f"{at:03d}/0{at}/00000{n}.jpg": at for at in range(3) for n in (1, 2)},
            "insimage_200": {f"{at:03d}/abseil{at}/1J9tKW_{n}.jpg": at for at in range(3) for n in (1, 2)},
        }
        videos = {f"{at:03d}/abseil/B00arxogub{at}.mp4": at for at in range(3)}
        self.volumes: dict[str, bytes] = {}
        for source, files in web.items():
            halves = [[name for name in files if name.endswith(f"{n}.jpg")] for n in (1, 2)]
            for at, names in enumerate(halves):
                # One volume has the source's folder as its top, the other none.
                top = f"{source}/" if at else ""
                members = {f"{top}{name}": picture(made, f"{source}{name}") for name in names}
                self.volumes[f"{source}/vol_{at}.tar"] = tar(members)
        for at, names in enumerate((list(videos)[:1], list(videos)[1:])):
            self.volumes[f"insvideo_200/vol_0{at}.tar"] = tar({one: film(made, one, ".mp4") for one in names})
        for at, (name, seconds) in enumerate(RAW.items()):
            member = {f"pref{name[0]}/{name}.mp4": long_video(made, name, seconds)}
            self.volumes[f"kinetics_raw_200_train/vol_{at}.tar"] = tar(member)
        for source, clips in (("kinetics_200_train", TRAIN), ("kinetics_200_val", VAL)):
            members = {f"{source}/{clip}.mp4": film(made, clip, ".mp4") for clip in clips}
            self.volumes[f"{source}/{source}.tar"] = tar(members)
        google, ins = (_lines({f"{source}/{path}": at for path, at in web[source].items()}) for source in web)
        raw = [
            {"video_dir": "pref_/___dTOdxzXY", "label": 0, "num_clips": 3, "positive_clip_inds": [0, 2]},
            {"video_dir": "prefe/exact20secs", "label": 1, "num_clips": 2, "positive_clip_inds": [1]},
        ]
        self.lists: dict[str, str] = {
            "k200_actions.txt": CLASSES,
            "kinetics_200/k200_train.txt": _lines({f"{clip}.mp4": at for clip, at in TRAIN.items()}),
            "kinetics_200/k200_val.txt": _lines({f"{clip}.mp4": at for clip, at in VAL.items()}),
            "kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json": json.dumps(raw),
            "insvideo_200/insvideo_200.txt": _lines(videos),
            "googleimage_200/googleimage_200.txt": google,
            "insimage_200/insimage_200.txt": ins,
            "webimage_200/tsn_8seg_webimage_200_wodup.txt": google + ins,
        }

    def place(self, lists: Mapping[str, str] | None = None, *only: str) -> None:
        """Put lists and volumes where a person puts them; ``only`` these sources."""
        for name, text in (self.lists if lists is None else lists).items():
            path = self.root / "annotations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name, data in self.volumes.items():
            if not only or name.partition("/")[0] in only:
                path = self.root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def __enter__(self) -> OmniWorld:
        self.origin.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.origin.__exit__(*error)  # type: ignore[arg-type]


def _lines(entries: Mapping[str, int]) -> str:
    return "".join(f"{path} {label}\n" for path, label in entries.items())
