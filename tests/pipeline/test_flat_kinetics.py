"""Kinetics in one folder without classes: the clips of all splits, images of six digits, lists that know the labels."""

from __future__ import annotations

from pathlib import Path

from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from test_run_all import GOOD, HEADER, SECOND, SPEC, Lab

CHANGES = {
    "{reader: kinetics_csv}": "{reader: kinetics_csv, frames: {rate: 30, quality: 1, even: true}}",
    'videos: "videos_{split}"': "videos: videos",
    'rawframes: "rawframes_{split}"': "rawframes: rawframes",
    "level: 2, ext: [mp4]": 'level: 1, ext: [mp4], rgb_pattern: "{:06d}.jpg", rgb_prefix: ""',
}


def flat() -> str:
    """The other tests' data set, laid out flat."""
    text = SPEC
    for old, new in CHANGES.items():
        assert text.count(old) == 1, f"the other tests' YAML has no longer one {old!r}"
        text = text.replace(old, new)
    return text


def test_a_flat_data_set(tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "videos").mkdir(parents=True)
    for name in (GOOD, SECOND):
        make_video(served / "videos" / f"{name}.mp4", 5, fps=10, label=name)
    (served / "train.csv").write_text(f"{HEADER}riding a bike,{GOOD},0,2,train,0\nzumba,{SECOND},1,3,train,0\n")
    (served / "val.csv").write_text(f"{HEADER}zumba,{GOOD},2,4,val,0\n")
    with Origin(served, {}) as origin:
        lab = Lab(tmp_path, origin, None)
        (tmp_path / "specs/kinetics_toy.yaml").write_text(flat())
        lab("run", "kinetics_toy", "--run", "one", "--jobs", "1", "--frames", "--annotation-counts", "warn")
        root = lab.data / "kinetics_toy"
        clips = [f"{GOOD}_000000_000002", f"{SECOND}_000001_000003", f"{GOOD}_000002_000004"]
        assert sorted(path.name for path in (root / "videos").iterdir()) == sorted(f"{clip}.mp4" for clip in clips)
        for clip in clips:
            images = sorted(path.name for path in (root / "rawframes" / clip).iterdir())
            assert (images[0], images[-1], len(images)) == ("000001.jpg", "000060.jpg", 60)
        assert (root / "toy_train_list_videos.txt").read_text().splitlines() == [
            f"{clips[0]}.mp4 0",
            f"{clips[1]}.mp4 1",
        ]
        asked = origin.asked.copy()
        lab("run", "kinetics_toy", "--run", "two", "--jobs", "1", "--frames", "--annotation-counts", "warn")
        assert {path for path in origin.asked if "videos/" in path and origin.asked[path] > asked[path]} == set()
