"""People found in real frames: the detector ``small`` against ``hog``, recall at IoU 0.5 and CPU milliseconds a frame on one core.

    python bench/bench_small.py --videos FOLDER [--model FILE] [--least SCORE] [--quick]

``FOLDER`` holds the clips of ``real_people.py``, which has the people of 24 of their frames. ``FILE`` is the model; without it that of the data root
(``CLIPQUARRY_DATA``), which a run with ``detector=small`` fetches. A found box counts once, for the person whom it overlaps most of those not yet found, best score
first. Time is that of the process with one thread, decoding not counted, the first frame of each size neither. With ``--quick`` the frames are three of drawn people.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from clipquarry.families.boxes.sample.walkers import HEIGHT, WIDTH, box_of, people
from clipquarry.people.detector import Detector, Frame
from clipquarry.people.hog import HogDetector
from clipquarry.people.small.detector import SmallDetector
from clipquarry.people.small.package import NANODET
from clipquarry.settings import DataRoot

sys.path.append(str(Path(__file__).parent))

from real_people import PEOPLE

MET = 0.5
TIMES, MILLISECONDS = 3.0, 150.0
"""Wanted: recall as a multiple of HOG's, and milliseconds a frame."""
Labelled = tuple[Frame, np.ndarray]
"""A frame and its people, (N, 4) in pixels."""


def real(folder: Path) -> Iterator[Labelled]:
    for name, frames in PEOPLE.items():
        with av.open(str(folder / f"{name}.mp4")) as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number in frames:
                    yield frame.to_ndarray(format="rgb24"), np.array(frames[number], float).reshape(-1, 4)


def drawn() -> Iterator[Labelled]:
    for left in (40.0, 80.0, 120.0):
        yield people(left), np.array([box_of(left)]) * (WIDTH, HEIGHT, WIDTH, HEIGHT)


@dataclass
class Counted:
    people: int = 0
    met: int = 0
    false: int = 0
    times: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.met / max(1, self.people)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared)


def count(detector: Detector, frames: list[Labelled]) -> Counted:
    told, known = Counted(), set()
    for frame, wanted in frames:
        begun = time.process_time()
        (boxes,) = detector.detect([frame])
        if frame.shape in known:
            told.times.append(1000 * (time.process_time() - begun))
        known.add(frame.shape)
        height, width = frame.shape[:2]
        left = wanted
        for box in boxes[:, :4] * (width, height, width, height):
            shared = overlap(box, left)
            if len(left) and shared.max() >= MET:
                left = np.delete(left, shared.argmax(), axis=0)
                told.met += 1
            else:
                told.false += 1
        told.people += len(wanted)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, help="folder with demo.mp4, test.mp4 and demo_skeleton.mp4")
    parser.add_argument("--model", type=Path, help="the model of small (that of the data root)")
    parser.add_argument("--least", type=float, default=0.3, help="score of small that counts (0.3)")
    parser.add_argument("--quick", action="store_true", help="drawn people instead")
    arguments = parser.parse_args()
    if arguments.videos is None and not arguments.quick:
        parser.error("--videos names the folder of the clips")
    model = arguments.model or NANODET.file(DataRoot(Path(os.environ.get("CLIPQUARRY_DATA", "data"))).models)
    frames = list(drawn() if arguments.quick else real(arguments.videos))
    cv2.setNumThreads(1)
    small, hog = count(SmallDetector(model, least=arguments.least), frames), count(HogDetector(), frames)
    ms, theirs = (float(np.mean(told.times)) for told in (small, hog))
    reached = arguments.quick or (small.recall >= TIMES * hog.recall and ms <= MILLISECONDS)
    print(
        f"| {small.people} people in {len(frames)} {'drawn' if arguments.quick else 'real'} frames, found at IoU {MET} (score above "
        f"{arguments.least}), and CPU time a frame on one core | {small.met} ({small.recall:.0%}), {small.false} boxes of nobody; {ms:.0f} ms | "
        f"{hog.met} ({hog.recall:.0%}), {hog.false} boxes of nobody; {theirs:.0f} ms (`hog`) | {small.recall / max(hog.recall, 1e-9):.0f}×"
        f"{'' if reached else ', **not reached**'} | {TIMES:.0f}×; {MILLISECONDS:.0f} ms | `python bench/bench_small.py --videos FOLDER` |"
    )


if __name__ == "__main__":
    main()
