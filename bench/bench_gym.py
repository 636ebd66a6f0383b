"""FineGYM's two trims: Clipquarry's step ``fetch`` over a source on disk, against the reference's two stages.

    python bench/bench_gym.py [--quick] [--events 8] [--seconds 240]

One source of four minutes of 720p with a camera's noise, eight events with five subactions each. The reference decodes the
source from its beginning for each event, and each event's clip from its beginning for each subaction. Clipquarry cuts an event
once, and copies its subactions out of that encode. CPU time of the processes (user + system), of Clipquarry with the
interpreter's start and the check of every clip. The frames of all clips are read: Clipquarry's must be exactly those of the
window, the reference's may be one off.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.manifest import ITEM_FIELDS, schema_of, write_rows
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of, seconds

VIDEO, RATE, SUBACTIONS = "bench-gym_1", 30, 5
STEP = (
    "import sys; from pathlib import Path; from clipquarry.steps.registry import make_step; "
    "from clipquarry.steps.runner import run_step; "
    "r = run_step(make_step('fetch'), items=Path(sys.argv[1]), params=sys.argv[2], out=Path(sys.argv[3]), "
    "data=Path(sys.argv[4]), jobs=1); print(r.sentence); sys.exit(r.exit)"
)


class Trim(NamedTuple):
    """A window, in microseconds of the source, and its event; None: it is one."""

    name: str
    start: int
    end: int
    event: Trim | None = None


def trims(events: int, length: int) -> list[Trim]:
    """Events that take 60 % of the source, each followed by its subactions, at no round times."""
    found: list[Trim] = []
    for n in range(events):
        start = of(round(length / events * (n + 0.15), 2))
        event = Trim(f"{VIDEO}_E_{n:06d}_{n:06d}", start, start + of(round(0.6 * length / events, 2)))
        found.append(event)
        step = (event.end - event.start) // SUBACTIONS
        for k in range(SUBACTIONS):
            begin = event.start + k * step + 130_000
            found.append(Trim(f"{event.name}_A_{k:04d}_{k:04d}", begin, begin + step * 3 // 4, event))
    return found


def used(argv: list[str]) -> float:
    """CPU seconds of a program with all its children."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{argv[:3]} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def reference(source: Path, out: Path, start: float, length: float) -> float:
    """The command of both stages."""
    cut = ["-i", str(source), "-ss", str(start), "-t", str(length), "-c:v", "libx264", "-c:a", "copy"]
    return used([str(ffmpeg().path), "-nostdin", *cut, "-threads", "8", "-loglevel", "panic", str(out)])


def clipquarry(folder: Path, wanted: list[Trim]) -> float:
    """The step, whose only source is the folder."""
    items = folder / "items.parquet"
    rows = [
        {"item_id": f"{split}/{one.name}", "video_id": VIDEO, "clip_id": one.name, "split": split, "label_index": -1,
         "start": one.start, "end": one.end, "row": number}
        for number, one in enumerate(wanted, 1) for split in ["events" if one.event is None else "train"]
    ]  # fmt: skip
    write_rows(items, schema_of(ITEM_FIELDS, "shard"), rows)
    source = {"id": "local", "kind": "local", "provides": "items", "content": "video", "path": str(folder / "source")}
    params = {
        "root": "gym", "namespace": "bench", "names": "own", "videos": "subactions", "folders": {"events": "events"},
        "sources": [source], "recipe": {"duration_tolerance": 0.1},
    }  # fmt: skip
    out = folder / "part.parquet"
    return used([sys.executable, "-c", STEP, str(items), json.dumps(params), str(out), str(folder / "data")])


def compare(events: int, length: int, size: tuple[int, int], folder: Path) -> None:
    """The row of the table; ends with an error when a frame is another."""
    source = folder / "source" / f"{VIDEO}.mp4"
    source.parent.mkdir()
    make_video(source, length, RATE, size, label="bench", preset="veryfast", gop=150, noise=3)
    wanted = trims(events, length)
    begun = time.monotonic()
    ours = clipquarry(folder, wanted)
    our_wall, begun, theirs = time.monotonic() - begun, time.monotonic(), 0.0
    places: dict[str, Path] = {}
    for one in wanted:
        places[one.name] = folder / f"{one.name}.mp4"
        if one.event is None:
            theirs += reference(source, places[one.name], seconds(one.start), seconds(one.end - one.start))
        else:
            late = seconds(one.start - one.event.start)
            theirs += reference(places[one.event.name], places[one.name], late, seconds(one.end - one.start))
    their_wall = time.monotonic() - begun
    off, sizes = 0, [0, 0]
    for one in wanted:
        mine = folder / "data/gym" / ("events" if one.event is None else "subactions") / f"{one.name}.mp4"
        right = [math.ceil(seconds(at) * RATE - 1e-6) for at in (one.start, one.end)]
        assert read_frame_numbers(mine) == list(range(*right)), one
        other = read_frame_numbers(places[one.name])
        assert abs(other[0] - right[0]) <= 1 and abs(other[-1] + 1 - right[1]) <= 1, (one, other[0], other[-1], right)
        off += [other[0], other[-1] + 1] != right
        sizes = [total + path.stat().st_size for total, path in zip(sizes, (mine, places[one.name]), strict=True)]
    print(f"{ffmpeg()}")
    print("| trims | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    print(
        f"| {events * SUBACTIONS} subactions in {events} events of one source of {length} s, {size[1]}p, CPU s; every frame of ours is the "
        f"window's, {off} clips of the reference are one off | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f}x | 4x |"
    )
    print(f"| the same, wall seconds; bytes | {their_wall:.1f}; {sizes[1]:,} | {our_wall:.1f}; {sizes[0]:,} | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two events of a small source of 12 seconds")
    parser.add_argument("--events", type=int, default=8, help="how many events (8)")
    parser.add_argument("--seconds", type=int, default=240, help="length of the source (240)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        if arguments.quick:
            compare(2, 12, (320, 180), Path(folder))
        else:
            compare(arguments.events, arguments.seconds, (1280, 720), Path(folder))


if __name__ == "__main__":
    main()
