"""Operations of one clip on disk: an append-only file, one JSON line each, on the disk before anybody is told that they are kept.

::

    NAME.jsonl            operations after the snapshot, in order of their ``seq``
    NAME.snapshot.json    the state up to an operation, and the names of all operations in it
    NAME.until-SEQ.jsonl  earlier files of operations, whole; only a damaged snapshot needs them
    NAME.lock             held while the files are read or written; several servers may share the folder

A killed server may leave half a line at the end. Nobody was told that it is kept, so it is cut off, and its window sends it again.
Compaction writes the snapshot first, then gives the journal its other name, then begins a new one: a kill between two of these
leaves operations in two places, never in none. An operation that the snapshot has is not applied again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from clipquarry.errors import ClipquarryError, UserError, unread
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, read_json, sync_folder, write_json
from clipquarry.labelling.model import Clip
from clipquarry.labelling.operations import BadOperation, Operation, parsed
from clipquarry.labelling.state import State

COMPACT_BYTES = 1_000_000
"""A journal that is longer becomes a snapshot. A long afternoon of one person makes a tenth of that."""
VERSION = 1


@dataclass
class _Known:
    """What this process has read of a journal: valid while the files are those that it read."""

    state: State
    names: dict[str, int] = field(default_factory=dict)
    """Operation to its ``seq``."""
    tail: list[Operation] = field(default_factory=list)
    """Operations after the snapshot."""
    read: int = 0
    """Bytes of the journal that are in the state."""
    files: tuple[int, ...] = ()


class Journal:
    """The operations of one clip, or of one person's work on it. All methods take the lock; threads may share one."""

    def __init__(self, folder: Path, name: str, clip: Clip) -> None:
        self._clip = clip
        self._file, self._snapshot = folder / f"{name}.jsonl", folder / f"{name}.snapshot.json"
        self._lock, self._folder, self._name = folder / f"{name}.lock", folder, name
        self._known: _Known | None = None

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The state, and the right to add to it, as long as the block lasts."""
        with FileLock.take(self._lock):
            known = self._known = self._current()
            yield Opened(self, known)

    def exists(self) -> bool:
        """Whether anybody has done anything."""
        return self._file.exists() or self._snapshot.exists()

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever the files do; needs no lock."""
        found: list[int] = []
        for path in (self._snapshot, self._file):
            try:
                status = path.stat()
                found += [status.st_ino, status.st_mtime_ns]
            except FileNotFoundError:
                found += [0, 0]
        return tuple(found)

    def _files(self) -> tuple[int, ...]:
        return tuple(
            number for at, number in enumerate(self.stamp()) if at != 3
        )  # a journal grows: its time is not asked

    def _current(self) -> _Known:
        """What is known, with the lines that another process has written since."""
        self._cut_torn_line()
        known = self._known
        if known is None or known.files != self._files() or known.read > self._size():
            known = self._from_snapshot()
        self._read_on(known)
        return known

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def _from_snapshot(self) -> _Known:
        if not self._snapshot.exists() and not self._older():
            return _Known(State.of(self._clip), files=self._files())
        try:
            told = read_json(self._snapshot)
            state, names = State.from_plain(told["state"]), told["operations"]
            if told["version"] != VERSION or not isinstance(names, dict):
                raise ValueError("it is of another version")
            for region, registers in State.of(self._clip).regions.items():  # a clip may have grown since
                state.regions.setdefault(region, registers)
            return _Known(state, dict(names), files=self._files())
        except (ClipquarryError, FileNotFoundError, KeyError, TypeError, ValueError, AttributeError):
            known = _Known(State.of(self._clip), files=self._files())  # everything is still there, in files of before
            for path in self._older():
                for operation in _lines(path, path.read_bytes()):
                    _add(known, operation)
            known.tail.clear()
            return known

    def _older(self) -> list[Path]:
        """Files of earlier operations, the oldest first."""
        begin = f"{self._name}.until-"
        found = [
            (path.name.removeprefix(begin).removesuffix(".jsonl"), path)
            for path in self._folder.glob(f"{begin}*.jsonl")
        ]
        return [path for number, path in sorted(found, key=lambda one: (len(one[0]), one[0])) if number.isdigit()]

    def _read_on(self, known: _Known) -> None:
        if self._size() == known.read:
            return
        with open(self._file, "rb") as handle:
            handle.seek(known.read)
            content = handle.read()
        for operation in _lines(self._file, content):
            _add(known, operation)
        known.read += len(content)
        known.files = self._files()

    def _cut_torn_line(self) -> None:
        """Cut off what follows the last line end: its operation was never confirmed."""
        if not self._size():
            return
        with open(self._file, "rb+") as handle:
            end = handle.seek(-1, os.SEEK_END) + 1
            if handle.read(1) == b"\n":
                return
            while end > 0:
                begin = max(0, end - 65_536)
                handle.seek(begin)
                cut = handle.read(end - begin).rfind(b"\n")
                end = begin + cut + 1 if cut >= 0 else begin
                if cut >= 0:
                    break
            handle.truncate(end)
            os.fsync(handle.fileno())

    def _append(self, known: _Known, operations: list[Operation]) -> None:
        """Write lines and flush them; after an error the file is what it was."""
        content = b"".join(_line(one) for one in operations)
        is_new = not self._file.exists()
        with disk_errors(self._file):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o664)
            size = os.fstat(descriptor).st_size
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            except OSError:
                self._known = None
                os.ftruncate(descriptor, size)
                raise
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self._folder)
        for operation in operations:
            _add(known, operation)
        known.read = size + len(content)
        known.files = self._files()

    def _compact(self, known: _Known) -> None:
        told = {"version": VERSION, "state": known.state.plain(), "operations": known.names}
        write_json(self._snapshot, told)
        if self._size():
            os.replace(self._file, self._folder / f"{self._name}.until-{known.state.seq}.jsonl")
            sync_folder(self._folder)
        known.tail.clear()
        known.read, known.files = 0, self._files()


class Opened:
    """A journal whose lock is held."""

    def __init__(self, journal: Journal, known: _Known) -> None:
        self._journal, self._known = journal, known

    @property
    def state(self) -> State:
        return self._known.state

    def seq_of(self, op: str) -> int | None:
        """The number of an operation that is kept; None: it is not."""
        return self._known.names.get(op)

    def since(self, seq: int) -> list[Operation] | None:
        """Operations after a number; None where a snapshot has swallowed some of them: the state itself must be sent."""
        first = self.state.seq - len(self._known.tail)
        if seq < first:
            return None
        return self._known.tail[seq - first :]

    def append(self, operations: Iterable[Operation], by: str, now: datetime | None = None) -> list[Operation]:
        """Number new operations and keep them: when this returns they are on the disk. Names must be new."""
        at = (now or datetime.now(UTC)).isoformat(timespec="milliseconds")
        begin = self.state.seq + 1
        new = [replace(one, seq=begin + n, by=by, at=at) for n, one in enumerate(operations)]
        if new:
            self._journal._append(self._known, new)
        return new

    def compact(self, at_least: int = COMPACT_BYTES) -> bool:
        """Turn a journal of at least so many bytes into a snapshot. Nothing can be lost at any moment of it."""
        if self._known.read < at_least:
            return False
        self._journal._compact(self._known)
        return True


def _line(operation: Operation) -> bytes:
    return (json.dumps(operation.plain(), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _lines(path: Path, content: bytes) -> Iterator[Operation]:
    """Raises UserError for a line that is no operation: somebody or something changed the file."""
    for line in content.split(b"\n")[:-1]:
        try:
            yield parsed(json.loads(line))
        except (ValueError, RecursionError, BadOperation) as error:
            raise UserError(f"{path} is damaged ({unread(error)[:80]}): restore it from a backup.") from error


def _add(known: _Known, operation: Operation) -> None:
    """Apply an operation unless it is in the state: a kill during compaction leaves it in two files."""
    if operation.seq <= known.state.seq:
        return
    if operation.seq != known.state.seq + 1:
        raise UserError(
            f"An operation before number {operation.seq} is missing in a journal: restore the folder from a backup."
        )
    known.state.apply(operation)
    known.names[operation.op] = operation.seq
    known.tail.append(operation)
