"""Unpacking of one archive of many small files, against ``tar xzf``; or of its numbered parts, against ``cat PARTS | tar xz``.

    python bench/bench_unpack.py [--files 50000] [--bytes 4000] [--parts N] [--runs 5] [--in FOLDER] [--quick]

Makes one tar.gz of files that do not compress (as JPEG frames do not), 100 to a folder. Ours checks names, limits and
the archive's checksum, writes the tables, and flushes the files to the disk before they take their places; ``tar xzf`` is
followed by ``sync`` in the second time, so that both end with the files on the disk. Both sides run in turns in fresh
folders, which are removed again, and both trees must be equal. Medians of the times, of the ratios pair by pair, and of the
seconds of the processor (also of gzip, which tar starts); the largest memory of our process. The row of markdown goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

OURS = """
import resource, sys
from pathlib import Path
from clipquarry.acquire.archives.extract import extract
from clipquarry.acquire.archives.reader import Reading
from clipquarry.settings import DataRoot
root = Path(sys.argv[2])
extract([Path(part) for part in sys.argv[3:]], root / "frames", DataRoot(root), Reading(root / "scratch"))
Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def make(path: Path, files: int, size: int) -> None:
    dice = random.Random(1)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for n in range(files):
            info = tarfile.TarInfo(f"top/{n // 100:05d}/{n % 100 + 1:05d}.jpg")
            info.size = dice.randrange(size // 2, size * 3 // 2)
            tar.addfile(info, io.BytesIO(dice.randbytes(info.size)))


def cut(archive: Path, parts: int) -> list[Path]:
    """The archive in parts of one size, the last one smaller; it is removed."""
    size = -(-archive.stat().st_size // parts)
    found = []
    with archive.open("rb") as stream:
        for n in range(parts):
            found.append(archive.with_name(f"frames-{n:02d}"))
            found[-1].write_bytes(stream.read(size))
    archive.unlink()
    return found


class Took(NamedTuple):
    """Seconds by the clock, and of the processor."""

    wall: float
    cpu: float


def timed(*command: str) -> Took:
    before, begun = os.times(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - begun, os.times()
    return Took(wall, after.children_user + after.children_system - before.children_user - before.children_system)


def ours(archive: list[Path], root: Path) -> tuple[Took, int]:
    """What it took, and its memory in MB."""
    told = root.with_suffix(".memory")
    took = timed(sys.executable, "-c", OURS, str(told), str(root), *map(str, archive))
    return took, int(told.read_text()) // 1024


def theirs(archive: list[Path], root: Path) -> tuple[Took, float]:
    """tar alone, and the seconds of tar and sync."""
    (root / "frames").mkdir(parents=True)
    into = str(root / "frames")
    if len(archive) == 1:
        alone = timed("tar", "xzf", str(archive[0]), "-C", into)
    else:  # names come as arguments, never as part of the command
        alone = timed("bash", "-ec", 'into=$1; shift; cat "$@" | tar xz -C "$into"', "bash", into, *map(str, archive))
    return alone, alone.wall + timed("sync", "-f", str(root)).wall


def tree(folder: Path) -> dict[str, int]:
    return {
        os.path.relpath(f"{place}/{name}", folder): Path(place, name).stat().st_size
        for place, _, names in os.walk(folder)
        for name in names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=4000, help="mean size of a file")
    parser.add_argument("--parts", type=int, default=1, help="number of parts that the archive is cut into")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--in", dest="folder", help="a folder on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="a thousand files, one run")
    options = parser.parse_args()
    if options.quick:
        options.files, options.runs = 1000, 1
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-", dir=options.folder) as folder:
        whole = Path(folder, "frames.tar.gz")
        make(whole, options.files, options.bytes)
        archive = cut(whole, options.parts) if options.parts > 1 else [whole]
        size = sum(part.stat().st_size for part in archive) / 1e6
        a, b, synced, again, memory = [], [], [], [], []
        for run in range(options.runs):
            mine, other = Path(folder, f"ours{run}"), Path(folder, f"theirs{run}")
            took, most = ours(archive, mine)
            a.append(took)
            memory.append(most)
            alone, with_sync = theirs(archive, other)
            b.append(alone)
            synced.append(with_sync)
            assert tree(mine / "frames") == tree(other / "frames"), "the trees differ"
            assert len(tree(mine / "frames")) == options.files
            again.append(ours(archive, mine)[0].wall)
            print(f"ours {a[-1].wall:.2f} s, tar xzf {alone.wall:.2f} s, with sync {with_sync:.2f} s")
            shutil.rmtree(mine)
            shutil.rmtree(other)
    walls = median(one.wall for one in a), median(one.wall for one in b), median(synced)
    ratios = [
        median(x / y for x, y in zip([one.wall for one in a], other, strict=True))
        for other in ([one.wall for one in b], synced)
    ]
    cpu = median(one.cpu for one in a), median(one.cpu for one in b)
    print(
        "| what | ours | tar | tar and sync | ratios | CPU s: ours, tar, ratio | again | memory |\n|---|---|---|---|---|---|---|---|"
    )
    of = "one tar.gz" if len(archive) == 1 else f"{len(archive)} parts"
    print(
        f"| unpack {options.files:,} files of {options.bytes:,} bytes from {of}, {size:,.0f} MB "
        f"| {walls[0]:.2f} s | {walls[1]:.2f} s | {walls[2]:.2f} s | {ratios[0]:.2f}, {ratios[1]:.2f} "
        f"| {cpu[0]:.2f}, {cpu[1]:.2f}, {cpu[0] / cpu[1]:.2f} | {median(again):.2f} s | {max(memory)} MB |"
    )


if __name__ == "__main__":
    main()
