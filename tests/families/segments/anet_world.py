"""A small ActivityNet: five videos in a folder and at a fake YouTube, with the annotations that its servers have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from families.clips.file_world import PACKAGED, World, film, serve

FRAMES = 24
"""Of every video: three seconds of 8 frames."""
MINE, THEIRS, PRIVATE, VAL, TEST = "-aaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc", "v_ddddddddd", "eeeeeeeeeee"
"""Ids: in the person's folder, at YouTube, at YouTube but private, in the folder (val), and of the test subset."""


def segment(start: float, end: float, label: str = "BMX") -> dict[str, Any]:
    return {"segment": [start, end], "label": label}


DATABASE: dict[str, Any] = {
    VAL: {"duration": 3.0, "subset": "validation", "annotations": [segment(0.5, 1.26, "Archery")]},
    MINE: {
        "duration": 3.0, "subset": "training",
        "annotations": [segment(1.5, 3.0), segment(0, 1.25, "Sumo"), segment(3.2, 4.0), segment(2, 2.2, "BMX")],
    },
    "../../etc/x": {"duration": 3.0, "subset": "training", "annotations": [segment(0, 1)]},
    THEIRS: {"duration": 30.0, "subset": "training", "annotations": [segment(0, 15), segment(1, 2, "Bmx")]},
    PRIVATE: {"duration": 3.0, "subset": "training", "annotations": [segment(0, 1)]},
    TEST: {"duration": 3.0, "subset": "testing", "annotations": []},
}  # fmt: skip
OFFICIAL = {"version": "VERSION 1.3", "taxonomy": [{"nodeName": "BMX"}], "database": DATABASE}
SUBSETS = {VAL: "validation", MINE: "training", THEIRS: "training", PRIVATE: "training", TEST: "testing"}
BSN = {
    f"v_{name}": {
        "duration_second": DATABASE[name]["duration"], "duration_frame": 24, "annotations": DATABASE[name]["annotations"],
        "feature_frame": 16,
    }
    for name in (TEST, MINE, THEIRS, PRIVATE, VAL)
}  # fmt: skip
CSV = "video,numFrame,seconds,fps,rfps,subset,featureFrame\n" + "".join(
    f"v_{name},24,3.0,8.0,7.99,{subset},16\n" for name, subset in SUBSETS.items()
)
ORDER = "Archery\nSumo\nBMX\n"


_CHANGES = {
    r'(?m)((?:url:|-) ")https?://[^/"]+/(?:[^"]*/)?(?=[^/"]+"$)': r"\1${SMALL_URL}/",
    "kind: youtube, provides": 'kind: youtube, url: "${SMALL_YOUTUBE}{id}", provides',
    r"(?m)^root: ActivityNet": "root: ROOT",
    "missing: .*": "missing: {warn: 0.05, error: 1}\nrejected: {error: 0.5}",
}
"""Texts of the packaged YAML: hosts are the local server, and what is missing or rejected in the small world stops nothing."""


def served(folder: Path) -> dict[str, bytes]:
    return {
        "activity_net.v1-3.min.json": json.dumps(OFFICIAL).encode(),
        "anet_anno_action.json": json.dumps(BSN).encode(),
        "video_info_new.csv": CSV.encode(),
        "anet_activity_indexes_val.txt": ORDER.encode(),
        "theirs.mp4": film(folder, THEIRS, ".mp4", seconds=3),
    }


@contextmanager
def anet(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world of the data set ``name``, its folder of videos, and YouTube."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "acquire"))
    playbook = folder / "playbook.json"
    import_module("fake_youtube").enable_fake_extractor(monkeypatch, playbook)
    mine = folder / "mine"
    mine.mkdir()
    for video in (MINE, VAL):
        (mine / f"v_{video}.mp4").write_bytes(film(folder, video, ".mp4", seconds=3))
    with Origin(serve(folder / "served", served(folder))) as origin:
        # A long video: whole files are never fetched in sections.
        good = {"url": f"{origin.url}/theirs.mp4", "ext": "mp4", "duration": 5000}
        private = {"say": "Private video"}
        playbook.write_text(json.dumps({THEIRS: good, PRIVATE: private, TEST: private}))
        variables = {
            "CLIPQUARRY_LOCAL": str(mine), "CLIPQUARRY_FAKE_PLAYBOOK": str(playbook), "SMALL_YOUTUBE": "clipquarryfake:",
            "CLIPQUARRY_BUDGET_PAUSE": "0",
        }  # fmt: skip
        world = World(folder, f"small_{name}", origin, variables)
        text = (PACKAGED / f"{name}.yaml").read_text()
        for pattern, new in _CHANGES.items():
            text = re.sub(pattern, new, text)
        world.spec(
            text.replace(f"name: {name}\n", f"name: small_{name}\n").replace("root: ROOT\n", f"root: small_{name}\n")
        )
        yield world


def asked(world: World) -> list[str]:
    """Ids that YouTube was asked for."""
    return list(import_module("fake_youtube").calls(world.folder / "playbook.json"))
