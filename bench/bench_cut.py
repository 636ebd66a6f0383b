"""Cuts near the end of long sources: Clipquarry against the Kinetics crawler's command.

    python bench/bench_cut.py [--quick] [--windows N] [--noise N] [--quality VIDEO]

Fifty ten-second windows of two-minute 720p sources (about 1.4 Mbit/s of H.264 with CABAC, B-frames, a camera's noise and a
key frame every five seconds, as from a video site), both sides in one run, CPU time of the processes (user + system)
including Clipquarry's own check of every clip. The first frame and the length of each clip are compared by the frame
numbers in the picture. ``--quality`` also says how far the encodes of a real video are from it and how large they are.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.cut import cut_clip
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg

SECONDS = 10


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def reference(source: Path, out: Path, start: float, duration: float) -> None:
    """The command of the Kinetics crawler."""
    subprocess.run(
        [
            str(ffmpeg().path), "-y", "-nostdin", "-i", str(source), "-ss", str(start), "-t", str(duration),
            "-c:v", "libx264", "-c:a", "copy", "-threads", "1", "-loglevel", "panic", str(out),
        ],
        check=True,
    )  # fmt: skip


def likeness(clip: Path, source: Path) -> tuple[float, float]:
    """PSNR (dB) and SSIM of a clip of a whole source."""
    said = subprocess.run(
        [
            str(ffmpeg().path), "-nostdin", "-i", str(clip), "-i", str(source), "-lavfi",
            "[0:v]split[a][b];[1:v]split[c][d];[a][c]psnr;[b][d]ssim", "-f", "null", "-",
        ],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    psnr, ssim = re.search(r"average:([\d.]+|inf)", said), re.search(r"All:([\d.]+)", said)
    assert psnr and ssim
    return float(psnr[1]), float(ssim[1])


def quality(video: Path, folder: Path) -> None:
    """A table of both encodes of one whole video."""
    duration = probe(video).duration
    print("\n| encode of", video.name, "| PSNR dB | SSIM | bytes | CPU s |\n|---|---|---|---|---|")
    out = folder / "quality.mp4"
    sides = {"reference": None, "Clipquarry": Recipe(audio="copy")}
    for preset in ("superfast", "veryfast", "faster"):
        sides |= {f"{preset}, crf {crf}": Recipe(preset=preset, crf=crf, audio="copy") for crf in (18, 20, 23)}
    for name, recipe in sides.items():
        begun = cpu()
        if recipe is None:
            reference(video, out, 0, duration)
        else:
            cut_clip(video, out, start=0, duration=duration, recipe=recipe, tolerance=0.5)
        used = cpu() - begun
        psnr, ssim = likeness(out, video)
        print(f"| {name} | {psnr:.2f} | {ssim:.4f} | {out.stat().st_size:,} | {used:.2f} |")


def compare(
    windows: int, sources: int, seconds: int, noise: int, folder: Path, size: tuple[int, int] = (1280, 720)
) -> None:
    """The row of the table; ends with an error when a clip differs."""
    films = []
    for n in range(sources):
        path = folder / f"source{n}.mp4"
        films.append(make_video(path, seconds, size=size, label=f"bench {n}", preset="veryfast", gop=150, noise=noise))
    cuts = [(films[n % sources], seconds - SECONDS - 1 - n // sources % 17) for n in range(windows)]
    recipe = Recipe()
    ours = theirs = our_wall = their_wall = 0.0
    sizes = [0, 0]
    for source, start in cuts:
        a, b = folder / "ours.mp4", folder / "theirs.mp4"
        begun, wall = cpu(), time.monotonic()
        cut_clip(source, a, start=start, duration=SECONDS, recipe=recipe, tolerance=recipe.duration_tolerance)
        ours, our_wall = ours + cpu() - begun, our_wall + time.monotonic() - wall
        begun, wall = cpu(), time.monotonic()
        reference(source, b, start, SECONDS)
        theirs, their_wall = theirs + cpu() - begun, their_wall + time.monotonic() - wall
        sizes = [sizes[0] + a.stat().st_size, sizes[1] + b.stat().st_size]
        mine, other = read_frame_numbers(a), read_frame_numbers(b)
        assert mine[0] == other[0] == start * 30, (mine[0], other[0], start)
        assert abs(len(mine) - len(other)) <= 1 and abs(len(mine) - SECONDS * 30) <= 1, (len(mine), len(other))
    print(f"{ffmpeg()}; recipe {recipe.preset}, crf {recipe.crf}, sound {recipe.audio}; noise {noise}")
    print("| cut | reference | Clipquarry | ratio | at least |\n|---|---|---|---|---|")
    print(
        f"| {windows} windows of {SECONDS} s near the end of {seconds} s {size[1]}p sources, clips per CPU second;"
        " same first frame, same length ± 1 frame"
        f" | {windows / theirs:.3f} | {windows / ours:.3f} | {theirs / ours:.1f}x | 4x |"
    )
    print(
        f"| the same, wall seconds per clip; mean bytes | {their_wall / windows:.2f}; {sizes[1] // windows:,}"
        f" | {our_wall / windows:.2f}; {sizes[0] // windows:,} | {their_wall / our_wall:.1f}x | |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two windows of one small 16 second source")
    parser.add_argument("--windows", type=int, default=50, help="how many windows (50)")
    parser.add_argument("--noise", type=int, default=3, help="how noisy the camera is (3; 0: a drawn film)")
    parser.add_argument("--quality", type=Path, metavar="VIDEO", help="also compare the encodes of this video")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        if arguments.quick:
            compare(2, 1, 16, arguments.noise, Path(folder), (320, 180))
        else:
            compare(arguments.windows, 3, 120, arguments.noise, Path(folder))
        if arguments.quality:
            quality(arguments.quality, Path(folder))


if __name__ == "__main__":
    main()
