"""Own AVA: crops, frames and key frames of raw videos: Clipquarry against the commands of the reference.

    python bench/bench_own_crops.py [--crops 10] [--turns 3] [--noise 3] [--seconds 10] [--video VIDEO] [--quick]

Crops of ten labelled seconds and one more, out of two videos of 720p (H.264 with B-frames, a camera's noise and a key frame every
five seconds, AAC, 30 frames a second), or out of one of yours. The reference's side are its two commands for each crop, word for
word (``cut_video.sh``, ``cut_frames.sh``), and the copies that ``choose_frames_all.py``, ``choose_frames.py`` and
``choose_frames_middle.py`` make, without the start of their Python. Ours are the tasks ``fetch``, ``frames`` and ``key_frames`` of the
DAG ``custom_ava`` with the parameters that it has by itself; steps are processes of their own, as in Airflow, and their start and all
their checks count. ``rawframes``, which the reference makes of ``frames`` with another copy, is made on our side alone.

Both sides take turns in one run, after one with two crops that does not count; CPU time is that of all processes (user + system), the median of
the turns. The names of all frames and key frames must be the same, and in made videos each key frame must show the same frame. PSNR
is that of the key frames against the source's frames of the same number. The rows of markdown go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from clipquarry.annotations.own_ava.key_frames import frame_name, frame_of
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.files import link_or_copy
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot, Settings
from numpy.typing import NDArray

FPS = 30
WANTED = 2.0
DATASET = "custom_ava"
PHASES = ("crops", "frames", "key frames")
_STEPS = {"crops": "fetch", "frames": "frames"}
_FOLDERS = ("frames", "choose_frames_all", "choose_frames_middle")


@dataclass(frozen=True)
class Crop:
    """``start``: seconds of the video."""

    name: str
    video: Path
    start: float


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def sources(folder: Path, count: int, seconds: int, noise: int, size: tuple[int, int]) -> list[Crop]:
    """Crops one after the other in two videos, none of which begins at a key frame."""
    each, made = -(-count // 2), list[Crop]()
    folder.mkdir(parents=True)
    for number in range(min(2, count)):
        path = folder / f"film{number}.mp4"
        length = (seconds + 1) * each + 4
        make_video(path, length, FPS, size, label=path.stem, preset="veryfast", gop=150, noise=noise)
        made += [Crop("", path, 2 + (seconds + 1) * place) for place in range(each)]
    return [Crop(str(number), crop.video, crop.start) for number, crop in enumerate(made[:count], 1)]


def of_video(video: Path, folder: Path, count: int, seconds: int) -> list[Crop]:
    """Crops at places spread over somebody's video."""
    folder.mkdir(parents=True)
    link_or_copy(video.resolve(), folder / video.name)
    room = probe(video, decode=False).duration - seconds - 1
    if room < 0:
        raise SystemExit(f"{video} has no {seconds + 1} s: choose fewer --seconds.")
    starts = [round(room * place / max(1, count - 1) - 0.0005, 3) for place in range(count)]
    return [Crop(str(number), folder / video.name, max(0.0, start)) for number, start in enumerate(starts, 1)]


def reference(crops: Sequence[Crop], root: Path, seconds: int) -> dict[str, float]:
    """CPU seconds of each phase."""

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [str(ffmpeg().path), *arguments], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    for folder in ("videos", "video_crop", "choose_frames_all"):
        (root / folder).mkdir(parents=True)
    for crop in crops:
        link_or_copy(crop.video, root / "videos" / crop.video.name)
    marks = [cpu()]
    for crop in crops:
        window = ("-ss", f"{crop.start:g}", "-t", str(seconds + 1))
        run(*window, "-y", "-i", f"videos/{crop.video.name}", f"video_crop/{crop.name}.mp4")
    marks.append(cpu())
    for crop in crops:
        (root / "frames" / crop.name).mkdir(parents=True)
        into = f"frames/{crop.name}/{crop.name}_%06d.jpg"
        run("-i", f"video_crop/{crop.name}.mp4", "-r", "30", "-q:v", "1", into)
    marks.append(cpu())
    for crop in crops:
        chosen, middle = root / "choose_frames" / crop.name, root / "choose_frames_middle" / crop.name
        chosen.mkdir(parents=True)
        middle.mkdir(parents=True)
        for second in range(seconds + 1):
            name = frame_name(crop.name, frame_of(second))
            shutil.copyfile(root / "frames" / crop.name / name, root / "choose_frames_all" / name)
            shutil.copyfile(root / "frames" / crop.name / name, chosen / name)
        for second in range(2, len(list(chosen.iterdir())) - 2):
            name = frame_name(crop.name, frame_of(second))
            shutil.copyfile(chosen / name, middle / name)
    marks.append(cpu())
    return {phase: marks[at + 1] - marks[at] for at, phase in enumerate(PHASES)}


def ours(crops: Sequence[Crop], root: Path, seconds: int) -> dict[str, float]:
    """CPU seconds of each phase, and of the tasks between them ("other")."""
    raw = root / DATASET / "videos"
    raw.mkdir(parents=True)
    for crop in crops:
        link_or_copy(crop.video, raw / crop.video.name)
    lines = [f"{crop.video.name},{crop.start:g},{seconds},{crop.name}" for crop in crops]
    (root / DATASET / "crops.csv").write_text("\n".join(["video,start,length,name", *lines]) + "\n")
    settings = Settings(DataRoot(root), f"sqlite:///{root / 'ledger.sqlite'}")
    spent, begun = dict[str, float](), cpu()
    # Nobody looks for people here: that comes after the key frames.
    ctx = make_context(DATASET, "one", {"proposals": "none"}, settings=settings)
    for stage in ("annotations", "plan"):
        run_stage(stage, ctx)
    for phase, step in _STEPS.items():
        jobs, before = run_stage(f"{step}_shards", ctx), cpu()
        for job in jobs:
            run_step(step, job, ctx)
        spent[phase] = cpu() - before
        if step == "fetch":
            run_stage("record", ctx)
    before = cpu()
    told = run_stage("key_frames", ctx)
    spent["key frames"] = cpu() - before
    assert told["crops"] == len(crops), told
    return spent | {"other": cpu() - begun - sum(spent.values())}


def run_step(step: str, job: dict[str, str], ctx: RunContext) -> None:
    """A shard in a process of its own, as the runtime ``process`` starts it."""
    root = ctx.data.root
    argv = [
        sys.executable, "-m", "clipquarry", "step", step, "--items", str(root / job["items"]), "--params", f"@{root / job['params']}",
        "--out", str(root / job["out"]), "--data", str(root), "--jobs", str(ctx.params.jobs),
    ]  # fmt: skip
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def names(root: Path) -> dict[str, list[str]]:
    """The names of all frames and chosen frames, by folder."""
    return {
        folder: sorted(path.relative_to(root / folder).as_posix() for path in (root / folder).rglob("*.jpg"))
        for folder in _FOLDERS
    }


def luma(frame: Any) -> NDArray[np.float32]:
    return frame.reformat(format="gray").to_ndarray().astype(np.float32)  # type: ignore[no-any-return]


def likeness(crops: Sequence[Crop], sides: Sequence[Path], seconds: int) -> list[float]:
    """Mean PSNR in dB of each side's key frames; ends with an error if two show another frame of the film."""
    found: list[list[float]] = [[] for _ in sides]
    for crop in crops[:2]:
        keys = {round(crop.start * FPS) + FPS * second: frame_of(second) for second in range(seconds + 1)}
        with av.open(str(crop.video)) as film:
            for number, frame in enumerate(film.decode(video=0)):
                if number > max(keys):
                    break
                if number not in keys:
                    continue
                shown = luma(frame)
                for side, root in enumerate(sides):
                    path = root / "frames" / crop.name / frame_name(crop.name, keys[number])
                    assert read_frame_numbers(path) == [number], (path, number)
                    with av.open(str(path)) as picture:
                        apart = float(np.mean((luma(next(picture.decode(video=0))) - shown) ** 2))
                    found[side].append(10 * np.log10(255**2 / max(1e-9, apart)))
    return [statistics.mean(values) for values in found]


def size(root: Path, pattern: str) -> float:
    """MB of the files, each counted once however many names it has."""
    return sum({s.st_ino: s.st_size for s in (path.stat() for path in root.glob(pattern))}.values()) / 1e6


def check(crops: Sequence[Crop], theirs: Path, mine: Path, seconds: int, *, made: bool) -> list[str]:
    """What both sides made, compared; ends with an error where they differ. Returns rows about sizes and likeness."""
    found, other = names(mine), names(theirs)
    if not made:  # at other rates than 30 the reference's last frame is there or not
        assert abs(len(found["frames"]) - len(other.pop("frames"))) <= len(crops)
    assert other.items() <= found.items(), "the two sides have other names"
    assert len(found["frames"]) == len(crops) * FPS * (seconds + 1), len(found["frames"])
    assert len(found["choose_frames_all"]) == len(crops) * (seconds + 1)
    for crop in crops:
        counts = [probe(root / "video_crop" / f"{crop.name}.mp4").frames for root in (theirs, mine)]
        assert not made or counts == [FPS * (seconds + 1)] * 2, counts
    rows = []
    for what, pattern in (
        ("the crops", "video_crop/*.mp4"),
        ("the frames", "frames/*/*.jpg"),
        ("all frame folders", "*/**/*.jpg"),
    ):
        rows.append(f"| MB of {what} | {size(theirs, pattern):.1f} | {size(mine, pattern):.1f} | | |")
    if made:
        for crop in crops:
            for name in (frame_name(crop.name, frame_of(second)) for second in range(seconds + 1)):
                shown = [read_frame_numbers(root / "choose_frames_all" / name) for root in (theirs, mine)]
                assert shown[0] == shown[1], (name, shown)
        quality = likeness(crops, (theirs, mine), seconds)
        rows.append(f"| PSNR of key frames of two crops, dB | {quality[0]:.2f} | {quality[1]:.2f} | | |")
    return rows


def compare(crops: Sequence[Crop], folder: Path, seconds: int, turns: int, *, made: bool) -> None:
    """Prints the table."""
    makers = {"reference": reference, "clipquarry": ours}
    roots = {"reference": folder / "reference", "clipquarry": folder / "clipquarry"}
    spent: dict[str, list[dict[str, float]]] = {side: [] for side in makers}
    for turn in range(turns + 1):  # the first one warms up
        for side in sorted(makers, reverse=bool(turn % 2)):
            shutil.rmtree(roots[side], ignore_errors=True)
            roots[side].mkdir()
            told = makers[side](crops if turn else crops[:2], roots[side], seconds)
            if turn:
                spent[side].append(told)
            print(f"turn {turn}, {side}: {', '.join(f'{name} {used:.2f}' for name, used in told.items())}", flush=True)
    rows = check(crops, roots["reference"], roots["clipquarry"] / DATASET, seconds, made=made)
    both: dict[str, dict[str, float]] = {
        side: {name: statistics.median(turn[name] for turn in told) for name in told[0]} for side, told in spent.items()
    }
    all_of = {
        side: statistics.median(sum(turn[name] for name in PHASES) for turn in told) for side, told in spent.items()
    }
    pairs = [
        sum(theirs[name] for name in PHASES) / sum(mine[name] for name in PHASES)
        for theirs, mine in zip(spent["reference"], spent["clipquarry"], strict=True)
    ]
    ratio = all_of["reference"] / all_of["clipquarry"]
    reached = "" if ratio >= WANTED else ": **not reached**"
    spread = f"ratios of the turns {min(pairs):.2f} to {max(pairs):.2f}" if len(pairs) > 1 else "one turn"
    print("| own AVA | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    print(
        f"| {len(crops)} crops of {seconds} s: crop, frames, selection, CPU s | {all_of['reference']:.1f} | {all_of['clipquarry']:.1f} "
        f"| {ratio:.2f}x ({spread}) | {WANTED:g}x{reached} |"
    )
    for name in PHASES:
        theirs, mine = both["reference"][name], both["clipquarry"][name]
        print(f"| of these: {name} | {theirs:.2f} | {mine:.2f} | {theirs / mine:.2f}x | |")
    print(f"| besides: list, plan, record | | {both['clipquarry']['other']:.2f} | | |")
    print("\n".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=10, help="how many crops (10)")
    parser.add_argument("--turns", type=int, default=3, help="turns that count (3)")
    parser.add_argument("--noise", type=int, default=3, help="how noisy the camera is (3; 0: a drawn film)")
    parser.add_argument("--seconds", type=int, default=10, help="labelled seconds of a crop (10)")
    parser.add_argument("--video", type=Path, help="take the crops out of this video instead")
    parser.add_argument("--quick", action="store_true", help="two crops of 4 s of small videos, one turn")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.crops, chosen.turns, chosen.seconds = 2, 1, 4
    shape = (320, 180) if chosen.quick else (1280, 720)
    print(f"{ffmpeg()}; noise {chosen.noise}")
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as name:
        folder = Path(name)
        if chosen.video:
            crops = of_video(chosen.video, folder / "films", chosen.crops, chosen.seconds)
        else:
            crops = sources(folder / "films", chosen.crops, chosen.seconds, chosen.noise, shape)
        compare(crops, folder, chosen.seconds, chosen.turns, made=not chosen.video)


if __name__ == "__main__":
    main()
