"""Conversion of the results of networks for proposals (BMN, BSN) to a list of proposals that SSN reads (specification 4.1 of the other
data sets).

A block of the list, for each video of the annotation in its order, times in seconds::

    #0                                    without a blank
    --0edUL8zmA                           id, without v_
    5183                                  frames
    30.0                                  frames a second
    1                                     annotated intervals, then a line for each: label start end
    12 0.01 41.5
    1                                     proposals, then a line for each: label best_iou best_overlap start end
    12 0.9523810148239136 1.0 0.5 40.0    ``0 0 0 start end`` without any overlap
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.activitynet import PREFIX, read_object
from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.ucf_lists import lines_of
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, publish_new, temporary_beside, writing
from clipquarry.ids import id_problem


class Converted(NamedTuple):
    """What was written. ``without``: ids of videos of the annotation that have no result, and no block; ``missing``: the csv that names
    them.
    """

    videos: int
    proposals: int
    without: list[str]
    missing: Path | None = None


def convert(results: Path, annotation: Path, classes: Path, out: Path) -> Converted:
    """Convert a json of ``results`` to a list for SSN, ``out``, whole or not at all; videos without a result are named in
    ``{out}.missing.csv``.

    ``annotation`` and ``classes``: see :func:`write_ssn_list` and :func:`read_class_order`. Raises :class:`UserError` for a wrong file, for
    results of other videos, and for an ``out`` that is there already: it is never replaced.
    """
    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is no folder: make it, or name another file.")
    order, entries, found = (
        read_class_order(classes),
        read_object(annotation, "annotation of videos"),
        read_results(results),
    )
    beside = temporary_beside(out)
    try:
        with disk_errors(out):
            with open(beside, "w", encoding="utf-8", newline="\n") as handle:
                done = write_ssn_list(handle, entries, found, order, annotation)
            if not done.videos:  # an empty list would be a whole one to its readers
                raise UserError(f"{results} has a result of no video of {annotation}: give those of the same videos.")
            publish_new(beside, out)
    except FileExistsError as error:
        raise UserError(f"{out} is there already: move it away, or name another file.") from error
    finally:
        beside.unlink(missing_ok=True)
    if not done.without:
        return done
    missing = out.with_name(f"{out.name}.missing.csv")
    with writing(missing) as csv:
        csv.write("video,reason\n")
        csv.writelines(f"{video},no_result\n" for video in done.without)
    return done._replace(missing=missing)


def read_class_order(path: Path) -> dict[str, int]:
    """Class to its number from 0, by a file with a class on each line, such as ``anet_activity_indexes_val.txt``."""
    names = [line.strip() for _, line in lines_of(path)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{path}: the class {visible(twice, 60)!r} is given twice.")
    if not names:
        raise UserError(f"{path} names no class: expected one on each line.")
    return {name: number for number, name in enumerate(names)}


def read_results(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The proposals [n, 2] (start, end in seconds) of each video, from a json ``{"results": {ID: [{"segment": [start, end]}]}}``."""
    found = read_object(path, "json of results").get("results")
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no object 'results': give the json that the network's test wrote.")
    return {name: _segments(rows, f"{path}: results of {visible(name, 60)}") for name, rows in found.items()}


def _segments(rows: object, where: str) -> npt.NDArray[np.float64]:
    """The field ``segment`` of each row. Raises :class:`UserError` for anything but two finite numbers."""
    if not isinstance(rows, list):
        raise UserError(f"{where} are no array.")
    found: list[list[float]] = []
    for number, row in enumerate(rows):
        times = row.get("segment") if isinstance(row, dict) else None
        if (
            not isinstance(times, list)
            or len(times) != 2
            or not all(type(t) is not bool and isinstance(t, int | float) and math.isfinite(t) for t in times)
        ):
            raise UserError(f"{where}, entry {number}: its segment is not two numbers.")
        found.append(times)
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def write_ssn_list(
    handle: IO[str], annotation: Mapping[str, Any], results: Mapping[str, npt.NDArray[np.float64]], classes: Mapping[str, int], where: Path
) -> Converted:  # fmt: skip
    """Write the list of the videos of ``annotation`` (as ``anet_anno_val.json``, read from ``where``).

    Raises :class:`UserError`, with the video, for an entry that lacks something, and for a class that ``classes`` lacks.
    """
    proposals, written, without = 0, 0, list[str]()
    for name, entry in annotation.items():
        video = name.removeprefix(PREFIX)
        if problem := id_problem(video):
            raise UserError(f"{where}: the name {visible(name, 60)!r} {problem}.")
        truths, labels = _truths(entry, classes, f"{where}: {video}")
        if video not in results:
            without.append(video)
            continue
        found = results[video]
        handle.write(f"#{written}\n{video}\n{entry['duration_frame']}\n{entry['fps']}\n{len(labels)}\n")
        for label, (start, end) in zip(labels, truths.tolist(), strict=True):
            handle.write(f"{label} {start} {end}\n")
        handle.write(f"{len(found)}\n")
        handle.writelines(_lines(found, truths, labels))
        proposals, written = proposals + len(found), written + 1
    return Converted(written, proposals, without)


def _truths(entry: object, classes: Mapping[str, int], where: str) -> tuple[npt.NDArray[np.float64], list[int]]:
    rows = entry.get("annotations") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not {"duration_frame", "fps"} <= entry.keys():
        raise UserError(f"{where} has no duration_frame and fps: give a file such as anet_anno_val.json.")
    for key in ("duration_frame", "fps"):
        if not isinstance(entry[key], int | float) or isinstance(entry[key], bool):
            raise UserError(f"{where}: its {key} is no number.")
    truths = _segments(rows, f"{where}: its annotations")
    assert isinstance(rows, list)
    for row in rows:
        label = row.get("label")
        if not isinstance(label, str) or label not in classes:
            raise UserError(f"{where}: the class {visible(str(label), 60)!r} is not in the file of classes.")
    return truths, [classes[row["label"]] for row in rows]


def _lines(
    found: npt.NDArray[np.float64], truths: npt.NDArray[np.float64], labels: list[int]
) -> Iterator[str]:  # fmt: skip
    """The line of each proposal: of the annotated intervals, the one with the best IoU gives the label.

    IoU and overlap (the share of the proposal that the interval covers) are float32, printed in full.
    """
    if not len(truths):
        yield from (f"0 0 0 {start} {end}\n" for start, end in found.tolist())
        return
    for start, end in found.tolist():
        common = np.maximum(0.0, np.minimum(end, truths[:, 1]) - np.maximum(start, truths[:, 0]))
        length = end - start
        with np.errstate(divide="ignore", invalid="ignore"):
            union = (truths[:, 1] - truths[:, 0]) + length - common
            ious = np.nan_to_num(common / union).astype(np.float32)
            overlaps = np.nan_to_num(common / length).astype(np.float32)
        best, most = int(ious.argmax()), int(overlaps.argmax())
        if not overlaps[most] > 0:
            yield f"0 0 0 {start} {end}\n"
            continue
        label = labels[best] or labels[most]  # 0 is taken for no class by the reference, and is one
        yield f"{label} {_full(ious[best])} {_full(overlaps[most])} {start} {end}\n"


def _full(value: np.float32) -> str:
    """All digits of a float32, as Python prints the float of the same value."""
    return str(float(value))
