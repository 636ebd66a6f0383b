"""Copies of AVA's annotation files for the merged data set: csvs, action lists and proposals from checked rows,
other files unchanged.

A published file comes out byte for byte the same. Rows that the checks reject (see
:mod:`~clipquarry.annotations.box_csv`) are left out of a copy, because mmaction2's readers stop at them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.annotations.action_list import publish_action_list, read_action_list
from clipquarry.annotations.ava_csv import write_boxes, write_key_frames
from clipquarry.annotations.box_csv import read_boxes
from clipquarry.annotations.proposals import read_proposals, write_proposals
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.layout import placing
from clipquarry.settings import DataRoot

_BOXES = re.compile(r"ava_(?:train|val)_(v\d\.\d)\.csv")
_KEY_FRAMES = re.compile(r"ava_(?:\w+_excluded_timestamps|test)_v\d\.\d\.csv")
_ACTIONS = re.compile(r"ava_action_list_.*\.pbtxt")
_PROPOSALS = re.compile(r"ava_dense_proposals_.*\.pkl")


@dataclass
class Copies:
    """Outcome of the copies."""

    names: list[str] = field(default_factory=list)
    rewritten: dict[str, str] = field(default_factory=dict)
    """Copies that differ from AVA's own: name to sha256."""
    told: list[str] = field(default_factory=list)
    """Sentences for the log."""


def copy_annotations(data: DataRoot, source: Path, target: Path, leave_out: Collection[str]) -> Copies:
    """Copy the files of ``source`` except ``leave_out`` to ``target``; a file there that is not ours is set aside.

    Raises UserError for a file of AVA's whose content does not fit its name.
    """
    copies = Copies()
    for file in sorted(source.iterdir()):
        if file.name.startswith(".") or not file.is_file() or file.name in leave_out:
            continue
        with placing(data, target / file.name) as new:
            rejected = _write_checked(file, new.path)
            digest = sha256_of(new.path)
        copies.names.append(file.name)
        if digest != sha256_of(file):
            copies.rewritten[file.name] = digest
            what = (
                f"without {rejected} rows or keys that cannot be used" if rejected else "in the form that readers take"
            )
            copies.told.append(f"{file.name} is copied {what}; AVA's own file stays as it is")
        if new.told:
            copies.told.append(f"{file.name}: {new.told}")
    return copies


def _write_checked(file: Path, out: Path) -> int:
    """Write the checked rows of ``file``; returns how many rows or keys were left out."""
    if boxes := _BOXES.fullmatch(file.name):
        actions = file.with_name(f"ava_action_list_{boxes[1]}.pbtxt")
        table = read_boxes(file, "ava", read_action_list(actions) if actions.is_file() else None)
        write_boxes(table.boxes, out)
        return int(table.rejected.num_rows)
    if _KEY_FRAMES.fullmatch(file.name):
        table = read_boxes(file, "excluded")
        write_key_frames(table.key_frames, out)
        return int(table.rejected.num_rows)
    if _ACTIONS.fullmatch(file.name):
        publish_action_list(file, out)
        return 0
    rejected: dict[str, str] = {}
    if _PROPOSALS.fullmatch(file.name):
        proposals, rejected = read_proposals(file)
        if rejected:
            write_proposals(proposals, out)
    if not rejected:
        try:
            shutil.copyfile(file, out)
        except PermissionError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    return len(rejected)
