"""From a folder of NTU RGB+D's ``.skeleton`` files to the package that mmaction2 reads (specification 5.2).

``<task>_3d.pkl`` is ``{"annotations": [{frame_dir, label, keypoint, total_frames}, ...], "split": {name: [frame_dir, ...]}}``. ``keypoint`` is
[M, T, 25, 3] float16 in metres, ``label`` the action from 0. The reference writes samples in the order of the file system; here they are sorted
by name. Samples without anybody (M = 0) stay, as in the reference, and are reported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clipquarry.annotations.csv_records import visible
from clipquarry.annotations.name_lists import LISTS, known_names
from clipquarry.annotations.ntu_names import Task, name_problem, parse_name, splits_of
from clipquarry.annotations.ntu_skeletons import SLOTS, SkeletonError, denoise, read_file
from clipquarry.annotations.streamed_pickle import writing_package
from clipquarry.errors import UserError
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.reasons import Reason, Status

SUFFIX = ".skeleton"


class PackageRow(NamedTuple):
    """What became of one entry of the folder. ``sentence``: why it is not in the package, or a remark on a sample that is; empty for
    most. ``label`` counts from 0. ``frames``, ``persons`` (M) and ``most`` (bodies of the fullest frame) are null where it was not read.
    """

    name: str
    status: Status
    reason: Reason
    sentence: str = ""
    label: int | None = None
    frames: int | None = None
    persons: int | None = None
    most: int | None = None


class _Read(NamedTuple):
    row: PackageRow
    keypoint: npt.NDArray[np.float16] | None
    splits: tuple[str, ...] = ()


def package_name(task: Task) -> str:
    """``ntu60_3d.pkl``."""
    return f"{task.name}_3d.pkl"


def write_package(
    folder: Path,
    target: Path,
    task: Task,
    note: Callable[[PackageRow], None],
    *,
    ignored: Collection[str] | None = None,
) -> Counter[Status]:
    """Write the package of the samples in ``folder``, whole or not at all; returns how many entries ended how.

    ``note`` gets a row for each entry of the folder, in order of its name. ``ignored``: names of samples to leave out; None: those that are
    known to lack key points. Memory holds one sample, and all names. Raises :class:`UserError` if the folder cannot be read or has no sample
    that can be used; then an older package stays.
    """
    known = frozenset(known_names(task.missing) if ignored is None else ignored)
    split: dict[str, list[str]] = {name: [] for name in task.splits}
    ended: Counter[Status] = Counter()
    names = _entries(folder)
    with writing_package(target, split) as append:
        for name in names:
            read = _read(
                folder / name,
                task,
                known,
                LISTS[task.missing].what if ignored is None else "the list of ignored samples",
            )
            if read.keypoint is not None:
                append(item(read.row, read.keypoint))
                for part in read.splits:
                    split[part].append(read.row.name)
            ended[read.row.status] += 1
            note(read.row)
        if not ended[Status.DONE]:
            raise UserError(
                f"{folder} holds no {SUFFIX} file of {task.title} that can be used ({len(names)} entries): put the unpacked files there."
            )
    return ended


def item(row: PackageRow, keypoint: npt.NDArray[np.float16]) -> dict[str, Any]:
    """A sample as it stands in the package."""
    return {"frame_dir": row.name, "label": row.label, "keypoint": keypoint, "total_frames": row.frames}


def _entries(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(TEMPORARY_PREFIX))
    except OSError as error:
        raise UserError(f"The folder {folder} of {SUFFIX} files cannot be read: {error.strerror}.") from error


def _read(path: Path, task: Task, ignored: frozenset[str], what: str) -> _Read:
    """One entry: its row and, if it can be used, its key points."""
    stem = path.name.removesuffix(SUFFIX)
    shown = visible(os.fsencode(stem).decode("utf-8", "backslashreplace"), 100)

    def rejected(reason: Reason, sentence: str) -> _Read:
        return _Read(PackageRow(shown, Status.REJECTED, reason, sentence), None)

    if stem == path.name:
        return rejected(Reason.BAD_ID, f"it is no {SUFFIX} file")
    try:
        name = parse_name(stem)
    except ValueError as error:
        return rejected(Reason.BAD_ID, str(error))
    if problem := name_problem(name, task):
        return rejected(*problem)
    if stem in ignored:
        return rejected(Reason.LEFT_OUT, f"it is one of {what}")
    try:
        bodies = read_file(path)
    except SkeletonError as error:
        return _Read(PackageRow(stem, Status.FAILED, error.reason, error.sentence, name.label), None)
    keypoint = denoise(bodies.keypoint)
    remarks = []
    if not len(keypoint):
        remarks.append("nobody is in it: some readers fail at a sample without persons")
    if bodies.most > SLOTS:
        remarks.append(f"a frame has {bodies.most} bodies, of which the first {SLOTS} count")
    row = PackageRow(
        stem, Status.DONE, Reason.OK, "; ".join(remarks), name.label, keypoint.shape[1], len(keypoint), bodies.most
    )
    return _Read(row, keypoint, splits_of(name, task))
