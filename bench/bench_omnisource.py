"""OmniSource's long videos in parts against the reference's commands, and its lists against the disk.

    python bench/bench_omnisource.py [--seconds 180] [--entries 300000] [--quick]

Makes one video (640x480, 25 frames a second, with sound) and cuts it into parts of 10 s: by Clipquarry, verified, and by the commands of
``trim_raw_video.py`` with the dash that its ``loglevel`` lacks (each part decodes the video from its beginning). CPU time (user +
system) of the process and its children. Then compares a list of files in 200 folders with the disk, and writes it. The rows of
markdown at the end go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from clipquarry.datasets.load import find_spec
from clipquarry.demo.videos import make_video
from clipquarry.families.clips.mixed.entries import Shelf
from clipquarry.families.clips.mixed.lists import Checked, _kept
from clipquarry.media.parts import cover_problem, cut_parts, parts_in, span_of, verified_parts
from clipquarry.media.tools import ffmpeg
from clipquarry.settings import DataRoot

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.made_run import MadeRun


class _Nothing:
    def add(self, *about: object) -> None:
        raise AssertionError(about)


def cpu() -> float:
    """Seconds of this process and its children."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def reference(source: Path, folder: Path) -> None:
    """The commands of the reference for each part."""
    for number in range(len(span_of(source).windows(10))):
        command = [
            str(ffmpeg().path),
            "-y",
            "-loglevel",
            "error",
            "-i",
            str(source),
            "-ss",
            str(10 * number),
            "-t",
            "10",
        ]
        subprocess.run([*command, "-crf", "18", "-c:v", "libx264", str(folder / f"part_{number}.mp4")], check=True)


def cutting(work: Path, seconds: int) -> str:
    source = make_video(work / "long.mp4", seconds, 25, (640, 480), noise=4)
    recipe, costs = find_spec("omnisource").recipe, []
    for name in ("ours", "theirs"):
        (work / name).mkdir()
        begun = cpu()
        if name == "ours":
            cut_parts(source, work / name, 10, recipe, Event())
        else:
            reference(source, work / name)
        costs.append(cpu() - begun)
        parts = verified_parts(parts_in(work / name))
        print(
            f"{name}: {costs[-1]:.1f} CPU s, {len(parts.facts)} parts; {cover_problem(parts, 10, span_of(source)) or 'whole'}"
        )
    return (
        f"| OmniSource: a video of {seconds} s in parts of 10 s, verified | {costs[0]:.1f} CPU s | {costs[1]:.1f} CPU s (the reference's "
        f"commands, unverified) | {costs[1] / costs[0]:.1f}× | – | `python bench/bench_omnisource.py` |"
    )


def listing(work: Path, entries: int) -> str:
    data, spec = DataRoot(work / "data"), find_spec("omnisource")
    root, each = data.dataset(spec.root, "googleimage_200"), -(-entries // 200)
    rows, source = [], work / "list.txt"
    with open(source, "w", encoding="utf-8") as handle:
        for label in range(200):
            folder = root / f"{label:03d}/00"
            folder.mkdir(parents=True)
            for number in range(each):
                (folder / f"{number:06d}.jpg").touch()
                handle.write(f"googleimage_200/{label:03d}/00/{number:06d}.jpg {label}\n")
            item = {
                "item_id": f"googleimage_200/{label:03d}/00",
                "video_id": "x",
                "split": "googleimage_200",
                "clip_id": "00",
            }
            rows.append({**item, "status": "kept", "reason": "ok", "evidence": "", "key": ""})
    made = MadeRun(work / "run")
    made.recorded(rows)
    state = made.place.recorded
    before, begun, wall = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, cpu(), time.monotonic()
    checked = Checked("list.txt", ("googleimage_200",), None, "")
    lines = sum(1 for _ in _kept(source, checked, Shelf(spec, data, state), _Nothing()))  # type: ignore[arg-type]
    took, more = cpu() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert lines == checked.entries == 200 * each
    print(f"{lines:,} entries: {took:.1f} CPU s, {time.monotonic() - wall:.1f} s, {more / 1024:.0f} MB more")
    return (
        f"| OmniSource: a list of {lines:,} files compared with the disk | {took:.1f} CPU s, {more / 1024:.0f} MB more | nobody compares | – | – | "
        "the same |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seconds, chosen.entries = 12, 400
    with tempfile.TemporaryDirectory() as folder:
        rows = [cutting(Path(folder), chosen.seconds), listing(Path(folder), chosen.entries)]
    print("\n".join(rows))


if __name__ == "__main__":
    main()
