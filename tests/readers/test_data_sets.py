"""mmaction2's own classes over the lists of every packaged data set of whole files, of a lab's own videos, and of sound.

Each list is made by a whole run through the command line, from small videos whose frames show their number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acquire.made_archives import rar4, rar5
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from families.clips import test_diving48 as diving48
from families.clips import test_hmdb51 as hmdb51
from families.clips import test_ucf101 as ucf101
from families.clips.file_world import World, film, serve, small
from families.clips.frames_world import frames
from PIL import Image
from real_readers import prove, skip_without_readers

pytestmark = pytest.mark.timeout(1200)

MADE = ("--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis", "--set", "list_json=true")
FRAMES = 8
"""Of each video."""
FLOW = {"modality": "Flow", "filename_tmpl": "flow_{}_{:05d}.jpg"}
"""What docs/mmaction2.md says to give RawframeDataset."""
LISTS = {
    "ucf101": [f"ucf101_{part}_split_{number}" for number in (1, 2, 3) for part in ("train", "val")],
    "small_hmdb51": [f"small_hmdb51_{part}_split_{number}" for number in (1, 2, 3) for part in ("train", "val")],
    "diving48": ["diving48_train_list", "diving48_val_list"],
    "our_clips": ["our_clips_train_list", "our_clips_val_list"],
}
"""Data set to the beginnings of its lists' names."""
OWN = {"pour water/Cup 1 (final).mp4": "a", "pour water/cup.MKV": "b", "stir/a b.avi": "c", "stir/ß#[1].mov": "d"}

FRAME_SETS = {"jester_like": ("%05d.jpg", 1), "from_zero": ("frame%d.jpg", 0)}
"""Data sets of folders of frames: names, and the number of the first."""
HEARD = """
schema: dataset-spec/v1
name: heard
title: Clips with sound
family: clips
root: heard
access: {{kind: own}}
options: {{reader: kinetics_csv}}
layout:
  {{videos: "videos_{{split}}", audio: "audios_{{split}}", audio_features: "audio_features_{{split}}"}}
item: {{level: 2, ids: own}}
labels: {{source: annotation, count: 2}}
splits: {{train: annotations/train.csv}}
sources: [{{id: disk, kind: local, provides: items, content: video, path: "{folder}/{{id}}.mp4"}}]
lists:
  {{videos: "{{name}}_{{split}}_list_videos.txt", audio_features: "{{name}}_{{split}}_list_audio_features.txt"}}
missing: {{warn: 0.9, error: 1.0}}
"""


def place(folder: Path, films: Path, files: Mapping[str, str]) -> None:
    """Videos by their path, each showing its name."""
    for path, shows in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(film(films, shows, target.suffix.lower()))


def annotations(root: Path, files: Mapping[str, bytes]) -> None:
    (root / "annotations").mkdir(parents=True)
    for name, content in files.items():
        (root / "annotations" / Path(name).name).write_bytes(content)


def build(folder: Path) -> Path:
    """A data root with every data set of :data:`LISTS`, and ``heard``, clips with sound."""
    inner = {f"{name}.rar": rar4({f"{name}/{clip}.avi": film(folder, clip) for clip in clips}) for name, clips in hmdb51.CLIPS.items()}  # fmt: skip
    archives = {"test_train_splits.rar": rar4(hmdb51.splits()), "hmdb51_org.rar": rar5(inner)}
    with Origin(serve(folder / "served", archives)) as origin:
        world = World(folder, "ucf101", origin)
        annotations(world.root, ucf101.lists())
        place(world.root / "videos", folder, {f"{clip}.avi": clip for clip in ucf101.CLIPS})
        world.run("one", *MADE)
        world = World(folder, "diving48", origin)
        annotations(world.root, diving48.annotations())
        place(world.root / "videos", folder, {f"{clip}.mp4": clip for clip in diving48.CLIPS})
        world.run("one", *MADE)
        world = World(folder, "small_hmdb51", origin)
        world.spec(small("hmdb51"))
        world.run("one", *MADE)
        own = folder / "Our clips"
        place(own, folder, {f"{split}/{path}": shows for split in ("train", "val") for path, shows in OWN.items()})
        world = World(folder, "our_clips", origin)
        world("init", str(own))
        world.run("one", *MADE)
        for name, (pattern, first) in FRAME_SETS.items():
            for split, clip, shows in (("train", "wave/1", "a"), ("train", "nod/take 2", "b"), ("val", "wave/3", "c")):
                frames(folder, folder / name / split / clip, shows, pattern, first)
            world = World(folder, name, origin)
            world("init", str(folder / name))
            world.run("one", *MADE[2:])  # without frames=true: they are the items
        world = World(folder, "heard", origin)
        world.spec(HEARD.format(folder=folder))
        for name in ("one", "mute", "two"):
            make_video(folder / f"{name}.mp4", 4, 10, (64, 48), label=name, tone=name != "mute")
        rows = [
            "label,youtube_id,time_start,time_end,split",
            "wave,one,1,3,train",
            "nod,mute,1,3,train",
            "nod,two,0,3,train",
        ]
        annotations(world.root, {"train.csv": "\n".join([*rows, ""]).encode()})
        world.run("one", "--set", "audio=true", "--set", "audio_features=true")
    return folder / "data"


def asked(data: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What mmaction2 is asked to read: the text lists, and their JSON."""
    sets: dict[str, Any] = {}
    for name, stems in LISTS.items():
        for stem in stems:
            for form, more in (("videos", {}), ("rawframes", {}), ("rawframes_flow", FLOW)):
                prefix = {"video": f"data/{name}/videos"} if form == "videos" else {"img": f"data/{name}/rawframes"}
                sets[f"{stem}_{form}"] = {
                    "type": "VideoDataset" if form == "videos" else "RawframeDataset",
                    "ann_file": f"data/{name}/{stem}_{form}.txt", "data_prefix": prefix, **more,
                }  # fmt: skip
    jsons = {name: {**one, "ann_file": one["ann_file"].replace(".txt", ".json")} for name, one in sets.items()}
    for name, (pattern, first) in FRAME_SETS.items():
        template = pattern.replace("%05d", "{:05d}").replace("%d", "{:d}")
        for form, more in (("rawframes", {"filename_tmpl": template}), ("rawframes_flow", FLOW)):
            sets[f"{name}_train_list_{form}"] = {
                "type": "RawframeDataset", "ann_file": f"data/{name}/{name}_train_list_{form}.txt",
                "data_prefix": {"img": f"data/{name}/rawframes"}, "start_index": first, **more,
            }  # fmt: skip
    sets["ucf101's config"] = {"type": "VideoDataset", "config": True}
    sets["heard_train_list_audio_features"] = {
        "type": "AudioDataset", "ann_file": "data/heard/heard_train_list_audio_features.txt",
        "data_prefix": {"audio": "data/heard/audio_features_train"},
    }  # fmt: skip
    return sets, {name: one for name, one in jsons.items() if (data / one["ann_file"].removeprefix("data/")).is_file()}


class Proof:
    """What mmaction2 saw, and the lists as they are on the disk."""

    def __init__(self, folder: Path) -> None:
        self.data = build(folder)
        sets, self.jsons = asked(self.data)
        self.told = prove(self.data, folder, sets=sets, unreadable=self.jsons, numbers=True)

    def samples(self, name: str, kind: str) -> list[dict[str, Any]]:
        found = self.told["sets"][name]
        assert (found["class"], found["samples"]) == (kind, len(found["told"]))
        told: list[dict[str, Any]] = found["told"]
        return told

    def lines(self, of: str, name: str) -> list[list[str]]:
        return [line.split() for line in (self.data / of / f"{name}.txt").read_text().splitlines()]


@pytest.fixture(scope="session")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    skip_without_readers()
    return Proof(tmp_path_factory.mktemp("readers_of_lists"))


@pytest.mark.parametrize(("of", "stem"), [(of, stem) for of, stems in LISTS.items() for stem in stems])
def test_every_list_is_read_as_it_is_written(proof: Proof, of: str, stem: str) -> None:
    videos, frames, flow = (
        proof.samples(f"{stem}_{form}", kind)
        for form, kind in (
            ("videos", "VideoDataset"),
            ("rawframes", "RawframeDataset"),
            ("rawframes_flow", "RawframeDataset"),
        )
    )
    lines = proof.lines(of, f"{stem}_videos")
    assert lines and len(videos) == len(frames) == len(flow) == len(lines)
    for told, (path, label) in zip(videos, lines, strict=True):
        assert (told["path"], told["label"]) == (f"data/{of}/videos/{path}", int(label))
        assert told["total_frames"] == FRAMES
        assert told["numbers"] == told["frame_inds"], "frames of a video count from 0"
        assert told["packed"] == {"label": [int(label)]}
    for video, rgb, pairs, (path, label) in zip(videos, frames, flow, lines, strict=True):
        folder = f"data/{of}/rawframes/{path.rpartition('.')[0]}"
        assert (rgb["path"], rgb["label"], rgb["total_frames"]) == (folder, int(label), FRAMES)
        assert rgb["numbers"] == [number - 1 for number in rgb["frame_inds"]], "images count from 1"
        assert rgb["numbers"] == video["numbers"], "the same pictures as from the video"
        assert rgb["inputs"] == video["inputs"] == [1, 3, 16, 112, 112]
        assert (pairs["path"], pairs["label"], pairs["total_frames"]) == (folder, int(label), FRAMES - 1)
        assert set(pairs["frame_inds"]) <= set(range(1, FRAMES)), "pairs count from 1, and there are 7"
        assert (pairs["channels"], pairs["size"]) == (2, rgb["size"])
        assert pairs["inputs"] == [3, 10, 224, 224], "three clips of five pairs, x and y"
        first = [
            Image.open(proof.data / folder.removeprefix("data/") / f"flow_{way}_{pairs['frame_inds'][0]:05d}.jpg")
            for way in "xy"
        ]
        assert pairs["levels"][:2] == [pytest.approx(picture.getpixel((0, 0)), abs=2) for picture in first]


@pytest.mark.parametrize("name", FRAME_SETS)
def test_folders_of_frames_are_read_under_their_own_names(proof: Proof, name: str) -> None:
    first = FRAME_SETS[name][1]
    stem = f"{name}_train_list"
    lines = proof.lines(name, f"{stem}_rawframes")
    rgb, flow = (proof.samples(f"{stem}_{form}", "RawframeDataset") for form in ("rawframes", "rawframes_flow"))
    assert len(lines) == len(rgb) == len(flow) == 2
    for told, pairs, (path, count, label) in zip(rgb, flow, lines, strict=True):
        assert (told["path"], told["label"]) == (f"data/{name}/rawframes/{path}", int(label))
        assert told["total_frames"] == int(count) == FRAMES
        assert told["numbers"] == [number - first for number in told["frame_inds"]]
        assert pairs["total_frames"] == FRAMES - 1
        assert set(pairs["frame_inds"]) <= set(range(first, first + FRAMES - 1))


def test_the_published_config_of_ucf101_reads_it_unchanged(proof: Proof) -> None:
    assert proof.samples("ucf101's config", "VideoDataset") == proof.samples(
        "ucf101_val_split_1_videos", "VideoDataset"
    )


def test_features_of_sound_are_read_with_the_frames_of_the_video(proof: Proof) -> None:
    name = "heard_train_list_audio_features"
    told, lines = proof.samples(name, "AudioDataset"), proof.lines("heard", name)
    assert len(told) == len(lines) == 2
    for one, (path, count, label) in zip(told, lines, strict=True):
        array = np.load(proof.data / "heard/audio_features_train" / path)
        assert (one["path"], one["label"]) == (f"data/heard/audio_features_train/{path}", int(label))
        assert (one["total_frames"], one["features"]) == (int(count), list(array.shape))
        assert one["range"] == [float(array.min()), float(array.max())]
        assert one["inputs"] == [1, 1, 128, 80], "the selector's fixed length"


def test_json_lists_hold_the_same_and_no_class_of_this_version_reads_them(proof: Proof) -> None:
    assert {f"{stem}_videos" for stems in LISTS.values() for stem in stems} <= set(proof.jsons)
    for name, one in proof.jsons.items():
        path = proof.data / one["ann_file"].removeprefix("data/")
        entries = json.loads(path.read_text())
        key = "filename" if name.endswith("_videos") else "frame_dir"
        listed = [line.split() for line in path.with_suffix(".txt").read_text().splitlines()]
        assert [[entry[key], *map(str, entry["label"])] for entry in entries] == [
            [line[0], line[-1]] for line in listed
        ]
        assert proof.told["unreadable"][name], "docs/mmaction2.md says that they are for mmaction2 0.x"


def test_no_class_of_this_version_reads_lists_of_proposals(proof: Proof) -> None:
    """THUMOS'14's lists are for SSN, which 1.x has no class for: docs/thumos14.md says so, and 0.x's form is held by an oracle."""
    assert "RawframeDataset" in proof.told["classes"]
    assert [name for name in proof.told["classes"] if "SSN" in name.upper() or "PROPOSAL" in name.upper()] == []
