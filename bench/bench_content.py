"""What it costs to look at what clips show, beside cutting them, taking them as they are, and extracting their frames.

    python bench/bench_content.py [--pairs] [VIDEO ...]

CPU time (user + system) in one process: each clip is cut, verified without looking, and its frames are extracted; what looking
adds is counted around its calls, since a difference of two runs drowns in the noise of a busy machine. The least of several turns
counts on both sides. ``--pairs`` also looks for the same video among 650,000 made-up fingerprints.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video
from clipquarry.media.content import Looker
from clipquarry.media.cut import cut_clip
from clipquarry.media.frame_content import folder_content
from clipquarry.media.frame_folder import frame_name
from clipquarry.media.frames import FrameRecipe, extract_frames
from clipquarry.media.probe import opened, probe

SECONDS = 10
TURNS = 9


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cost(what: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = cpu()
    what()
    return cpu() - begun


def looking(clip: Path) -> float:
    """CPU seconds that looking at a clip takes, its decoding not counted."""
    used, times = 0.0, []
    with opened(clip) as (container, video):
        looker = Looker(float(video.duration * video.time_base))
        sound = container.streams.audio[:1]
        for packet in container.demux(video, *sound):
            heard = packet.stream_index != video.index
            frames = () if heard else packet.decode()
            begun = time.process_time()
            if heard:
                looker.packet(packet)
            for frame in frames:
                looker.frame(frame)
            used += time.process_time() - begun
            times += [frame.time for frame in frames]
        begun = time.process_time()
        looker.content(times, has_sound=bool(sound))
        return used + time.process_time() - begun


def measure(source: Path, folder: Path) -> None:
    """The rows of one source."""
    clip, images = folder / "clip.mp4", folder / "images"
    length = min(SECONDS, probe(source, decode=False).duration)
    cut = min(
        cost(lambda: cut_clip(source, clip, start=0, duration=length, recipe=Recipe(), tolerance=0.5)) for _ in range(2)
    )
    plain = min(cost(lambda: probe(clip)) for _ in range(TURNS))
    more = min(looking(clip) for _ in range(TURNS))
    made = extract_frames(clip, images, recipe=FrameRecipe(256))
    frames = min(cost(lambda: extract_frames(clip, images, recipe=FrameRecipe(256))) for _ in range(2))
    seen = min(
        cost(lambda: folder_content(lambda n: images / frame_name(n + 1), made.frames, made.source_duration))
        for _ in range(TURNS)
    )
    size = f"{source.name}, {probe(clip, decode=False).width}x{probe(clip, decode=False).height}, {length:.1f} s"
    print(f"| {size}: cut | {cut - more:.3f} | {cut:.3f} | {more * 1000:.1f} ms | {more / (cut - more):.1%} |")
    print(
        f"| the same: verified as it came | {plain:.3f} | {plain + more:.3f} | {more * 1000:.1f} ms | {more / plain:.1%} |"
    )
    print(
        f"| the same: frames, short edge 256 | {frames - seen:.3f} | {frames:.3f} | {seen * 1000:.1f} ms | {seen / (frames - seen):.1%} |"
    )


def pairs(clips: int, asked: int) -> None:
    """Find 1,000 copies in another split of ``clips``."""
    import numpy as np
    from clipquarry import fingerprint
    from clipquarry.quality.near_copies import candidates

    random = np.random.default_rng(0)

    def prints(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint64]]) -> fingerprint.Prints:
        count = len(pictures)
        steps, colours = np.ones((count, 7), dtype=np.uint32), np.zeros((count, 2), dtype=np.int16)
        return fingerprint.Prints(np.arange(count), pictures, steps, colours)

    train = random.integers(1, 1 << 63, (clips, 8), dtype=np.uint64)
    val = random.integers(1, 1 << 63, (asked, 8), dtype=np.uint64)
    val[:1000] = train[:1000] ^ (np.uint64(1) << random.integers(0, 64, (1000, 8)).astype(np.uint64))
    begun = cpu()
    one, other = prints(val), prints(train)
    mine, theirs = candidates(one, other)
    found = int(fingerprint.alike(one, mine, other, theirs).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{found} of 1,000 copies found among {clips:,} and {asked:,} clips: {cpu() - begun:.1f} CPU s, peak {peak:,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="real clips; default: three drawn ones")
    parser.add_argument("--pairs", action="store_true", help="also look for copies among 650,000 clips")
    parser.add_argument("--quick", action="store_true", help="one small clip")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as name:
        folder, videos = Path(name), list(arguments.videos)
        sizes = [(340, 256)] if arguments.quick else [(340, 256), (640, 360), (1280, 720)]
        for size in sizes if not videos else ():
            path = folder / f"{size[0]}.mp4"
            videos.append(
                make_video(path, SECONDS + 1, size=size, label=str(size), preset="veryfast", gop=150, noise=3)
            )
        print("| CPU s a clip | without | with | looking | more |\n|---|---|---|---|---|")
        for video in videos:
            measure(video, folder)
        if arguments.pairs:
            pairs(650_000, 35_000)


if __name__ == "__main__":
    main()
