"""The family's sample: a small Kinetics with source videos, annotation csvs, and the plan of dead links."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from clipquarry.demo.videos import make_video
from clipquarry.files import publish, temporary_beside, writing
from clipquarry.pipeline.sample import Sample, Served

LABELS = (
    "abseiling",
    "massaging person's head",
    "passing American football (in game)",
    "riding a bike",
    "zumba",
)
SECONDS = 24
WINDOWS = ((2, 12), (13, 23))
COMES_BACK = "demo_dead01"

BEHAVIOURS: dict[str, Any] = {
    "videos/demo_dead01.mp4": "404",
    "videos/demo_dead02.mp4": "410",
    "videos/-demo_dead3.mp4": "403",
    "videos/demo_html_4.mp4": "html",
    "videos/demo_trunc5.mp4": "truncate",
    "videos/demo_slow_6.mp4": {"do": "slow", "seconds": 6},
    "videos/demo_busy_7.mp4": {"do": "429", "retry_after": 1, "times": 1},
}
"""Path below the server to how it misbehaves. The busy one gives in after one refusal."""
SHORT = "demo_short8"
GOOD = tuple(f"_demo-good{n}" for n in range(6))


def _ids() -> list[str]:
    dead = [path.removeprefix("videos/").removesuffix(".mp4") for path in BEHAVIOURS]
    return [*GOOD, *dead, SHORT]


def _rows() -> dict[str, list[list[str]]]:
    train: list[list[str]] = []
    val: list[list[str]] = []
    for number, video_id in enumerate(_ids()):
        for window, (start, end) in enumerate(WINDOWS):
            label = LABELS[(number + window) % len(LABELS)]
            to = val if (number < 3 and window == 1) or number == 7 else train
            to.append([label, video_id, str(start), str(end), "val" if to is val else "train", "0"])
    val.append([LABELS[0], "../../passwd", "3", "13", "val", "0"])  # hostile: rejected by name
    return {"train": train, "val": val}


def kinetics_csv(rows: Iterable[Sequence[object]]) -> str:
    """The text of a csv of Kinetics; a row is ``label, youtube_id, time_start, time_end, split, is_cc``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
    writer.writerows(rows)
    return text.getvalue()


def _video(path: Path, seconds: int, label: str) -> None:
    temporary = temporary_beside(path)
    make_video(temporary, seconds, fps=25, label=label, gop=50)
    publish(temporary, path)


def make_kinetics(folder: Path) -> Served:
    """Make what is not there yet below ``folder`` (``videos/``, ``annotations/``)."""
    videos, annotations = folder / "videos", folder / "annotations"
    videos.mkdir(parents=True, exist_ok=True)
    wanted = [(videos / f"{video_id}.mp4", video_id) for video_id in _ids()]
    with ProcessPoolExecutor(2) as pool:
        jobs = [
            pool.submit(_video, path, 16 if video_id == SHORT else SECONDS, video_id)
            for path, video_id in wanted
            if not path.exists()
        ]
        for job in jobs:
            job.result()
    for split, rows in _rows().items():
        with writing(annotations / f"kinetics_{split}.csv") as handle:
            handle.write(kinetics_csv(rows))
    serves = f"{len(wanted)} videos and plays {len(BEHAVIOURS)} dead or difficult links"
    return Served(folder, dict(BEHAVIOURS), serves, back=COMES_BACK)


SAMPLE = Sample(
    dataset="kinetics_demo",
    params={"resize": True, "frames": True, "frame_rate": 5, "shards": 2, "short_edge": 128},
    make=make_kinetics,
)
