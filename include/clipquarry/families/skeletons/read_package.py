"""Reads one package to its end, and writes what is in it and what is wrong with it into the run's folder.

``{package}.samples.parquet`` has a row for each sample (or entry of a file of boxes):

==============  ======  ==============================================================================
column          type    meaning
==============  ======  ==============================================================================
item_id         string  the row's name: ``{package}/{name}``, with ``#{number}`` for a name that is none or was there before
number          int32   place in the package, from 0
name            string  ``frame_dir``
label           int32   0-based; -1: none
frames          int32   ``total_frames``; of a file of boxes how many an entry has; -1: none
persons         int32   M; in a table of contents the most boxes of a frame
numbers         string  type of the key points, or of the scores in a table of contents
points          int64   key points
odd, outside    int64   of them, those that are no finite number; those (2D) outside of the picture
problem         string  what is wrong with its form; empty: nothing
label_fits      bool    the label is one of the package's classes
first           bool    no sample before it has its name
in_split        bool    a split names it
file            bool    the file of its key points is there (true where it needs none)
==============  ======  ==============================================================================

``{package}.faults.parquet`` has a row for each sample, and each name in a split, with which something is wrong, and the reason.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.pickle_stream import PickleStream
from clipquarry.annotations.skeleton_package import (
    MAX_NAME,
    WHAT,
    Counts,
    Form,
    Lists,
    Seen,
    lists_of,
    points_problem,
    read_boxes,
    read_samples,
)
from clipquarry.datasets.model import SplitExpected
from clipquarry.families.skeletons.options import PackageOptions
from clipquarry.families.skeletons.pictures import Chosen, Drawn, draw
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.ids import id_problem
from clipquarry.manifest import ManifestWriter, schema_of

VERSION = 1
"""Raised whenever other facts are noted of the same file."""

SAMPLE_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("number", pa.int32(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
    pa.field("label", pa.int32(), nullable=False),
    pa.field("frames", pa.int32(), nullable=False),
    pa.field("persons", pa.int32(), nullable=False),
    pa.field("numbers", pa.string(), nullable=False),
    pa.field("points", pa.int64(), nullable=False),
    pa.field("odd", pa.int64(), nullable=False),
    pa.field("outside", pa.int64(), nullable=False),
    pa.field("problem", pa.string(), nullable=False),
    pa.field("label_fits", pa.bool_(), nullable=False),
    pa.field("first", pa.bool_(), nullable=False),
    pa.field("in_split", pa.bool_(), nullable=False),
    pa.field("file", pa.bool_(), nullable=False),
)
FAULT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("package", pa.string(), nullable=False),
    pa.field("place", pa.string(), nullable=False),  # annotations[12], split xsub_train, kpfiles/name.pkl
    pa.field("name", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
)
INSIDE = 0.99
"""Share of a sample's key points that lie in its picture."""
READ_FILES = 200
"""Files of key points that are read, drawn by the package's checksum; that they are there is looked up for all."""


@dataclass
class _Faults:
    writer: ManifestWriter
    package: str
    count: int = 0

    def add(self, item_id: str, place: str, name: str, reason: str) -> None:
        self.count += 1
        self.writer.write(
            {
                "item_id": visible(item_id, MAX_NAME),
                "package": self.package,
                "place": place,
                "name": visible(name, MAX_NAME),
                "reason": reason,
            }
        )


@dataclass
class _Sums:
    """Numbers of a package. ``labels`` by the name of a sample; a name takes some 200 bytes."""

    labels: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    frames: int = 0
    persons: Counter[int] = field(default_factory=Counter)
    counts: Counts = field(default_factory=Counts)
    numbers: Counter[str] = field(default_factory=Counter)
    unsplit: int = 0
    drawn: list[tuple[str, int]] = field(default_factory=list)
    """Some samples whose files of key points are read, with their boxes."""


def read_package(
    path: Path, sha256: str, package: str, options: PackageOptions, place: SkeletonFiles
) -> dict[str, Any]:
    """Read the pickle ``path``, write its tables, and return its facts. Raises UserError if it is no such pickle."""
    with (
        ManifestWriter(place.faults(package), schema_of(FAULT_FIELDS, "faults")) as faulty,
        ManifestWriter(place.samples(package), schema_of(SAMPLE_FIELDS, "samples")) as written,
        PickleStream(path, WHAT) as stream,
    ):
        faults = _Faults(faulty, package)
        if options.content == "boxes":
            facts = _read_boxes(stream, package, written, faults)
        else:
            facts = _read_samples(stream, package, options, sha256, written, faults, place)
        facts["faults"] = faults.count
    return {"package": package, "content": options.content, "sha256": sha256, "version": VERSION, **facts}


def _row(package: str, number: int, seen: Seen, *, first: bool, **more: bool) -> dict[str, Any]:
    named = seen.name if seen.name and first else f"{seen.name}#{number}"
    return {
        "item_id": f"{package}/{named}", "number": number, "name": seen.name, "label": seen.label, "frames": seen.frames,
        "persons": seen.persons, "numbers": seen.kind, "points": seen.counts.points, "odd": seen.counts.odd, "outside": seen.counts.outside,
        "problem": seen.problem, "first": first, **more,
    }  # fmt: skip


def _read_boxes(stream: PickleStream, package: str, written: ManifestWriter, faults: _Faults) -> dict[str, Any]:
    count = boxes = 0
    for number, (name, length, problem) in enumerate(read_boxes(stream)):
        row = _row(
            package,
            number,
            Seen(name, -1, length, 0, "", Counts(), problem),
            first=True,
            label_fits=True,
            in_split=True,
            file=True,
        )
        written.write(row)
        count, boxes = count + 1, boxes + length
        if problem:
            faults.add(row["item_id"], f"entry {number}", name, problem)
    return {"samples": count, "frames": boxes, "problem": "", "splits": [], "benchmarks": []}


def _read_samples(
    stream: PickleStream,
    package: str,
    options: PackageOptions,
    sha256: str,
    written: ManifestWriter,
    faults: _Faults,
    place: SkeletonFiles,
) -> dict[str, Any]:
    form = Form(options.content, options.points, options.coordinates, options.classes)
    for _ in stream.items("annotations"):  # the splits may stand behind the samples
        pass
    lists = lists_of(stream.value)
    split_names = {name for names in lists.names.values() for name in names}
    folder = None if options.points_in is None else stream.path.parent / options.points_in
    files = _files(folder)
    sums, rng = _Sums(), random.Random(sha256)  # noqa: S311  which files are read is no secret
    chosen = Chosen(options.points)
    for number, (seen, item) in enumerate(read_samples(stream, form)):
        first = seen.name not in sums.labels
        fits = 0 <= seen.label < (options.classes or 0)
        there = files is None or f"{seen.name}.pkl" in files
        in_split = not lists.names or seen.name in split_names
        row = _row(package, number, seen, first=first, label_fits=fits, in_split=in_split, file=there)
        written.write(row)
        reasons = _reasons(seen, form, first=first, fits=fits, there=there, points_in=options.points_in)
        for reason in reasons:
            faults.add(row["item_id"], f"annotations[{number}]", seen.name, reason)
        _add(sums, seen, first=first, in_split=in_split)
        if form.content == "samples" and not seen.problem and seen.persons and fits and chosen.wants(seen.label):
            chosen.samples.append(_to_draw(stream, seen, item))
        if files is not None and there and seen.boxes >= 0 and id_problem(seen.name) is None:
            _draw(sums.drawn, (seen.name, seen.boxes), sums.samples, rng)
    points = [] if folder is None else list(_read_points(folder, sums.drawn, options, package, faults))
    pictures = list(draw(chosen, package, place)) if chosen.samples else []
    return {
        "samples": sums.samples, "pictures": pictures, "frames": sums.frames, "problem": lists.problem, "classes": len(set(sums.labels.values()) - {-1}),
        "points": sums.counts.points, "odd": sums.counts.odd, "outside": sums.counts.outside, "unsplit": sums.unsplit,
        "persons": {str(persons): count for persons, count in sorted(sums.persons.items())[:20]},
        "numbers": dict(sums.numbers.most_common(5)),
        "points_in": "" if folder is None else "there" if files is not None else "absent",
        "files": points,
        "splits": [*_splits(lists, options, sums.labels, package, faults)],
        "benchmarks": [*_benchmarks(lists, options, sums.labels, package, faults)],
    }  # fmt: skip


def _to_draw(stream: PickleStream, seen: Seen, item: Mapping[str, Any]) -> Drawn:
    keypoint = stream.array(item["keypoint"])
    if "keypoint_score" not in item or "img_shape" not in item:
        return Drawn(seen.name, seen.label, keypoint)
    height, width = item["img_shape"]
    return Drawn(seen.name, seen.label, keypoint, stream.array(item["keypoint_score"]), (height, width))


def _reasons(seen: Seen, form: Form, *, first: bool, fits: bool, there: bool, points_in: str | None) -> Iterator[str]:
    if seen.problem:
        yield seen.problem
    if not first:
        yield "another sample before it has its name"
    if not fits and "label is" not in seen.problem and seen.frames >= 0:
        yield f"label {seen.label} is none of the classes 0 to {(form.classes or 0) - 1}"
    if seen.counts.odd:
        yield f"{seen.counts.odd} of {seen.counts.points} key points are no finite numbers"
    if seen.counts.points and seen.counts.outside > (1 - INSIDE) * seen.counts.points:
        yield f"{seen.counts.outside} of {seen.counts.points} key points are outside of the picture"
    if seen.persons == 0 and not seen.problem:
        yield "it shows nobody"
    if not there:
        yield f"{points_in} has no file of its key points"


def _add(sums: _Sums, seen: Seen, *, first: bool, in_split: bool) -> None:
    sums.samples += 1
    sums.frames += max(seen.frames, 0)
    sums.persons[min(seen.persons, 20)] += 1
    sums.counts = Counts(*(a + b for a, b in zip(sums.counts, seen.counts, strict=True)))
    if len(sums.numbers) < 50 or seen.kind in sums.numbers:
        sums.numbers[seen.kind] += 1
    sums.unsplit += not in_split
    if first:
        sums.labels[seen.name] = seen.label


def _files(folder: Path | None) -> set[str] | None:
    """Names of the files in the folder of key points; None without one."""
    if folder is None:
        return None
    with suppress(OSError), os.scandir(folder) as entries:
        return {entry.name for entry in entries}
    return None


def _draw(drawn: list[tuple[str, int]], one: tuple[str, int], count: int, rng: random.Random) -> None:
    """Keep a fair sample of what is seen once."""
    if len(drawn) < READ_FILES:
        drawn.append(one)
    elif (at := rng.randrange(count)) < READ_FILES:
        drawn[at] = one


def _read_points(
    folder: Path, drawn: list[tuple[str, int]], options: PackageOptions, package: str, faults: _Faults
) -> Iterator[dict[str, str]]:
    for name, boxes in sorted(drawn):
        problem = points_problem(folder / f"{name}.pkl", boxes, options.points)
        if problem:
            faults.add(f"{package}/{name}", f"{options.points_in}/{name}.pkl", name, problem)
        yield {"name": name, "problem": problem}


def _splits(
    lists: Lists, options: PackageOptions, labels: dict[str, int], package: str, faults: _Faults
) -> Iterator[dict[str, Any]]:
    """A row for each split, declared or found."""
    for split in dict.fromkeys((*options.splits, *lists.names)):
        names = lists.names.get(split)
        unknown = twice = 0
        seen: set[str] = set()
        for name in names or ():
            if name not in labels:
                unknown += 1
                faults.add(f"{package}/{split}/{name}", f"split {split}", name, "it names no sample of the package")
            if name in seen:
                twice += 1
                faults.add(f"{package}/{split}/{name}", f"split {split}", name, "the split names it twice")
            seen.add(name)
        classes = {labels[name] for name in seen if name in labels} - {-1}
        yield {
            "split": split, "declared": split in options.splits, "there": names is not None, "names": len(names or ()), "unknown": unknown,
            "twice": twice, "classes": len(classes), **published(options.splits.get(split), len(names or ())),
        }  # fmt: skip


def published(expected: SplitExpected | None, count: int) -> dict[str, Any]:
    """The published size in words (empty: none), whether ``count`` is it, and whether its source is the publisher's own."""
    if expected is None:
        return {"published": "", "fits": True, "official": False}
    least = min(expected.counts)
    told = f"at least {least:,}" if expected.at_least else " or ".join(f"{one:,}" for one in expected.counts)
    fits = count >= least if expected.at_least else count in expected.counts
    return {"published": told, "fits": fits, "official": expected.provenance in ("counted", "documented")}


def _benchmarks(
    lists: Lists, options: PackageOptions, labels: dict[str, int], package: str, faults: _Faults
) -> Iterator[dict[str, Any]]:
    for benchmark, (train, val) in options.benchmarks.items():
        trained, evaluated = (set(lists.names.get(split, ())) for split in (train, val))
        shared = sorted(trained & evaluated)
        for name in shared:
            faults.add(f"{package}/{val}/{name}", f"split {val}", name, f"the split {train} names it too")
        lacking = set(range(options.classes or 0)) - {labels[name] for name in trained if name in labels}
        yield {"benchmark": benchmark, "train": train, "val": val, "trained": len(trained), "evaluated": len(evaluated),
               "shared": len(shared), "classes_lacking": sorted(lacking)[:50], "lacking": len(lacking)}  # fmt: skip
