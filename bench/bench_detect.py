"""People in frames: our detector in batches against mmdetection's own loop, picture by picture.

    python bench/bench_detect.py [--frames N] [--batch N] [--config NAME] [--size WIDTHxHEIGHT] [--threads N] [--quick]

Runs in the environment of ``make detect-env``; started from another one, it starts itself there. The weights are random and the heads are
made to find people everywhere, so that what comes after the network has its work too. Both sides hold the same model and get the same
pictures in memory, as JPEGs would be decoded for either; what they find must be the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).parents[1]
THERE = PROJECT / ".venv-detect/bin/python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, help="pictures (8)")
    parser.add_argument("--batch", type=int, default=0, help="pictures at once, ours (1 on a CPU, 8 on a GPU)")
    parser.add_argument("--config", default="rtmdet_tiny_8xb32-300e_coco", help="a config that mmdet ships")
    parser.add_argument("--size", default="340x256", help="of the frames (340x256)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (2)")
    parser.add_argument("--rounds", type=int, default=5, help="of each side, by turns; the quickest counts (5)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (cpu)")
    parser.add_argument("--half", action="store_true", help="ours in half precision, on a GPU")
    parser.add_argument("--quick", action="store_true", help="two pictures, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.frames, arguments.rounds = 2, 1
    if find_spec("mmdet") is None:
        if not THERE.exists():
            print("There is no .venv-detect (make detect-env): not measured.")
            return
        sys.exit(subprocess.run([THERE, __file__, *sys.argv[1:]], check=False).returncode)
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    sys.path.insert(0, str(PROJECT / "tests/people"))
    import mmdet_models
    import torch
    from clipquarry.people.detector import as_fractions
    from clipquarry.people.mmdet import MmdetDetector
    from mmdet.apis import inference_detector

    torch.set_num_threads(arguments.threads)
    batch = arguments.batch or (1 if arguments.device == "cpu" else 8)
    width, height = map(int, arguments.size.split("x"))
    pictures = mmdet_models.scenes(*[(height, width)] * arguments.frames)
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as name:
        model = mmdet_models.random_model(arguments.config)
        weights = mmdet_models.save(model, Path(name) / "w.pth")
        model.to(arguments.device)
        ours = MmdetDetector(
            weights, arguments.config, device=arguments.device, batch=batch, cpu_batch=batch, half=arguments.half
        )

    def by_mmdet() -> list[np.ndarray]:
        found = []
        for picture in pictures:
            people = inference_detector(model, picture[..., ::-1].copy()).pred_instances.cpu()
            kept = (people.labels == 0) & (people.scores > 0.5)
            rows = np.concatenate([people.bboxes[kept].numpy(), people.scores[kept, None].numpy()], axis=1)
            found.append(as_fractions(rows.astype(np.float64), width, height))
        return found

    def by_us() -> list[np.ndarray]:
        return ours.detect(pictures)

    by_mmdet()
    by_us()  # both warm
    seconds: dict[str, list[float]] = {"mmdet": [], "ours": []}
    spent: dict[str, list[float]] = {"mmdet": [], "ours": []}
    for _ in range(arguments.rounds):  # by turns: what else the machine does hits both
        for side, work in (("mmdet", by_mmdet), ("ours", by_us)):
            begun, processor = time.monotonic(), time.process_time()
            found = work()
            seconds[side].append((time.monotonic() - begun) / len(pictures))
            spent[side].append((time.process_time() - processor) / len(pictures))
            if side == "mmdet":
                expected = found
    if not arguments.half:
        for mine, theirs in zip(found, expected, strict=True):
            assert len(mine) == len(theirs), (len(mine), len(theirs))
            np.testing.assert_allclose(mine[:, 4], theirs[:, 4], atol=1e-4)
    loop, batched, loop_cpu, batched_cpu = (
        min(taken[side]) for taken in (seconds, spent) for side in ("mmdet", "ours")
    )
    people = statistics.mean(len(boxes) for boxes in found)
    print(
        "| people in frames | inference_detector, one by one, s a frame | batches, s a frame | ratio |\n|---|---|---|---|"
    )
    print(
        f"| {arguments.config}, {arguments.frames} frames of {arguments.size}, {people:.0f} boxes each, batch {batch}, "
        f"{arguments.device}{' half' if arguments.half else ''}, {arguments.threads} threads of {os.cpu_count()} cores"
        f" | {loop:.3f} ({loop_cpu:.3f}) | {batched:.3f} ({batched_cpu:.3f}) | {loop / batched:.2f} ({loop_cpu / batched_cpu:.2f}) |"
    )


if __name__ == "__main__":
    main()
