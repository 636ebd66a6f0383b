"""A small release of Kinetics-700, AVA v2.2 and AVA-Kinetics, in the reference layout, made by the project's own writers from numbered videos.

Every frame of a source video says its number (:mod:`clipquarry.demo.videos`), so that a reader's picture tells which second it took it for. The videos of
AVA are excerpts of eight seconds from second 900 on, where real ones have 901.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from clipquarry.annotations.action_list import write_action_list
from clipquarry.annotations.ava_kinetics import (
    Window,
    frame_folders,
    key_seconds,
    merge_csv,
    prepare_rows,
    select_windows,
    write_rows,
    write_times,
)
from clipquarry.annotations.ava_time import FPS
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.proposals import (
    Boxes,
    merge_proposals,
    proposal_key,
    read_proposals,
    write_proposals,
)
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video
from clipquarry.ids import ClipName
from clipquarry.manifest import read_rows
from clipquarry.media.cut import cut_clip
from clipquarry.media.frames import FrameRecipe, extract_frames
from clipquarry.microseconds import seconds
from clipquarry.release.lists import build_lists
from clipquarry.settings import DataRoot

SIZE = (160, 120)
AVA_SECONDS = 8
ACTIONS = {3: "crouch/kneel", 4: "dance", 5: "fall down", 8: "lie/sleep", 9: "martial art", 11: "sit", 12: "stand", 17: "carry/hold (an object)", 80: "watch (a person)"}  # fmt: skip
KINETICS_CSV = {
    "train": "label,youtube_id,time_start,time_end,split\n"
    "abseiling,AAAAAAAAAAA,12,22,train\n"
    "massaging person's head,BBBBBBB_-_B,0,10,train\n"  # a quote in the folder's name, a line in the id
    "abseiling,CCCCCCCCCCC,100,110,train\n"  # no key frame in it
    "zumba,DDDDDDDDDDD,12452,12462,train\n"  # five digits
    "zumba,EEEEEEEEEEE,50,60,train\n"
    "abseiling,GGGGGGGGGGG,0,10,train\n",  # not there
    "val": "label,youtube_id,time_start,time_end,split\nzumba,HHHHHHHHHHH,5,15,val\n",
}
NOT_THERE = "GGGGGGGGGGG"
AVA_KINETICS_CSV = (
    "AAAAAAAAAAA,17.070270,0.100,0.200,0.300,0.401,12\n"
    "EEEEEEEEEEE,59.000000,0.050,0.100,0.500,0.950,5\n"  # the clip's end is one second behind it
    "AAAAAAAAAAA,17.070270,0.100,0.200,0.300,0.401,80\n"
    "AAAAAAAAAAA,17.070270,0.500,0.200,0.900,0.900,3\n"
    "BBBBBBB_-_B,1.000000,0.250,0.100,0.750,0.900,11\n"  # the clip's start is one second before it
    "BBBBBBB_-_B,5.033333,0.300,0.100,0.800,0.900,17\n"
    "BBBBBBB_-_B,8.000000\n"
    "DDDDDDDDDDD,12457.000000,0.200,0.200,0.600,0.800,4\n"
    "GGGGGGGGGGG,3.000000,0.200,0.200,0.600,0.800,4\n"
)
AVA_CSV = {
    "train": "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"
    "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,9,1\n"
    "-5KQ66BBWC4,0902,0.226,0.032,0.366,0.497,12,0\n"
    "-5KQ66BBWC4,0903,0.332,0.194,0.481,0.891,11,1\n"
    "-5KQ66BBWC4,0904,0.332,0.194,0.481,0.891,11,1\n"  # excluded
    "_ab-cdefghi,0905,0.100,0.100,0.400,0.900,8,3\n"
    "_ab-cdefghi,0905,0.100,0.100,0.400,0.900,12,4\n",  # another person with the same box
    "val": "0f39OWEqJ24,0902,0.011,0.157,0.655,0.983,12,0\n"
    "0f39OWEqJ24,0903,0.011,0.157,0.655,0.983,17,0\n"  # excluded
    "0f39OWEqJ24,0904,0.020,0.150,0.640,0.980,12,0\n",
}
EXCLUDED = {"train": "-5KQ66BBWC4,0904\n", "val": "0f39OWEqJ24,0903\n"}
AVA_PROPOSALS: dict[str, dict[str, list[list[float]]]] = {
    "train": {
        "-5KQ66BBWC4,0902": [[0.5, 0.5, 0.6, 0.7, 0.300000], [0.080, 0.150, 0.280, 0.810, 0.991234], [0.230, 0.030, 0.370, 0.500, 0.950000]],
        "-5KQ66BBWC4,0903": [[0.0, 0.0, 0.2, 0.2, 0.400000], [0.330, 0.190, 0.480, 0.890, 0.600000]],
        "-5KQ66BBWC4,0904": [[0.330, 0.190, 0.480, 0.890, 0.990000]],
    },
    "val": {"0f39OWEqJ24,0902": [[0.011, 0.157, 0.655, 0.983, 0.998163]], "0f39OWEqJ24,0904": [[0.020, 0.150, 0.650, 0.980, 0.910000]]},
}  # fmt: skip
DETECTED: dict[tuple[str, int], list[list[float]]] = {
    ("AAAAAAAAAAA", 17): [[0.100, 0.200, 0.310, 0.400, 0.950000], [0.500, 0.210, 0.890, 0.900, 0.720000]],
    ("BBBBBBB_-_B", 1): [[0.250, 0.100, 0.750, 0.900, 0.980000]],
    ("BBBBBBB_-_B", 5): [[0.300, 0.100, 0.800, 0.900, 0.800000]],
    ("DDDDDDDDDDD", 12457): [[0.200, 0.200, 0.600, 0.800, 0.930000]],
}
"""What a detector found in the Kinetics part; nobody in E."""
_ANNOTATIONS = "annotations"
_FAIR = "ava_dense_proposals_{}.FAIR.recall_93.9.pkl"


def build(data: Path) -> Path:
    """Fill the data root ``data`` with ``kinetics700``, ``ava`` and ``ava_kinetics``; returns it."""
    clips = _kinetics(data)
    _ava(data / "ava")
    _ava_kinetics(data, clips)
    return data


def _kinetics(data: Path) -> list[tuple[ClipName, str]]:
    """Clips in class folders, their frames, and the list files. Returns the train clips with their paths."""
    spec, root = find_spec("kinetics700"), data / "kinetics700"
    csvs = {}
    for split, text in KINETICS_CSV.items():
        csvs[split] = root / _ANNOTATIONS / f"kinetics_{split}.csv"
        csvs[split].parent.mkdir(parents=True, exist_ok=True)
        csvs[split].write_text(text)
    catalog = data / "catalog.parquet"
    build_catalog(csvs, catalog)
    clips = []
    for row in read_rows(catalog):
        if row["video_id"] == NOT_THERE:
            continue
        video = root / spec.folder("videos", row["split"]) / row["class_dir"] / f"{row['clip_id']}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        make_video(video, seconds(row["end"] - row["start"]), size=SIZE, label=row["clip_id"])
        frames = root / spec.folder("rawframes", row["split"]) / row["class_dir"] / row["clip_id"]
        extract_frames(video, frames, recipe=FrameRecipe(short_edge=0))
        if row["split"] == "train":
            clips.append((ClipName(row["video_id"], int(seconds(row["start"])), int(seconds(row["end"]))), str(video)))
    build_lists(spec, DataRoot(data), catalog, data / "missing")
    return clips


def _ava(root: Path) -> None:
    annotations = root / _ANNOTATIONS
    annotations.mkdir(parents=True)
    for split, text in AVA_CSV.items():
        published = annotations / f"ava_{split}_v2.2.csv"
        published.write_text(text)
        if split == "train":  # val stays as it is published, with four digits
            write_rows(read_boxes(published, "ava").boxes, published)
        (annotations / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text(EXCLUDED[split])
        write_proposals(_arrays(AVA_PROPOSALS[split].items()), annotations / _FAIR.format(split))
        for video_id in dict.fromkeys(row[0] for row in csv.reader(text.splitlines())):
            video = root / "videos_15min" / f"{video_id}.mp4"
            video.parent.mkdir(exist_ok=True)
            make_video(video, AVA_SECONDS, size=SIZE, label=video_id)
            extract_frames(video, root / "rawframes" / video_id, recipe=FrameRecipe(short_edge=0, fps=FPS, quality=1))
    write_action_list(ACTIONS, annotations / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")


def _ava_kinetics(data: Path, clips: Iterable[tuple[ClipName, str]]) -> None:
    root, ava = data / "ava_kinetics", data / "ava"
    raw = root / "ava_kinetics_v1_0" / "kinetics_train_v1.0.csv"
    raw.parent.mkdir(parents=True)
    raw.write_text(AVA_KINETICS_CSV)
    boxes = read_boxes(raw, "ava_kinetics").boxes
    for window in select_windows(key_seconds(boxes), clips):
        _cut(window, root)
    prepared = prepare_rows(boxes, frame_folders(root / "rawframes"))
    write_rows(prepared.rows, root / "kinetics_train.csv")
    write_times(prepared.rows, root / "kinetics_train_times.csv")
    found = {proposal_key(video, second): rows for (video, second), rows in DETECTED.items()}
    write_proposals(_arrays(found.items()), root / "kinetics_proposal.pkl")

    for name in (file.name for file in (ava / _ANNOTATIONS).iterdir()):
        if name == "ava_train_v2.2.csv":
            merge_csv(root / "kinetics_train.csv", ava / _ANNOTATIONS / name, root / _ANNOTATIONS / name)
        elif name == _FAIR.format("train"):
            both = [read_proposals(file) for file in (root / "kinetics_proposal.pkl", ava / _ANNOTATIONS / name)]
            assert not any(rejected for _, rejected in both)
            write_proposals(merge_proposals(both[0][0], both[1][0]), root / _ANNOTATIONS / name)
        else:
            (root / _ANNOTATIONS).mkdir(exist_ok=True)
            (root / _ANNOTATIONS / name).write_bytes((ava / _ANNOTATIONS / name).read_bytes())
    for folder in (ava / "rawframes").iterdir():
        (root / "rawframes" / folder.name).symlink_to(folder)


def _cut(window: Window, root: Path) -> None:
    video = root / "videos" / f"{window.name}.mp4"
    video.parent.mkdir(exist_ok=True)
    start, length = window.start - window.clip.start, window.end - window.start
    cut_clip(Path(window.path), video, start=start, duration=length, recipe=Recipe(), tolerance=0.5)
    extract_frames(video, root / "rawframes" / window.name, recipe=FrameRecipe(short_edge=0, fps=FPS, quality=1))


def _arrays(proposals: Iterable[tuple[str, list[list[float]]]]) -> dict[str, Boxes]:
    return {key: np.array(rows) for key, rows in proposals}
