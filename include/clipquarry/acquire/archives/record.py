"""Records of finished extractions: a finished archive is not read again while its files are there.

One extraction has three files in ``{private}/archives``: ``{key}.json`` (what it was and what came of it, written last),
``{key}.files.parquet`` (every file, with its size) and ``{key}.refused.parquet`` (every member that was refused, with its reason).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from clipquarry.acquire.answer import FetchFailed
from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, write_json
from clipquarry.manifest import ManifestWriter, read_tuples, schema_of, write_rows
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.store import content_key

_VERSION = 1
_UNREADABLE = ".unreadable"
_ROWS = 1 << 15
FILES = schema_of(
    [pa.field("path", pa.string(), nullable=False), pa.field("bytes", pa.int64(), nullable=False)], "unpacked"
)
"""``path`` is relative to the folder that the archive was unpacked into."""
REFUSED = schema_of(
    [pa.field(name, pa.string(), nullable=False) for name in ("member", "reason", "evidence")], "refused"
)


@dataclass(frozen=True)
class Refusal:
    """A member that was not unpacked."""

    member: str
    reason: Reason
    evidence: str

    def row(self) -> dict[str, Any]:
        name = self.member.encode("utf-8", "backslashreplace").decode()
        return {"member": name[-1000:], "reason": str(self.reason), "evidence": self.evidence}


@dataclass(frozen=True)
class Unpacked:
    """The result of one extraction."""

    files: int
    """Files of the archive that are in the folder now."""
    kept: int
    """Of these, with the same bytes there before."""
    bytes: int
    refused: int
    files_table: Path
    refused_table: Path
    was_finished: bool = False
    """The archive was not read: an earlier extraction was finished, and its files are there."""

    def __str__(self) -> str:
        again = ", from before" if self.was_finished else f" ({self.kept} were there)" if self.kept else ""
        return f"{self.files} files, {self.bytes} bytes{again}; {self.refused} members were refused"


class FilesTable:
    """The table of files while it is written, in columns: packages have millions of rows."""

    def __init__(self, writer: ManifestWriter) -> None:
        self._writer = writer
        self._paths: list[str] = []
        self._sizes: list[int] = []

    def add(self, path: str, size: int) -> None:
        """Add a row."""
        self._paths.append(path)
        self._sizes.append(size)
        if len(self._paths) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        self._writer.write_table(pa.table({"path": self._paths, "bytes": self._sizes}, schema=FILES))
        self._paths, self._sizes = [], []


@dataclass(frozen=True)
class Record:
    """The record of one archive, unpacked in one way into one folder."""

    data: DataRoot
    key: str

    @classmethod
    def of(cls, data: DataRoot, volumes: Sequence[Path], **way: Any) -> Record:
        """The record of these volumes, as they are now. ``way``: everything else that the result depends on."""
        return cls(data, content_key(version=_VERSION, volumes=[_identity(path) for path in volumes], **way))

    def _path(self, suffix: str) -> Path:
        return self.data.archives / f"{self.key}{suffix}"

    @property
    def lock(self) -> Path:
        return self._path(".lock")

    @property
    def files_table(self) -> Path:
        return self._path(".files.parquet")

    @property
    def refused_table(self) -> Path:
        return self._path(".refused.parquet")

    @contextmanager
    def files(self) -> Iterator[FilesTable]:
        """The table of files, which appears when its block ends."""
        with ManifestWriter(self.files_table, FILES, rows_per_group=_ROWS) as writer:
            table = FilesTable(writer)
            yield table
            table.flush()

    def finish(self, refused: Iterable[Refusal], about: dict[str, Any], files: int, kept: int, size: int) -> Unpacked:
        """Write the rest; the extraction is finished afterwards."""
        count = write_rows(self.refused_table, REFUSED, (one.row() for one in refused))
        result = {"files": files, "kept": kept, "bytes": size, "refused": count}
        write_json(self._path(".json"), {**about, **result})
        return Unpacked(files, kept, size, count, self.files_table, self.refused_table)

    def finished(self, folder: Path) -> Unpacked | None:
        """The result of before, if every file is still in ``folder`` with its size."""
        try:
            facts = read_json(self._path(".json"))
            for path, size in read_tuples(self.files_table, ("path", "bytes")):
                if os.stat(folder / path).st_size != size:
                    return None
            files, kept, size, refused = (int(facts[name]) for name in ("files", "kept", "bytes", "refused"))
        except (OSError, ClipquarryError, KeyError, TypeError, ValueError):
            return None  # never begun, or something is missing: the archive is read again
        if not self.refused_table.is_file():
            return None
        return Unpacked(files, kept, size, refused, self.files_table, self.refused_table, was_finished=True)

    @property
    def was_finished(self) -> bool:
        """Whether these volumes were read to their end before; their files may have gone since."""
        return self._path(".json").is_file()

    @property
    def was_tried(self) -> bool:
        """Whether these volumes were read before: to their end, or to where they are damaged."""
        return self.was_finished or self._path(_UNREADABLE).is_file()

    def note_unreadable(self) -> None:
        """These volumes are damaged: nobody need read them again before others lie in their place."""
        with suppress(OSError):
            self._path(_UNREADABLE).touch()

    def forget(self) -> None:
        """An extraction begins: what it leaves when it is killed is no finished one."""
        for suffix in (".json", _UNREADABLE):
            with suppress(FileNotFoundError):
                self._path(suffix).unlink()


def together(record: Record, parts: Sequence[Unpacked]) -> Unpacked:
    """Several extractions as one: their sums, and one table of what was refused, under the name of ``record``."""
    rows = (
        dict(zip(REFUSED.names, row, strict=True))
        for one in parts
        if one.refused
        for row in read_tuples(one.refused_table, REFUSED.names)
    )
    refused = write_rows(record.refused_table, REFUSED, rows)
    return Unpacked(
        sum(one.files for one in parts),
        sum(one.kept for one in parts),
        sum(one.bytes for one in parts),
        refused,
        parts[0].files_table,
        record.refused_table,
        was_finished=all(one.was_finished for one in parts),
    )


class UnpackedFiles:
    """The files that extractions put below the folder of a data set, by 64-bit hashes of their paths."""

    def __init__(self, data: DataRoot, root: str) -> None:
        self._root = data.root
        self._hashes: set[int] = set()
        for path in data.archives.glob("*.json"):
            try:
                into = str(read_json(path)["into"])
                if PurePosixPath(root) in (PurePosixPath(into), *PurePosixPath(into).parents):
                    files = read_tuples(path.with_suffix(".files.parquet"), ("path",))
                    self._hashes.update(hash(f"{into}/{file}") for (file,) in files)
            except (OSError, ClipquarryError, KeyError, TypeError):
                continue  # damaged: its files count as a person's

    def __contains__(self, path: Path) -> bool:
        return hash(path.relative_to(self._root).as_posix()) in self._hashes


def _identity(path: Path) -> list[Any]:
    """What tells one volume from another without reading it."""
    try:
        facts = path.stat()
    except OSError as error:
        raise FetchFailed(Reason.NOT_FOUND, f"{path}: {error.strerror}") from error
    return [path.name, facts.st_size, facts.st_mtime_ns]
