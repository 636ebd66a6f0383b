"""HVU's plan and lists, and its catalog, of 481,417 clips with 3,142 tags, against the reference's three scripts in plain Python.

    python bench/bench_hvu.py [--clips 481417] [--present 0.9] [--quick]

Makes the table of tags (the six published sizes), the csv of a training split with 8 to 24 tags a clip, common ones more often, and
a file of one byte for a share of the clips. The reference's algorithm is that of ``parse_tag_list.py``, ``generate_file_list.py`` (videos)
and ``generate_sub_file_list.py`` (six times, with its missing filter put in), each in a fresh process. Clipquarry runs its stages
annotations, plan and lists, each in a fresh process too: the catalog with every row's reason, the ledger, the shards, the same seven
lists and the table of what is missing. CPU time (user + system) with the interpreter's start. All seven lists and ``hvu_tags.json``
must be equal, byte for byte. The gates before and after are told for their memory. The rows of markdown at the end go into
``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIZES = {"action": 739, "attribute": 117, "concept": 291, "event": 69, "object": 1678, "scene": 248}
PARAMS = {
    "splits": ["train"],
    "sources": ["mirror"],
    "mirror_url": "http://127.0.0.1:1/{clip}.mp4",
    "annotation_counts": "warn",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
STAGES = ("annotations", "gate_annotations", "plan", "lists", "gate_lists")
COUNTED = ("annotations", "plan", "lists")


class Cost(NamedTuple):
    """CPU seconds, wall seconds, and peak memory in bytes of a process."""

    cpu: float
    wall: float
    most: int


def make(root: Path, clips: int, present: float) -> None:
    """The annotation files, and the clips."""
    chance = random.Random(0)
    notes, videos = root / "hvu/annotations", root / "hvu/videos_train"
    notes.mkdir(parents=True)
    videos.mkdir()
    tags = [
        (f"{category}_{chance.randrange(1 << 30):08x}_tag_{n}", category)
        for category, size in SIZES.items()
        for n in range(size)
    ]
    (notes / "hvu_categories.csv").write_text("Tag,Category\n" + "".join(f"{tag},{of}\n" for tag, of in tags))
    names = np.array([tag for tag, _ in tags])
    order = np.random.default_rng(0).permutation(len(names))
    weights = 1 / (np.arange(len(names)) + 10)
    drawn = np.random.default_rng(1)
    with open(notes / "hvu_train.csv", "w") as handle:
        handle.write("Tags,youtube_id,time_start,time_end\n")
        for number in range(clips):
            if number % 10_000 == 0:
                some = names[order[drawn.choice(len(names), (10_000, 24), p=weights / weights.sum())]].tolist()
            told = dict.fromkeys(some[number % 10_000][: chance.randrange(8, 25)])
            video = f"{number:07d}{LETTERS[number % 64]}{LETTERS[number % 63]}-_"
            start = chance.randrange(3000)
            handle.write(f"{'|'.join(told)},{video},{start / 10},{start / 10 + 10:.1f}\n")
            if number % 1000 < present * 1000:
                _touch(videos / f"{video}_{start:06d}_{start + 100:06d}.mp4")


def _touch(path: Path) -> None:
    handle = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.write(handle, b"x")
    os.close(handle)


# The reference's algorithm, script by script.


def parse_tag_list(notes: Path, out: Path) -> None:
    lines = [line.strip().split(",") for line in (notes / "hvu_categories.csv").open().readlines()[1:]]
    categories: dict[str, list[str]] = {}
    for tag, category in lines:
        categories.setdefault(category, []).append(tag)
    for found in categories.values():
        found.sort()
    with open(out / "hvu_tags.json", "w") as handle:
        json.dump(categories, handle)


def generate_file_list(notes: Path, out: Path, videos: Path) -> None:
    categories = json.loads((out / "hvu_tags.json").read_text())
    category_of = {tag: category for category, tags in categories.items() for tag in tags}
    rows = [line.strip().split(",") for line in (notes / "hvu_train.csv").open().readlines()[1:]]
    downloaded = {name.split(".")[0] for name in os.listdir(videos)}  # noqa: PTH208

    def parsed(row: list[str]) -> tuple[str, dict[str, list[int]]]:
        tags, video, start, end = row
        name = f"{video}_{int(float(start) * 10):06d}_{int(float(end) * 10):06d}"
        labels: dict[str, list[int]] = {}
        for tag in tags.split("|"):
            category = category_of[tag]
            labels.setdefault(category, []).append(categories[category].index(tag))
        return name, labels

    entries = [parsed(row) for row in rows]
    there = [entry for entry in entries if entry[0] in downloaded]
    with open(out / "hvu_train_video.json", "w") as handle:
        json.dump([{"filename": f"{name}.mp4", "label": labels} for name, labels in there], handle)


def generate_sub_file_list(out: Path, category: str) -> None:
    with open(out / "hvu_train_video.json") as handle:
        data = json.load(handle)
    result = []
    for item in data:
        if category in item["label"]:
            item["label"] = item["label"][category]
            result.append(item)
    with open(out / f"hvu_{category}_train_video.json", "w") as handle:
        json.dump(result, handle)


def stage(root: Path, name: str) -> None:
    """One of Clipquarry's stages."""
    from clipquarry.pipeline.make_context import make_context
    from clipquarry.pipeline.stages import run_stage
    from clipquarry.settings import DataRoot, Settings

    settings = Settings(DataRoot(root), f"sqlite:///{root}/.clipquarry/ledger.sqlite")
    run_stage(name, make_context("hvu", "bench", PARAMS, settings=settings))


def measured(*arguments: str) -> Cost:
    """A part of this script in a fresh process."""
    begun = time.monotonic()
    child = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments} ended with {child.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - begun, usage.ru_maxrss * 1024)


def record(root: Path) -> None:
    """The state as a run leaves it that found the clips: the gate after the lists compares with it."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from clipquarry.manifest import read_rows
    from families.made_run import STATE, write_manifest

    there = {name.removesuffix(".mp4") for name in os.listdir(root / "hvu/videos_train")}  # noqa: PTH208
    run = root / ".clipquarry/runs/hvu/bench"
    facts = {"key": "0" * 64, "bytes": 1, "sha256": "0" * 64, "source": "mirror", "attempts": []}
    rows = (
        {name: value for name, value in {**row, **facts, "path": f"hvu/videos_train/{row['clip_id']}.mp4"}.items() if name in STATE.names}
        if row["clip_id"] in there
        else {**{name: value for name, value in row.items() if name in STATE.names}, "status": "missing", "reason": "removed", "key": "0" * 64}
        for row in read_rows(run / "catalog.parquet")
    )  # fmt: skip
    state = root / ".clipquarry/state/hvu.parquet"
    write_manifest(state, STATE, rows)
    (run / "recorded.parquet").write_bytes(state.read_bytes())


def compare(root: Path, clips: int, present: float) -> None:
    """Both sides, and the rows of the table."""
    make(root, clips, present)
    notes, out = root / "hvu/annotations", root / "reference"
    out.mkdir()
    for path in (notes / "hvu_train.csv", notes / "hvu_categories.csv"):
        path.read_bytes()  # both sides find them in the cache
    os.listdir(root / "hvu/videos_train")  # noqa: PTH208
    theirs = {"parse_tag_list": measured("--reference", str(root), "parse_tag_list")}
    theirs["generate_file_list"] = measured("--reference", str(root), "generate_file_list")
    for category in SIZES:
        theirs[f"generate_sub_file_list {category}"] = measured("--reference", str(root), category)
    ours: dict[str, Cost] = {}
    for name in STAGES:
        if name == "lists":
            record(root)
        ours[name] = measured("--stage", str(root), name)
    names = ["hvu_train_video.json", *(f"hvu_{category}_train_video.json" for category in SIZES)]
    for name in names:
        assert (root / "hvu" / name).read_bytes() == (out / name).read_bytes(), name
    assert (notes / "hvu_tags.json").read_bytes() == (out / "hvu_tags.json").read_bytes()
    for title, costs in (("reference", theirs), ("Clipquarry", ours)):
        for name, cost in costs.items():
            print(f"{title}: {name}: {cost.cpu:.1f} CPU s, {cost.wall:.1f} s, {cost.most / 1e6:,.0f} MB")
    their_cpu = sum(one.cpu for one in theirs.values())
    most = [max(one.most for one in costs) / 1e6 for costs in (theirs.values(), [ours[name] for name in COUNTED])]
    size = sum((out / name).stat().st_size for name in names)
    what = f"of {clips:,} clips with {sum(SIZES.values()):,} tags ({size / 1e6:,.0f} MB of JSON)"
    print("| HVU | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    for title, stages in (
        (f"HVU: plan and 7 lists {what}", COUNTED[1:]),
        ("the same, lists alone", COUNTED[2:]),
        ("the same, all three", COUNTED),
    ):
        our_cpu = sum(ours[name].cpu for name in stages)
        print(f"| {title}, CPU s | {their_cpu:.1f} | {our_cpu:.1f} | {their_cpu / our_cpu:.1f}x | 5x |")
    print(f"| the same, most memory of a process, MB | {most[0]:,.0f} | {most[1]:,.0f} | | 1,000 MB at most |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=481_417, help="clips (481,417)")
    parser.add_argument("--present", type=float, default=0.9, help="share of the clips that are there (0.9)")
    parser.add_argument("--quick", action="store_true", help="2,000 clips")
    parser.add_argument("--reference", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        stage(Path(arguments.stage[0]), arguments.stage[1])
        return
    if arguments.reference:
        root, what = Path(arguments.reference[0]), arguments.reference[1]
        notes, out = root / "hvu/annotations", root / "reference"
        scripts: dict[str, Callable[[], Any]] = {
            "parse_tag_list": lambda: parse_tag_list(notes, out),
            "generate_file_list": lambda: generate_file_list(notes, out, root / "hvu/videos_train"),
        }
        scripts.get(what, lambda: generate_sub_file_list(out, what))()
        return
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        compare(Path(folder), 2000 if arguments.quick else arguments.clips, arguments.present)


if __name__ == "__main__":
    main()
