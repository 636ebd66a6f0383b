"""AVA's excerpts and AVA-Kinetics' clips: Clipquarry against the commands of the reference.

    python bench/bench_ava_cut.py [--quick] [--seconds N] [--clips N] [--noise N] [--turns N]

(a) The part of a film as a video and as images at 30 frames a second: one call of ours against mmaction2's
``cut_videos.sh`` and ``extract_rgb_frames_ffmpeg.sh`` one after the other, over the same part of a 720p film (24 and 25
frames a second, H.264 with B-frames and a camera's noise, key frames every six seconds), which goes on after it.
(b) Four-second windows of ten-second clips of 340x256, as ``cut_kinetics.py`` cuts them; the start of our cutter counts.

CPU time of all processes (user + system), ours with its checks. The numbers drawn in the pictures say which frame each
image shows; both sides must agree. PSNR is that of each side's pictures against the source's frames of the same number.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.cutters import cut_clip
from clipquarry.media.excerpt import Section, make_excerpt
from clipquarry.media.stretches import Encoders
from clipquarry.media.tools import ffmpeg
from numpy.typing import NDArray

SIZE = (1280, 720)
BEFORE, AFTER = 5, 5
"""Seconds of the film before and after its part."""


def cpu() -> float:
    """CPU seconds of this process, of its finished children and of the cutters that live on."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used) + cutters_cpu()


def cutters_cpu() -> float:
    """CPU seconds of our children that still run, and of theirs."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(told[1]) == os.getpid():
            ticks += sum(int(text) for text in told[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def run(*arguments: str) -> None:
    subprocess.run([str(ffmpeg().path), "-y", "-nostdin", "-v", "error", *arguments], check=True)


def reference_excerpt(film: Path, video: Path, frames: Path, seconds: int) -> None:
    """The two commands, word for word but for the window."""
    frames.mkdir()
    run("-ss", str(BEFORE), "-t", str(seconds), "-i", str(film), "-r", "30", "-strict", "experimental", str(video))
    run("-i", str(video), "-r", "30", "-q:v", "1", str(frames / "img_%05d.jpg"))


def our_excerpt(film: Path, video: Path, frames: Path, seconds: int) -> None:
    encoders = Encoders(os.cpu_count() or 1)
    make_excerpt(
        film, video=video, frames=frames, section=Section(BEFORE, seconds, 30, 1), recipe=Recipe(), encoders=encoders
    )


def reference_clip(source: Path, out: Path, start: int, seconds: int) -> None:
    """``cut_kinetics.py``'s command."""
    run(
        "-ss", str(start), "-t", str(seconds), "-accurate_seek", "-i", str(source), "-r", "30",
        "-avoid_negative_ts", "1", str(out),
    )  # fmt: skip


def our_clip(source: Path, out: Path, start: int, seconds: int) -> None:
    cut_clip(source, out, start=start, duration=seconds, recipe=Recipe(fps=30), tolerance=0.75)


def luma(path: Path, wanted: set[int]) -> dict[int, NDArray[np.float32]]:
    """Brightness of some frames (numbered from 0) of a video, 0 to 255 for studio range too."""
    found = {}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found[number] = frame.reformat(format="gray").to_ndarray().astype(np.float32)
    return found


def psnr(ours: NDArray[np.float32], source: NDArray[np.float32]) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, float(np.mean((ours - source) ** 2)))))


def likeness(film: Path, video: Path, images: list[Path], numbers: list[int]) -> tuple[float, float]:
    """Mean PSNR in dB of ten frames of the video and of ten images."""
    slots = range(0, len(numbers), max(1, len(numbers) // 10))
    source = luma(film, {numbers[slot] for slot in slots})
    frames = luma(video, set(slots))
    pictures = {slot: luma(images[slot], {0})[0] for slot in slots}
    return (
        statistics.mean(psnr(frames[slot], source[numbers[slot]]) for slot in slots),
        statistics.mean(psnr(pictures[slot], source[numbers[slot]]) for slot in slots),
    )


def excerpts(seconds: int, noise: int, turns: int, folder: Path) -> None:
    """The rows of (a); ends with an error when the images are not those of the reference."""
    print("| excerpt | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    for rate in (Fraction(25), Fraction(24000, 1001)):
        film = make_video(
            folder / "film.mp4", BEFORE + seconds + AFTER, rate, SIZE, label="bench", preset="veryfast", gop=150,
            noise=noise,
        )  # fmt: skip
        spent: dict[str, list[tuple[float, float]]] = {"reference": [], "clipquarry": []}
        makers = {"reference": reference_excerpt, "clipquarry": our_excerpt}
        for turn in range(turns):
            for side in sorted(makers, reverse=bool(turn % 2)):
                shutil.rmtree(folder / side, ignore_errors=True)
                (folder / side).mkdir()
                begun = cpu(), time.monotonic()
                makers[side](film, folder / side / "v.mp4", folder / side / "f", seconds)
                spent[side].append((cpu() - begun[0], time.monotonic() - begun[1]))
        images = {side: sorted((folder / side / "f").iterdir()) for side in makers}
        shown = {side: [read_frame_numbers(path)[0] for path in images[side]] for side in makers}
        counts = [len(images[side]) for side in makers]
        assert counts[1] == 30 * seconds, counts
        assert abs(counts[0] - counts[1]) <= 1, counts  # the reference makes 901 of 30 s at 23.976
        off = [abs(a - b) for a, b in zip(*shown.values(), strict=False)]
        assert max(off) <= 1, max(off)
        dated = [slot for slot in range(0, 30 * seconds, 30) if shown["reference"][slot] != shown["clipquarry"][slot]]
        if rate.denominator == 1:
            assert not dated, dated
        (their_cpu, their_wall), (our_cpu, our_wall) = (
            tuple(statistics.median(turn[i] for turn in spent[side]) for i in (0, 1)) for side in makers
        )
        what = f"{seconds} s of a 720p film of {float(rate):.5g} frames a second, video and images"
        print(f"| {what}, CPU s | {their_cpu:.1f} | {our_cpu:.1f} | {their_cpu / our_cpu:.2f}x | 2x |")
        print(f"| the same, wall s | {their_wall:.1f} | {our_wall:.1f} | {their_wall / our_wall:.2f}x | |")
        quality = {side: likeness(film, folder / side / "v.mp4", images[side], shown[side]) for side in makers}
        for index, name in enumerate(("video", "images")):
            print(
                f"| PSNR of the {name}, dB | {quality['reference'][index]:.2f} | {quality['clipquarry'][index]:.2f} | | |"
            )
        sizes = {
            side: ((folder / side / "v.mp4").stat().st_size, sum(path.stat().st_size for path in images[side]))
            for side in makers
        }
        for index, name in enumerate(("video", "images")):
            print(f"| bytes of the {name} | {sizes['reference'][index]:,} | {sizes['clipquarry'][index]:,} | | |")
        print(f"| images that show another frame (the neighbour); of whole seconds | | {sum(off)}; {len(dated)} | | |")


def clips(count: int, noise: int, folder: Path) -> None:
    """The rows of (b)."""
    rates = (Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24))
    sources = [
        make_video(folder / f"k{n}.mp4", 10, rate, (340, 256), label=f"k{n}", preset="veryfast", noise=noise)
        for n, rate in enumerate(rates)
    ]
    spent, sizes, alike = [0.0, 0.0], [0, 0], [0, 0]
    quality: list[list[float]] = [[], []]
    for n in range(count):
        source, start = sources[n % len(sources)], n // len(sources) % 7
        outs = (folder / "theirs.mp4", folder / "ours.mp4")
        for side, make in ((0, reference_clip), (1, our_clip)):
            begun = cpu()
            make(source, outs[side], start, 4)
            spent[side] += cpu() - begun
            sizes[side] += outs[side].stat().st_size
        theirs, ours = (read_frame_numbers(out) for out in outs)
        assert len(ours) == 120, len(ours)
        assert abs(len(theirs) - 120) <= 1, len(theirs)
        alike = [alike[0] + 120, alike[1] + sum(a != b for a, b in zip(theirs, ours, strict=False))]
        assert all(abs(a - b) <= 1 for a, b in zip(theirs, ours, strict=False))
        for side, numbers in ((0, theirs), (1, ours)):
            frames, source_frames = luma(outs[side], {10, 60, 110}), luma(source, {numbers[i] for i in (10, 60, 110)})
            quality[side] += [psnr(frames[i], source_frames[numbers[i]]) for i in (10, 60, 110)]
    print("| clips | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    what = f"{count} windows of 4 s of 340x256 clips (24, 25, 29.97 and 30 frames a second)"
    per = [1000 * used / count for used in spent]
    print(f"| {what}, CPU s per 1,000 | {per[0]:.0f} | {per[1]:.0f} | {per[0] / per[1]:.2f}x | 3x |")
    print(f"| mean bytes | {sizes[0] // count:,} | {sizes[1] // count:,} | | |")
    print(f"| PSNR, dB | {statistics.mean(quality[0]):.2f} | {statistics.mean(quality[1]):.2f} | | |")
    print(f"| frames that show another one (the neighbour) | | {alike[1]} of {alike[0]:,} | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 s of film, 4 clips, one turn")
    parser.add_argument("--seconds", type=int, default=60, help="of the film's part (60)")
    parser.add_argument("--clips", type=int, default=40, help="how many clips (40)")
    parser.add_argument("--noise", type=int, default=3, help="how noisy the camera is (3; 0: a drawn film)")
    parser.add_argument("--turns", type=int, default=1, help="turns of (a), whose medians are told (1)")
    arguments = parser.parse_args()
    seconds, count, turns = (2, 4, 1) if arguments.quick else (arguments.seconds, arguments.clips, arguments.turns)
    print(f"{ffmpeg()}; recipe {Recipe().preset}, crf {Recipe().crf}; noise {arguments.noise}")
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        if seconds:
            excerpts(seconds, arguments.noise, turns, Path(folder))
        if count:
            clips(count, arguments.noise, Path(folder))


if __name__ == "__main__":
    main()
