"""Unpacking of one archive of many small files, against ``tar xzf``.

    python bench/bench_unpack.py [--files 50000] [--bytes 4000] [--runs 3] [--quick]

Makes one tar.gz of files that do not compress (as JPEG frames do not), 100 to a folder. Ours checks names, limits and
the archive's checksum, writes the tables, and flushes the files to the disk before they take their places; ``tar xzf`` is
followed by ``sync`` in the second row of times, so that both end with the files on the disk. Both sides run in turns in
fresh folders, the better of the runs counts, and both trees must be equal. The row of markdown goes into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

OURS = """
import sys
from pathlib import Path
from clipquarry.acquire.archives.extract import extract
from clipquarry.acquire.archives.reader import Reading
from clipquarry.settings import DataRoot
root = Path(sys.argv[2])
print(extract([Path(sys.argv[1])], root / "frames", DataRoot(root), Reading(root / "scratch")))
"""


def make(path: Path, files: int, size: int) -> None:
    dice = random.Random(1)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for n in range(files):
            info = tarfile.TarInfo(f"top/{n // 100:05d}/{n % 100 + 1:05d}.jpg")
            info.size = dice.randrange(size // 2, size * 3 // 2)
            tar.addfile(info, io.BytesIO(dice.randbytes(info.size)))


def timed(*command: str) -> float:
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def ours(archive: Path, root: Path) -> float:
    return timed(sys.executable, "-c", OURS, str(archive), str(root))


def theirs(archive: Path, root: Path) -> tuple[float, float]:
    """Seconds of tar alone, and of tar and sync."""
    (root / "frames").mkdir(parents=True)
    alone = timed("tar", "xzf", str(archive), "-C", str(root / "frames"))
    return alone, alone + timed("sync", "-f", str(root))


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
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a thousand files, one run")
    options = parser.parse_args()
    if options.quick:
        options.files, options.runs = 1000, 1
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        archive = Path(folder, "frames.tar.gz")
        make(archive, options.files, options.bytes)
        found = []
        for run in range(options.runs):
            mine, other = Path(folder, f"ours{run}"), Path(folder, f"theirs{run}")
            found.append((ours(archive, mine), *theirs(archive, other)))
            assert tree(mine / "frames") == tree(other / "frames"), "the trees differ"
            assert len(tree(mine / "frames")) == options.files
            print("ours {:.2f} s, tar xzf {:.2f} s, with sync {:.2f} s".format(*found[-1]))
        a, b, c = (min(column) for column in zip(*found, strict=True))
        again = ours(archive, Path(folder, "ours0"))
    print("| what | ours | tar xzf | tar xzf and sync | ratios | again |\n|---|---|---|---|---|---|")
    print(
        f"| unpack {options.files:,} files of {options.bytes:,} bytes from one tar.gz "
        f"| {a:.2f} s | {b:.2f} s | {c:.2f} s | {a / b:.2f}, {a / c:.2f} | {again:.2f} s |"
    )


if __name__ == "__main__":
    main()
