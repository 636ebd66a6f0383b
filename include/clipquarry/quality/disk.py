"""Comparison of files on disk with their tables: sizes of all, first bytes of a sample, contents of a few."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from clipquarry.errors import UserError
from clipquarry.files import inside, sha256_of
from clipquarry.settings import DataRoot

HEADERS: Final = 500
"""Files whose first bytes are looked at."""
CONTENTS: Final = 20
"""Files that are read to the end and compared by checksum."""
CONTENT_BYTES: Final = 1 << 30
"""Bytes that are read of all of them together; larger files are skipped."""
_PIECE: Final = 1 << 14
"""Rows whose paths are Python's texts at the same time: those of a whole data set take as much memory as its tables."""
EMPTY: Final = "it is empty"
_ABSENT: Final = "it is not there"
_LEAVES: Final = "the path leaves the data root"
_ISO = (4, (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"))
_MATROSKA = (0, (b"\x1a\x45\xdf\xa3",))
_BEGINS: Final[Mapping[str, tuple[int, tuple[bytes, ...]]]] = {
    **dict.fromkeys(("mp4", "m4v", "mov", "3gp"), _ISO),
    **dict.fromkeys(("mkv", "webm"), _MATROSKA),
    "avi": (0, (b"RIFF",)),
    "flv": (0, (b"FLV",)),
    "ogv": (0, (b"OggS",)),
    "wmv": (0, (b"\x30\x26\xb2\x75",)),
    "wav": (0, (b"RIFF", b"RF64")),
    "npy": (0, (b"\x93NUMPY",)),
}
"""By suffix: position and values of a container's signature (ISO 14496-12, 4.2; QuickTime alike; RFC 8794, 11.2.1;
RIFF, AVI and wav; FLV 10.1, E.2; RFC 3533, 6; ASF 3.1; EBU 3306; numpy.lib.format). Streams without a header (``.ts``, ``.mpg``) have none.
"""


@dataclass(frozen=True)
class Looked:
    """What is wrong with each file of a table (``""``: nothing), and a sentence that says how many were read."""

    problems: list[str]
    said: str


def sample(count: int, size: int, seed: str) -> list[int]:
    """``size`` of ``count`` positions, ascending: the same ones for the same seed, all if there are no more."""
    return list(range(count)) if size >= count else sorted(random.Random(seed).sample(range(count), size))  # noqa: S311


def place(root: Path, path: str) -> str | None:
    """Absolute path of a table's path, as text; None if it leaves ``root``. Most paths are plain, and take a fast
    way.
    """
    if ".." not in path and "\\" not in path and "\0" not in path and not path.startswith("/"):
        return f"{root}/{path}"
    try:
        return str(inside(root, path))
    except UserError:
        return None


def look(table: pd.DataFrame, root: Path, seed: str, *, headers: int = HEADERS, contents: int = CONTENTS) -> Looked:
    """Compare files with ``path``, ``bytes`` and ``sha256`` of their rows; -1 and ``""`` are unknown and not
    compared.
    """
    paths, sizes, sums = table["path"], table["bytes"], table["sha256"]
    problems: list[str] = []
    for at in range(0, len(table), _PIECE):
        some = (column.iloc[at : at + _PIECE].tolist() for column in (paths, sizes))
        problems += [_size_problem(root, path, size) for path, size in zip(*some, strict=True)]
    begun = 0
    for index in sample(len(table), headers, seed):
        if not problems[index]:
            problems[index] = _begin_problem(root, paths.iloc[index])
            begun += 1
    read, left = 0, CONTENT_BYTES
    for index in sample(len(table), contents, f"{seed} contents"):
        size, digest = int(sizes.iloc[index]), sums.iloc[index]
        if not problems[index] and digest and 0 < size <= left:
            left -= size
            read += 1
            problems[index] = _content_problem(root, paths.iloc[index], digest)
    said = f"Looked at on disk: sizes of all {len(table):,}, beginnings of {begun:,}, contents of {read:,}."
    return Looked(problems, said)


def _size_problem(root: Path, path: str, size: int) -> str:
    if not path:
        return _ABSENT
    where = place(root, path)
    return _LEAVES if where is None else _stat_problem(where, size)


def _stat_problem(where: str, size: int) -> str:
    try:
        found = os.stat(where)
    except (OSError, ValueError):
        return _ABSENT
    if found.st_size == size > 0 and stat.S_ISREG(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return "it is no file"
    if found.st_size == 0:
        return EMPTY
    return f"{found.st_size:,} bytes, recorded were {size:,}" if size > 0 else ""


def _begin_problem(root: Path, path: str) -> str:
    known = _BEGINS.get(PurePosixPath(path).suffix.removeprefix(".").lower())
    if known is None:
        return ""
    offset, marks = known
    try:
        with open(place(root, path) or "", "rb") as handle:
            head = handle.read(16)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if head[offset:].startswith(marks) else f"it does not begin as such a file does ({head[:8]!r})"


def _content_problem(root: Path, path: str, wanted: str) -> str:
    try:
        found = sha256_of(Path(place(root, path) or ""))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if found == wanted.strip().lower() else f"other contents than recorded: its sha256 is {found}"


def file_problem(data: DataRoot, path: str, digest: str) -> str:
    """What is wrong with one file, which is read to the end; ``digest`` is its recorded sha256, ``""`` unknown."""
    problem = _size_problem(data.root, path, -1)
    return problem or (_content_problem(data.root, path, digest) if digest else "")
