"""Lists of a data set of UCF101's size, in three divisions and two formats, against the rule of the reference list builder.

    python bench/bench_split_lists.py [--clips 13320] [--frames 8] [--quick]

Makes empty avi files and folders of empty frames (rgb and flow) of 101 classes in a temporary folder, and three pairs of lists of
them, shuffled. Then both sides build the twelve lists, each twice in a fresh process, after everything was listed once: ours from
the catalog, with the tables of what is missing; theirs by one listing of the folders for each format (their tool runs once for
each), a dictionary, and a look-up per line. All twelve lists must be equal. The row of markdown at the end goes into
``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import fnmatch
import glob
import os
import random
import sys
import tempfile
from pathlib import Path

from clipquarry.annotations.catalog import write_catalog
from clipquarry.annotations.ucf_lists import read_class_index, read_split_list
from clipquarry.datasets.load import find_spec
from clipquarry.release.lists import build_lists
from clipquarry.settings import DataRoot

sys.path.append(str(Path(__file__).parent))

from bench_lists import Cost, timed

CLASSES, GROUPS = 101, 25
SPEC = find_spec("ucf101")
"""Read with the imports, which are not counted either."""


def make(root: Path, clips: int, frames: int) -> None:
    """The files of all clips, and three divisions of them by group, in a random order that is always the same."""
    notes = root / "ucf101/annotations"
    notes.mkdir(parents=True)
    names = [f"Class{number:03d}" for number in range(CLASSES)]
    (notes / "classInd.txt").write_text("".join(f"{at} {name}\n" for at, name in enumerate(names, 1)))
    found = []
    for number in range(clips):
        folder = names[number * CLASSES // clips]
        clip = f"v_{folder}_g{number % GROUPS + 1:02d}_c{number:05d}"
        found.append((folder, clip))
        for kind in ("videos", "rawframes"):
            (root / "ucf101" / kind / folder).mkdir(parents=True, exist_ok=True)
        _touch(root / f"ucf101/videos/{folder}/{clip}.avi")
        place = root / f"ucf101/rawframes/{folder}/{clip}"
        place.mkdir()
        for frame in range(1, frames + 1):
            _touch(place / f"img_{frame:05d}.jpg")
            for axis in "xy" if frame < frames else "":
                _touch(place / f"flow_{axis}_{frame:05d}.jpg")
    order = random.Random(0)
    order.shuffle(found)
    for division in (1, 2, 3):
        test = {f"_g{group:02d}_" for group in range(7 * division - 6, 7 * division + 1)}
        parts: dict[str, list[str]] = {"trainlist": [], "testlist": []}
        for folder, clip in found:
            is_test = any(group in clip for group in test)
            line = f"{folder}/{clip}.avi" + ("" if is_test else f" {names.index(folder) + 1}")
            parts["testlist" if is_test else "trainlist"].append(line)
        for name, lines in parts.items():
            (notes / f"{name}0{division}.txt").write_text("".join(f"{line}\n" for line in lines))
    labels = read_class_index(notes / "classInd.txt")
    files = {split: root / "ucf101" / path for split, path in SPEC.splits.items()}
    write_catalog(files, root / "catalog.parquet", lambda split, path: read_split_list(path, labels), labels)


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def ours(root: Path) -> None:
    """What the task of the pipeline does."""
    build_lists(SPEC, DataRoot(root), root / "catalog.parquet", root / "out")


def theirs(root: Path) -> None:
    """The rule of the reference, as its documentation and its output show it: a run for each format, which counts flow
    too, makes its lists, and does not write them.
    """
    notes = root / "ucf101/annotations"
    for format_ in ("videos", "rawframes"):
        source = str(root / "ucf101" / format_)
        found: dict[str, tuple[str, int, int]] = {}
        for path in glob.glob(f"{source}/*/*"):  # noqa: PTH207 - as theirs
            name = os.path.relpath(path, source)
            if format_ == "videos":
                found[name.rpartition(".")[0]] = (name, -1, -1)
            else:
                names = os.listdir(path)  # noqa: PTH208 - as theirs
                rgb, x, y = (len(fnmatch.filter(names, f"{one}*")) for one in ("img_", "flow_x_", "flow_y_"))
                if x != y:
                    raise SystemExit(f"{path}: {x} images of flow x, {y} of flow y")
                found[name] = (name, rgb, x)
        with open(notes / "classInd.txt", encoding="utf-8") as handle:
            index = {name: int(number) - 1 for number, name in (line.split() for line in handle)}
        for division in (1, 2, 3):
            for part, name in (("train", "trainlist"), ("val", "testlist")):
                with open(notes / f"{name}0{division}.txt", encoding="utf-8") as handle:
                    items = [line.split()[0].rpartition(".")[0] for line in handle]
                lines, flow = [], []
                for item in items:
                    if item not in found:
                        continue
                    path, rgb, x = found[item]
                    label = index[item.split("/")[0]]
                    if rgb > 0:
                        lines.append(f"{path} {rgb} {label}\n")
                        flow.append(f"{path} {x} {label}\n")
                    else:
                        lines.append(f"{path} {label}\n")
                        flow.append(f"{path} {label}\n")
                with open(root / f"theirs_{part}_{division}_{format_}.txt", "w", encoding="utf-8") as out:
                    out.writelines(lines)


def _equal(root: Path) -> bool:
    return all(
        (root / f"theirs_{part}_{division}_{format_}.txt").read_bytes()
        == (root / f"ucf101/ucf101_{part}_split_{division}_{format_}.txt").read_bytes()
        for part in ("train", "val") for division in (1, 2, 3) for format_ in ("videos", "rawframes")
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=13_320)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="1,010 clips of 3 frames")
    options = parser.parse_args()
    clips, frames = (1_010, 3) if options.quick else (options.clips, options.frames)
    with tempfile.TemporaryDirectory(prefix="clipquarry-bench-") as folder:
        root = Path(folder)
        make(root, clips, frames)
        theirs(root)  # so that both find the folders in the cache
        runs: list[tuple[Cost, Cost]] = [(timed(ours, root), timed(theirs, root)) for _ in range(2)]
        assert _equal(root), "the lists differ"
    a, b = min(run[0] for run in runs), min(run[1] for run in runs)
    print("| what | ours | theirs | ratio |\n|---|---|---|---|")
    print(f"| lists of {clips:,} avi, 3 divisions, 2 formats | {a} | {b} | {a.cpu / b.cpu:.2f} |")


if __name__ == "__main__":
    main()
