"""The file of all rows that broke a gate's checks: a csv for people, compressed if it is too large for them anyway."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from clipquarry.files import writing
from clipquarry.run_folder import PACKED

HEADER: Final = ("item_id", "check", "scope", "severity", "values")
"""``values`` is a JSON object of the row's other columns."""
PLAIN_BYTES: Final = 16 << 20
"""Bytes; a larger file is compressed with gzip. A data set without any clip gives one row per item with equal text,
of which a twelfth is left.
"""
_LEVEL: Final = 2  # the fastest level that finds the repetition in such rows


class RowsFile:
    """The written file of rows. ``path`` is ``{gate}.rows.csv`` or ``{gate}.rows.csv.gz``, known when the file is
    whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path


@contextmanager
def rows_file(plain: Path) -> Iterator[tuple[RowsFile, Callable[[Iterable[Iterable[Any]]], None]]]:
    """Write the rows of one gate, whole or not at all; a file of the other kind from an earlier try is deleted.

    Yields the file, and a function that takes rows of :data:`HEADER`.
    """
    packed, made = plain.with_name(f"{plain.name}{PACKED}"), RowsFile(plain)
    with (
        writing(packed, "wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as zipped,
        io.TextIOWrapper(zipped, "utf-8", newline="\n") as text,
    ):
        out = csv.writer(text, lineterminator="\n")
        out.writerow(HEADER)
        yield made, out.writerows
        text.flush()
        size = zipped.tell()
    if size > PLAIN_BYTES:
        made.path = packed
        plain.unlink(missing_ok=True)
        return
    with gzip.open(packed) as zipped, writing(plain, "wb") as target:
        shutil.copyfileobj(zipped, target)
    packed.unlink()
