"""The section "Tubes" of the report: tubes by split and class, their lengths, and some of them drawn over time."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.files import inside, read_json
from clipquarry.manifest import read_rows
from clipquarry.media.errors import MediaError
from clipquarry.report.aggregate import split_order
from clipquarry.report.section import Section
from clipquarry.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN, WIDTH, MAX_BYTES = 6, 256, 40_000
"""Videos that are drawn; pixels and bytes of one of their frames."""
_NAME, _ROW, _WIDTH = 30, 17.5, 10.4
_OUTSIDE = "The frame file lies outside the data root."


@dataclass(frozen=True)
class SplitRow:
    """A split. ``wrong``: tubes of another form; ``boxes``: of the others."""

    split: str
    videos: int
    tubes: int
    wrong: int
    boxes: int


@dataclass(frozen=True)
class ClassRow:
    """A class: its tubes by split, and quantiles (0, 25, 50, 75, 100 %) of their lengths in frames."""

    name: str
    splits: dict[str, int]
    lengths: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Drawn:
    """A video that is drawn: as in :mod:`~clipquarry.families.tubes.report.shown`. ``files``: of its frames, relative to the data root."""

    video: str
    split: str
    width: int
    height: int
    tubes: int
    frames: tuple[dict[str, Any], ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class TubesShown:
    """What the section shows."""

    splits: tuple[SplitRow, ...]
    classes: tuple[ClassRow, ...]
    drawn: tuple[Drawn, ...]
    flow: tuple[int, int] | None
    """Videos whose flow is complete, and those that were looked at."""
    problems: tuple[str, ...] = ()


def collect(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> TubesShown | None:
    """The section of the run in ``folder``, of its splits; None for a run without a table of tubes."""
    place, problems = TubeFiles(folder), list[str]()
    if not place.tubes.exists():
        return None
    chosen = params.get("splits") or spec.default_splits or list(spec.splits)
    splits = sorted((split for split in spec.splits if split in chosen), key=split_order)
    videos, tubes, wrong, boxes = (Counter[str]() for _ in range(4))
    by_class: dict[str, Counter[str]] = {}
    lengths: dict[str, list[int]] = {}
    nframes: dict[str, int] = {}
    try:
        for row in read_rows(place.videos, ("item_id", "split", "frames")):
            videos[row["split"]] += 1
            nframes[row["item_id"]] = row["frames"]
        for row in read_rows(place.tubes, ("split", "label", "frames", "problem")):
            split = row["split"]
            tubes[split] += 1
            wrong[split] += row["problem"] != ""
            boxes[split] += row["frames"]
            if row["label"] and not row["problem"] and split in splits:
                by_class.setdefault(row["label"], Counter())[split] += 1
                lengths.setdefault(row["label"], []).append(row["frames"])
    except (ClipquarryError, KeyError) as error:  # KeyError: a column is missing
        problems.append(f"The tables of tubes cannot be read: {error}")
    flow = None
    try:
        if place.flow.exists():
            found = [(row["images"] == nframes.get(row["item_id"]), row["problem"]) for row in read_rows(place.flow)]
            flow = (sum(same and not problem for same, problem in found), len(found))
    except (ClipquarryError, KeyError) as error:
        problems.append(f"The table of flow cannot be read: {error}")
    rows = [SplitRow(split, videos[split], tubes[split], wrong[split], boxes[split]) for split in splits]
    classes = [
        ClassRow(name, dict(found), _quantiles(lengths[name])) for name, found in sorted(by_class.items())
    ]  # fmt: skip
    return TubesShown(tuple(rows), tuple(classes), _drawn(spec, place, data, splits), flow, tuple(problems))


def _quantiles(lengths: list[int]) -> tuple[float, float, float, float, float]:
    zero, low, half, high, most = np.quantile(lengths, (0, 0.25, 0.5, 0.75, 1)).tolist()
    return zero, low, half, high, most


def _drawn(spec: DatasetSpec, place: TubeFiles, data: Path, splits: list[str]) -> tuple[Drawn, ...]:
    """Videos whose frames are here, of each split in turns."""
    try:
        noted = read_json(place.shown)
    except (OSError, ClipquarryError):
        return ()
    by_split: dict[str, list[Drawn]] = {split: [] for split in splits}
    for one in noted if isinstance(noted, list) else ():
        if one["split"] not in by_split:
            continue
        where = f"{spec.root}/{spec.folder('rawframes', one['split'])}/{one['video']}"
        files = tuple(f"{where}/{spec.item.rgb_pattern.format(frame['number'])}" for frame in one["frames"])
        if files and all(_is_file(data, file) for file in files):
            by_split[one["split"]].append(
                Drawn(
                    one["video"], one["split"], one["width"], one["height"], one["tubes"], tuple(one["frames"]), files
                )
            )
    turns = [(turn, at, one) for at, found in enumerate(by_split.values()) for turn, one in enumerate(found)]
    return tuple(one for _, _, one in sorted(turns, key=lambda turn: turn[:2])[:SHOWN])


def _is_file(data: Path, file: str) -> bool:
    try:
        return inside(data, file).is_file()
    except (ClipquarryError, OSError):
        return False


def plots(found: TubesShown) -> dict[str, str | None]:
    """The plots as SVG."""
    return {"lengths": _lengths(found.classes) if found.classes else None}


def _lengths(rows: tuple[ClassRow, ...]) -> str:
    """A box for each class: half of its tubes have a length in the box, all lie on the line."""
    from clipquarry.report.plots import GOOD, INK, LINE, MUTED, draw  # loads matplotlib

    def paint(axes: Axes) -> None:
        for place, row in enumerate(rows):
            least, low, half, high, most = row.lengths
            axes.plot((least, most), (place, place), color=MUTED, linewidth=1.2, solid_capstyle="butt")
            axes.barh(place, max(high - low, 0.5), left=low, height=0.62, color=GOOD, linewidth=0)
            axes.plot((half, half), (place - 0.31, place + 0.31), color=INK, linewidth=1.8)
        axes.set_yticks(range(len(rows)), [clean(row.name, _NAME) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, max(row.lengths[-1] for row in rows) * 1.05)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.tick_params(labelsize=10)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("frames of a tube")

    return draw("tube-lengths", _WIDTH, (len(rows) * _ROW + 46) / 72, paint)


def _values(found: TubesShown, root: Path) -> Mapping[str, Any]:
    return {"strips": [(one, [_image(root, file) for file in one.files]) for one in found.drawn]}


def _image(root: Path, file: str) -> tuple[str | None, str]:
    """A frame as base64 of a JPEG, or why there is none."""
    from clipquarry.media.thumbnail import frame_jpeg  # decodes images: not needed to import a report

    try:
        path = inside(root, file)
        if not path.resolve().is_relative_to(root.resolve()):
            return None, _OUTSIDE
        jpeg = frame_jpeg(path, WIDTH).jpeg
    except (ClipquarryError, MediaError, OSError) as error:
        return None, f"No thumbnail: {error}"
    return (
        (base64.b64encode(jpeg).decode("ascii"), "")
        if len(jpeg) <= MAX_BYTES
        else (None, "The thumbnail is too large.")
    )


SECTION = Section("tubes", Path(__file__).with_name("tubes.html.j2"), collect, plots, _values)
