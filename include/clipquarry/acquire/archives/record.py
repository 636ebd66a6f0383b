"""Records of finished extractions: a finished archive is not read again while its files are there.

One extraction has three files in ``{private}/archives``: ``{key}.json`` (what it was and what came of it, written last),
``{key}.files.parquet`` (every file, with its size) and ``{key}.refused.parquet`` (every member that was refused, with its reason).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
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

    def files(self) -> ManifestWriter:
        """The writer of the table of files, which appears when its block ends."""
        return ManifestWriter(self.files_table, FILES)

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

    def forget(self) -> None:
        """An extraction begins: what it leaves when it is killed is no finished one."""
        with suppress(FileNotFoundError):
            self._path(".json").unlink()


def _identity(path: Path) -> list[Any]:
    """What tells one volume from another without reading it."""
    try:
        facts = path.stat()
    except OSError as error:
        raise FetchFailed(Reason.NOT_FOUND, f"{path}: {error.strerror}") from error
    return [path.name, facts.st_size, facts.st_mtime_ns]
