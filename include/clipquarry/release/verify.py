"""Verification of a release: every listed file is on disk with its recorded size, and a sample with its recorded checksum."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from clipquarry.datasets.model import Item
from clipquarry.errors import GateBlocked, UserError
from clipquarry.files import TEMPORARY_PREFIX, inside, sha256_of, sha256_of_files
from clipquarry.release.lock import LockRow

CONTENTS: Final = 20
"""Files that are read to the end."""
CONTENT_BYTES: Final = 1 << 30
"""Bytes that are read of all of them together; larger files are skipped."""
_SHOWN: Final = 3


def verified(rows: Iterable[LockRow], root: Path, what: str, item: Item | None = None) -> Iterator[LockRow]:
    """The rows in their order. Raises :class:`GateBlocked` after the last one if files of ``root`` differ from them.

    ``what`` is the release's name for people, and the seed of the sample. ``item``: how the frames are named, where the rows
    are folders of frames; None: files, or folders of which all files count.
    """
    draw = random.Random(what)  # noqa: S311
    sample: list[LockRow] = []
    wrong: list[str] = []
    count = 0
    for row in rows:
        count += 1
        if problem := _size_problem(root, row, item):
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
            if _digest(root, row, item) != row.sha256:
                wrong.append(f"{row.path} (other contents than recorded)")
    if wrong:
        raise GateBlocked(
            f"{what} is not released: {len(wrong):,} of {count:,} files are not what was recorded, such as "
            f"{', '.join(wrong[:_SHOWN])}. Run the data set again: damaged files are set aside and had anew."
        )


def _frames(root: Path, row: LockRow, item: Item) -> Iterator[Path]:
    folder = inside(root, row.path)
    for number in range(row.frames):
        yield folder / item.rgb_pattern.format(item.start_index + number)


def _files(root: Path, row: LockRow, item: Item | None) -> list[Path]:
    """The files of a row, in the order in which its checksum takes them; empty where the row is a file itself."""
    if item is not None:
        return list(_frames(root, row, item))
    path = inside(root, row.path)
    if not path.is_dir():
        return []
    return sorted(one for one in path.iterdir() if not one.name.startswith(TEMPORARY_PREFIX) and one.is_file())


def _digest(root: Path, row: LockRow, item: Item | None) -> str:
    files = _files(root, row, item)
    return sha256_of_files(files)[0] if files else sha256_of(inside(root, row.path))


def _size_problem(root: Path, row: LockRow, item: Item | None) -> str:
    try:
        files = _files(root, row, item)
        sizes = [path.stat().st_size for path in files or [inside(root, row.path)]]
        size = sum(sizes)
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
