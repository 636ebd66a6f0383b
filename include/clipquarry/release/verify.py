"""Verification of a release: every listed file is on disk with its recorded size, and a sample with its recorded checksum."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from clipquarry.errors import GateBlocked, UserError
from clipquarry.files import inside, sha256_of
from clipquarry.release.lock import LockRow

CONTENTS: Final = 20
"""Files that are read to the end."""
CONTENT_BYTES: Final = 1 << 30
"""Bytes that are read of all of them together; larger files are skipped."""
_SHOWN: Final = 3


def verified(rows: Iterable[LockRow], root: Path, what: str) -> Iterator[LockRow]:
    """The rows in their order. Raises :class:`GateBlocked` after the last one if files of ``root`` differ from them.

    ``what`` is the release's name for people, and the seed of the sample.
    """
    draw = random.Random(what)  # noqa: S311
    sample: list[LockRow] = []
    wrong: list[str] = []
    count = 0
    for row in rows:
        count += 1
        if problem := _size_problem(root, row):
            wrong.append(f"{row.path} ({problem})")
        elif len(sample) < CONTENTS:
            sample.append(row)
        elif (at := draw.randrange(count)) < CONTENTS:  # every row has the same chance
            sample[at] = row
        yield row
    left = CONTENT_BYTES
    for row in sample:
        if row.sha256 and 0 < row.bytes <= left:
            left -= row.bytes
            if sha256_of(inside(root, row.path)) != row.sha256:
                wrong.append(f"{row.path} (other contents than recorded)")
    if wrong:
        raise GateBlocked(
            f"{what} is not released: {len(wrong):,} of {count:,} files are not what was recorded, such as "
            f"{', '.join(wrong[:_SHOWN])}. Run the data set again: damaged files are set aside and had anew."
        )


def _size_problem(root: Path, row: LockRow) -> str:
    try:
        size = os.stat(inside(root, row.path)).st_size
    except (OSError, UserError):
        return "it is not there"
    if size == 0:
        return "it is empty"
    return f"{size:,} bytes, recorded were {row.bytes:,}" if size != row.bytes else ""


def verify_copies(folder: Path, sums: dict[str, str], what: str) -> None:
    """Compare files of a release's ``folder`` with their recorded sha256, by name; raises :class:`GateBlocked`."""
    for name, wanted in sums.items():
        if (folder / name).is_file() and (found := sha256_of(folder / name)) != wanted:
            raise GateBlocked(
                f"{what} is not released: {name} was changed after it was written (its sha256 is {found}, recorded was "
                f"{wanted}). Run the data set again: the file is written anew."
            )
