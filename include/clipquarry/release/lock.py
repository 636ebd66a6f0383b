"""The lock file: the exact content of a copy of a data set, so that two labs can compare their copies.

JSON lines in UTF-8. The first line is the header (:class:`LockHeader`), then comes one line per clip
(:class:`LockRow`), sorted by path in code-point order, no path twice. It contains no times and no run names: the
same files give the same bytes. Only where a person released although a gate did not hold, it says who, when and why.

Version 2 adds the ids' namespace (``namespace``), and its ``spec`` leaves out defaults. Version 1 is still read.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import groupby
from pathlib import Path
from typing import IO, Any, NamedTuple

from clipquarry import former
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError, unread
from clipquarry.files import disk_errors, refuse_pipe, writing
from clipquarry.store import content_key

LOCK_VERSION = 2
PRODUCT = "clipquarry"
_MAX_LINE = 1 << 20
_LONGEST = 1e9
"""Seconds; more are an error, and so is NaN."""
SPLITS_BETWEEN = ","
"""Between the names of several splits that one file is in."""
_CHUNK = 50_000
"""Rows that are sorted in memory at a time."""


class LockRow(NamedTuple):
    """One clip that is there."""

    path: str
    """Relative to the data root, with ``/``."""
    clip_id: str
    split: str
    """All of them, where one file is in several (:data:`SPLITS_BETWEEN`)."""
    label_index: int
    """0-based; -1 without a label, and where its splits number classes of their own."""
    sha256: str
    bytes: int
    duration: float
    """Seconds; kept to a millisecond. 0, as ``frames``: the file is no video."""
    frames: int

    def line(self) -> str:
        values = {**self._asdict(), "duration": round(self.duration, 3)}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True)
class LockHeader:
    """The sources and tools of the clips."""

    dataset: str
    spec: str
    """:func:`spec_hash` of the data set's YAML."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Split to sha256 of its annotation file."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Tool to version, as far as it affects the pixels."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The recipe and further choices."""
    clips: int = 0
    """Number of lines that follow; filled in by the writer."""
    version: int = LOCK_VERSION
    made_of: Mapping[str, str] = field(default_factory=dict)
    """Data set to the fingerprint of its release that this one was made of. The file has the key only where there are any."""
    approved: Sequence[Mapping[str, Any]] = ()
    """Gates that did not hold and were released by a person: ``gate``, ``checks``, ``by``, ``because``, ``at`` (ISO 8601, UTC). The
    file has the key only where there are any.
    """
    namespace: str = ""
    """Namespace of the clips' ids: ``youtube``, or a data set's own. If it is empty, the data set's is written. It
    is empty in a lock of version 1.
    """


def spec_hash(spec: DatasetSpec) -> str:
    """A hash of a data set's YAML as it was understood, without comments, order and defaults.

    So keys that a later version of Clipquarry adds do not change it.
    """
    return content_key(spec=spec.content())


_TEXTS = ("path", "clip_id", "split", "sha256")
_COUNTS = ("label_index", "bytes", "frames")


def _row(line: bytes, number: int, path: Path) -> LockRow:
    try:
        values = json.loads(line)
        problem = _row_problem(values)
    except (ValueError, RecursionError) as error:
        problem = unread(error)[:200]
    if problem:
        raise UserError(f"{path}, line {number} is not a clip of a lock file ({problem}): get the file again.")
    return LockRow(**values)


def _row_problem(values: Any) -> str:
    if not isinstance(values, dict):
        return "it is no object"
    if odd := sorted(values.keys() ^ set(LockRow._fields)):
        return f"it has {'the unknown key' if odd[0] in values else 'no'} {odd[0][:60]!r}"
    for name in _TEXTS:
        if not isinstance(values[name], str) or not values[name].isprintable():
            return f"'{name}' is no text that prints"
    for name in _COUNTS:
        if type(values[name]) is not int or abs(values[name]) >= 1 << 63:
            return f"'{name}' is no whole number"
    duration = values["duration"]
    if type(duration) not in (int, float) or not abs(duration) < _LONGEST:
        return "'duration' is no number of seconds"
    return ""


@contextmanager
def _sorted_lines(rows: Iterable[LockRow], folder: Path) -> Iterator[tuple[int, Iterator[str]]]:
    """The number of rows, and their lines in order of path. Sorted pieces wait in unnamed files, so that memory is
    bounded.
    """
    with ExitStack() as stack:
        pieces: list[IO[bytes]] = []
        piece: list[LockRow] = []

        def spill() -> None:
            piece.sort()
            handle = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            handle.writelines(row.line().encode() for row in piece)
            handle.seek(0)
            pieces.append(handle)
            piece.clear()

        with disk_errors(folder):
            for row in rows:
                piece.append(row)
                if len(piece) >= _CHUNK:
                    spill()
            spill()

        def rows_of(handle: IO[bytes]) -> Iterator[LockRow]:
            for line in handle:
                yield LockRow(**json.loads(line))

        # A file that several splits have is one line, so that the lines must be counted before the header is written.
        whole = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        count = 0
        with disk_errors(folder):
            for row in _once(heapq.merge(*map(rows_of, pieces))):
                whole.write(row.line().encode())
                count += 1
        whole.seek(0)
        yield count, (line.decode() for line in whole)


def _once(rows: Iterator[LockRow]) -> Iterator[LockRow]:
    """Rows in order of path, each file once: one of several splits gets all their names. Raises :class:`UserError` where two
    rows differ in more.
    """
    for path, group in groupby(rows, lambda row: row.path):
        first, *others = group
        splits = sorted({first.split, *(row.split for row in others)})
        same = first._replace(split="", label_index=-1)
        if len(splits) <= len(others) or any(row._replace(split="", label_index=-1) != same for row in others):
            raise UserError(f"Two clips have the path {path}: a lock file names every file once.")
        alike = all(row.label_index == first.label_index for row in others)
        label = first.label_index if alike else -1
        yield first._replace(split=SPLITS_BETWEEN.join(splits), label_index=label) if others else first


def write_lock(target: Path, header: LockHeader, rows: Iterable[LockRow]) -> int:
    """Write a lock file, whole or not at all; ``rows`` may come in any order. Returns their number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _sorted_lines(rows, target.parent) as (count, lines), writing(target) as handle:
        told = {"namespace": header.namespace or header.dataset, "clips": count, "version": LOCK_VERSION}
        values = asdict(header) | told
        for name in ("made_of", "approved"):  # other locks stay as they were
            if not values[name]:
                del values[name]
        handle.write(json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
        handle.writelines(lines)
    return count


_ANEW = "give the .lock file of a release, or get it again"


def _header(line: bytes, path: Path) -> LockHeader:
    try:
        values = json.loads(line)
        version = values["version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path} is not a lock file: its first line is not a header; {_ANEW}.") from error
    if type(version) is not int or version < 1:
        raise UserError(f"{path} is not a lock file: its header has the version {str(version)[:40]!r}; {_ANEW}.")
    if version > LOCK_VERSION:
        raise UserError(
            f"{path} has lock format {str(version)[:40]}, this Clipquarry knows up to {LOCK_VERSION}: upgrade Clipquarry to read it."
        )
    known = {column.name for column in fields(LockHeader)} - ({"namespace"} if version == 1 else set())
    if problem := _header_problem(values):
        raise UserError(f"{path} is not a lock file: its header is not complete ({problem}); {_ANEW}.")
    header = LockHeader(**{key: value for key, value in values.items() if key in known})
    return _renamed(header) if version == 1 else header


def _header_problem(values: dict[str, Any]) -> str:
    for name in ("dataset", "spec", *(("namespace",) if values["version"] > 1 else ())):
        if not isinstance(text := values.get(name), str) or not text.isprintable() or not text:
            return f"'{name}' is no text that prints"
    for name in ("annotations", "tools", "settings", "made_of"):
        if not isinstance(values.get(name, {}), dict):
            return f"'{name}' is no object"
    approved = values.get("approved", [])
    if not isinstance(approved, list) or not all(map(_is_approval, approved)):
        return "'approved' is no list of gates that somebody released"
    return "" if type(values.get("clips")) is int else "'clips' is no whole number"


def _is_approval(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(checks := value.get("checks"), list):
        return False
    texts = [*checks, *(value.get(name) for name in ("gate", "by", "because", "at"))]
    return all(isinstance(text, str) and text.isprintable() for text in texts)


def approval_text(approved: Mapping[str, Any]) -> str:
    """An entry of ``approved`` in words."""
    checks = ", ".join(approved["checks"])
    return f"{approved['gate']} ({checks}), released by {approved['by']} at {approved['at']}, because “{approved['because']}”"


def _renamed(header: LockHeader) -> LockHeader:
    """Clipquarry among the tools may have its former name."""
    tools = header.tools
    if former.NAME not in tools:
        return header
    return replace(header, tools={PRODUCT if name == former.NAME else name: told for name, told in tools.items()})


@dataclass
class Lock:
    """An open lock file; iterate over it once for its rows, in order of path."""

    path: Path
    header: LockHeader
    _handle: IO[bytes]

    def __iter__(self) -> Iterator[LockRow]:
        """Raises :class:`UserError` for a damaged line, a wrong order, or a file that was cut off."""
        last, count = "", 0
        while line := self._handle.readline(_MAX_LINE):
            count += 1
            row = _row(line, count + 1, self.path)
            if row.path <= last:
                raise UserError(f"{self.path}, line {count + 1}: the paths are not in order: get the file again.")
            last = row.path
            yield row
        if count != self.header.clips:
            raise UserError(
                f"{self.path} holds {count} clips where its header says {self.header.clips}: get the file again."
            )


@contextmanager
def open_lock(path: Path) -> Iterator[Lock]:
    """Open a lock file and read its header; an unknown format version is refused with a sentence."""
    try:
        refuse_pipe(path)
        handle = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UserError(f"The lock file {path} cannot be read: {error.strerror}.") from error
    with handle:
        yield Lock(path, _header(handle.readline(_MAX_LINE), path), handle)
