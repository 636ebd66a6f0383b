"""All gates of a run of AVA-Kinetics and of Kinetics-700, over made tables of their real sizes.

    python bench/bench_gates.py [--rows 1440000] [--clips 650000] [--only ava_kinetics|kinetics700] [--quick]

One process runs all gates of a data set, as `clipquarry run` does, Great Expectations' import included; a second line says what they cost in
a process each, as under Airflow (the import again for every gate). Clips are files of 16 bytes; no images are made (that would be
hundreds of millions), so that frames are off. The row of markdown at the end goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from clipquarry.annotations.ava_kinetics import write_rows as write_csv
from clipquarry.annotations.box_csv import BOXES
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.proposals import Boxes, write_proposals
from clipquarry.datasets.load import find_spec
from clipquarry.families.boxes.proposals import as_table
from clipquarry.files import sha256_of
from clipquarry.microseconds import SECOND
from clipquarry.settings import DataRoot

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.boxes.made_boxes import MadeBoxes
from families.made_run import FINE, MadeRun, item_row

SEED = 3
ROWS_A_KEY_FRAME = 7
CLASSES = 700
SPLITS = {"train": 0.84, "val": 0.054, "test": 0.106}
"""Shares of Kinetics-700's clips."""


def content(number: int) -> bytes:
    """A file that begins as a video does, another for each number."""
    return b"\0\0\0\x18ftyp%08d" % number


def ids(count: int) -> list[str]:
    """``count`` different ids of 11 characters."""
    return [f"{number * 2654435761 % 2**44:011x}" for number in range(count)]


def manifests(run: MadeRun, items: dict[str, Any], folder: str, data: Path, *, classes: bool) -> None:
    """Catalog, labels, plan and recorded of items that are all there, a file of 16 bytes each."""
    count = len(items["item_id"])
    fine = {name: [value] * count for name, value in FINE.items()}
    table = pa.table(items)
    run.catalog(pa.table({**items, **fine}))
    run.plan(table)
    labels = zip(items["item_id"], items["label_index"], items["label"], strict=True)
    run.labels((item_id, [Label(int(index), str(name))]) for item_id, index, name in labels if index >= 0)
    paths = []
    for split, label, clip in zip(items["split"], items["class_dir"], items["clip_id"], strict=True):
        place = f"{folder.format(split=split)}/{label}" if classes else folder
        paths.append(f"{place}/{clip}.mp4")
    for parent in {path.rpartition("/")[0] for path in paths}:
        (data / parent).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        handle = os.open(f"{data}/{path}", os.O_CREAT | os.O_WRONLY)
        os.write(handle, content(number))
        os.close(handle)
    seconds = (np.array(items["end"]) - np.array(items["start"])) / SECOND
    sums = [hashlib.sha256(content(number)).hexdigest() for number in range(count)]
    media = {
        "bytes": [16] * count, "sha256": sums, "duration": seconds.astype(float), "frames": (seconds * 30).astype(np.int32),
        "fps": [30.0] * count, "width": [340] * count, "height": [256] * count, "has_audio": [True] * count,
        "path": paths, "source": ["local"] * count, "key": ["k"] * count, "asked_height": [256] * count,
    }  # fmt: skip
    run.recorded(pa.table({**items, **fine, **media}))


def make_ava_kinetics(root: Path, rows: int) -> None:
    """Windows of four seconds with one key frame of seven rows (three people); AVA's csv beside it, merged."""
    rng = np.random.default_rng(SEED)
    frames = rows // ROWS_A_KEY_FRAME
    videos = ids(frames)
    start = rng.integers(0, 300, frames)
    clips = [f"{video}_{at:06d}_{at + 4:06d}" for video, at in zip(videos, start.tolist(), strict=True)]
    run = MadeBoxes(DataRoot(root).run("ava_kinetics", "bench"))
    items = {
        "item_id": [f"train/{clip}" for clip in clips], "video_id": videos, "clip_id": clips, "split": ["train"] * frames,
        "label": ["class"] * frames, "class_dir": pa.nulls(frames, pa.string()), "label_index": [-1] * frames,
        "start": start * SECOND, "end": (start + 4) * SECOND, "row": pa.nulls(frames, pa.int64()),
    }  # fmt: skip
    items["class_dir"] = items["class_dir"].to_pylist()
    manifests(run, items, "ava_kinetics/videos", root, classes=False)
    at = np.repeat(np.arange(frames), ROWS_A_KEY_FRAME)
    person = np.tile(np.array([0, 0, 0, 1, 1, 2, 2]), frames)
    corner = np.round(rng.random((frames, 3, 2)) * 0.5, 3)
    low = corner[at, person]
    texts = np.char.mod("%.6f", start + 2 + np.round(rng.random(frames) * 0.04, 6))
    columns = {
        "time": pa.array(texts).take(pa.array(at)), "second": (start + 2)[at],
        "x1": low[:, 0], "y1": low[:, 1], "x2": np.round(low[:, 0] + 0.3, 3), "y2": np.round(low[:, 1] + 0.4, 3),
        "action_id": np.tile(np.array([12, 80, 79, 12, 80, 14, 17]), frames), "person_id": np.full(len(at), -1),
    }  # fmt: skip
    raw = pa.table({"video_id": pa.array(videos).take(pa.array(at)), **columns}).select(BOXES.names).cast(BOXES)
    prepared = pa.table({"video_id": pa.array(clips).take(pa.array(at)), **columns}).select(BOXES.names).cast(BOXES)
    run.annotated("train", "boxes", raw)
    run.annotated("train", "key_frames", [])
    run.annotated("train", "rejected", [])
    names = {str(number): f"action {number}" for number in range(1, 81)}
    run.actions(names, range(1, 81), evaluated_names=names)
    run.prepared("train", prepared)
    run.prepared_facts("train", len(at))
    write_csv(prepared, root / "ava_kinetics/kinetics_train.csv")
    score = np.full((frames, 3, 1), 0.95)
    made: Boxes = np.concatenate([corner, corner + np.array([0.3, 0.4]), score], axis=2)
    keys = {
        f"{video},{second:04d}": made[n]
        for n, (video, second) in enumerate(zip(videos, (start + 2).tolist(), strict=True))
    }
    pickle = root / "ava_kinetics/kinetics_proposal.pkl"
    write_proposals(keys, pickle)
    run.proposals("train", as_table(keys), path=str(pickle.relative_to(root)), source="bench", sha256=sha256_of(pickle))
    merge(root, run, frames)


def merge(root: Path, run: MadeBoxes, keys: int) -> None:
    name = "ava_train_v2.2.csv"
    theirs = "".join(f"0f39OWEqJ24,{second:04d},0.031,0.162,0.670,0.995,12,0\n" for second in range(902, 1799))
    for folder in ("ava/annotations", "ava_kinetics/annotations", "ava/rawframes", "ava_kinetics/rawframes"):
        (root / folder).mkdir(parents=True)
    (root / "ava/annotations" / name).write_text(theirs)
    own = (root / "ava_kinetics/kinetics_train.csv").read_text()
    merged = root / "ava_kinetics/annotations" / name
    merged.write_text(own + theirs)
    counts = {"kinetics_rows": own.count("\n"), "ava_rows": 897, "kinetics_keys": keys, "ava_keys": 4, "keys": keys + 4,
              "shared_keys": 0, "ava_identical": 4, "links": 0}  # fmt: skip
    csv = f"ava_kinetics/annotations/{name}"
    told = {"csv": csv, "ava_csv": f"ava/annotations/{name}", "sha256": {csv: sha256_of(merged)}}
    run.merged({**counts, **told})


def make_kinetics(root: Path, clips: int) -> None:
    """Clips of ten seconds of 700 classes, sorted by label, all there; their lists."""
    run = MadeRun(DataRoot(root).run("kinetics700", "bench"))
    spec = find_spec("kinetics700")
    rows: dict[str, list[Any]] = {}
    videos = iter(ids(clips))
    for split, share in SPLITS.items():
        count = int(clips * share)
        lines = []
        for number in range(count):
            index = number * CLASSES // count
            label, video, start = f"class {index:03d} (of many)", next(videos), number % 300
            folder, clip = label.replace(" ", "_"), f"{video}_{start:06d}_{start + 10:06d}"
            row = item_row(
                split, video, start, start + 10, clip=clip, folder=folder, label=label, index=index, line=number + 2
            )
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
            lines.append(f"{folder}/{clip}.mp4 {index}\n")
        place = root / "kinetics700" / spec.list_name("videos", split)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(lines))
    manifests(run, rows, "kinetics700/videos_{split}", root, classes=True)
    run.missing("videos", [])
    run.lists([{"split": split, "format": "videos"} for split in SPLITS])


class Cost(NamedTuple):
    cpu: float
    wall: float
    memory: float
    """Megabytes."""


def _child(root: Path, dataset: str, gates: tuple[str, ...], answer: Any) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    from clipquarry.pipeline.gates import run_gate
    from clipquarry.quality.params import GateParams

    spec, data = find_spec(dataset), DataRoot(root)
    splits = ("train",) if dataset == "ava_kinetics" else tuple(SPLITS)
    params = GateParams(annotation_counts="warn", frames=False, resize=False, splits=splits)
    told = []
    for gate in gates:
        begun = time.process_time()
        result = run_gate(gate, spec, data.run(dataset, "bench"), data, params)
        broken = [check.name for check in result.checks if not check.success]
        told.append(f"{gate} {time.process_time() - begun:.1f} s" + (f" ({', '.join(broken)})" if broken else ""))
    # Not ru_maxrss, which a child has from the process that started it.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000
    answer.put((Cost(time.process_time() - cpu, time.monotonic() - wall, peak), told))


def measure(root: Path, dataset: str, gates: tuple[str, ...]) -> tuple[Cost, list[str]]:
    """The gates in one fresh process."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_child, args=(root, dataset, gates, answer))
    process.start()
    while True:
        try:
            cost, told = answer.get(timeout=1)
        except Empty:
            if process.exitcode:
                raise SystemExit("a gate failed: see above") from None
            continue
        process.join()
        return cost, told


GATES = {
    "ava_kinetics": ("annotations", "clips", "frames", "boxes", "proposals", "merged"),
    "kinetics700": ("annotations", "clips", "frames", "lists"),
}


def bench(dataset: str, count: int, *, apart: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        (make_ava_kinetics if dataset == "ava_kinetics" else make_kinetics)(root, count)
        together, told = measure(root, dataset, GATES[dataset])
        print(f"{dataset}: {'; '.join(told)}", flush=True)
        each = [measure(root, dataset, (gate,))[0] for gate in GATES[dataset]] if apart else []
    text = f"| gates of {dataset}, {count:,} rows, imports included | {together.cpu:.1f} CPU s, {together.wall:.1f} s, {together.memory:,.0f} MB"
    if each:
        text += (
            f" in one process; {sum(c.cpu for c in each):.1f} CPU s, {max(c.memory for c in each):,.0f} MB in one each"
        )
    return text + f" | – | – | {20 if dataset == 'ava_kinetics' else 40} CPU s, 1 GB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_440_000)
    parser.add_argument("--clips", type=int, default=650_000)
    parser.add_argument("--only", choices=GATES)
    parser.add_argument("--together", action="store_true", help="only one process for all gates")
    parser.add_argument("--quick", action="store_true", help="a few thousand rows, one process for all gates")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.clips, options.together = 7000, 3000, True
    counts = {"ava_kinetics": options.rows, "kinetics700": options.clips}
    lines = [
        bench(name, count, apart=not options.together) for name, count in counts.items() if options.only in (None, name)
    ]
    print("| what | Clipquarry | the reference's way | ratio | asked for |\n|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
