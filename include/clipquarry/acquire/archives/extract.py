"""Extraction of a whole archive into a folder of the data root: checked, all or nothing, safe to run again.

Everything is unpacked beside its place first, into a folder of this process. The files take their places only after the
archive was read to its end and its checksums were right. A kill before that leaves nothing but that folder, which the next
extraction removes; a kill while files take their places leaves whole files, which the next one keeps.
Files that were there before are never replaced: one with the same bytes counts as unpacked, any other refuses the member.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from clipquarry.acquire.answer import FetchFailed, one_line
from clipquarry.acquire.archives.names import Names, Refused, Seen, parts_of
from clipquarry.acquire.archives.native import Kind
from clipquarry.acquire.archives.reader import Member, Reading, members_of
from clipquarry.acquire.archives.record import FilesTable, Record, Refusal, Unpacked
from clipquarry.acquire.archives.staging import Staging
from clipquarry.acquire.archives.volumes import Joined
from clipquarry.errors import MachineError, UserError
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, place_new, sync_file_system
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot


@dataclass(frozen=True)
class Placement:
    """Which members are unpacked, and where they go below the folder."""

    flatten: bool = False
    """Only the file name of a path counts, as ``unzip -j`` does."""
    strip_top: str | Sequence[str] = ""
    """Top folders that are left out of the paths of their members, one after the other; other members keep theirs."""
    leave_out: Sequence[str] = ()
    """Patterns of file names that are not unpacked."""

    def leaves_out(self, name: str) -> bool:
        """Whether a member is none of the items."""
        return any(fnmatchcase(name.rpartition("/")[2], pattern) for pattern in self.leave_out)

    def as_json(self) -> dict[str, Any]:
        """What a record of the extraction depends on."""
        return {
            "flatten": self.flatten, "strip_top": self.strip_top, **({"leave_out": [*self.leave_out]} if self.leave_out else {}),
        }  # fmt: skip

    def parts(self, name: str) -> list[str]:
        """The path below the folder. Raises :class:`Refused`."""
        parts = parts_of(name)
        if self.flatten:
            return parts[-1:]
        for top in [self.strip_top] if isinstance(self.strip_top, str) else self.strip_top:
            if len(parts) > 1 and parts[0] == top:
                parts = parts[1:]
        return parts


def extract(
    volumes: Sequence[Path],
    into: Path,
    data: DataRoot,
    reading: Reading,
    placement: Placement | None = None,
    *,
    sha256: str | None = None,
) -> Unpacked:
    """Unpack the archive that ``volumes`` make, joined in this order, into ``into`` (a folder below the data root).

    ``sha256``: of all volumes joined; checked before anything is unpacked. Raises :class:`FetchFailed` for an archive that is
    missing, no archive, truncated, damaged, a bomb, or not the announced one: then nothing was unpacked. Members that cannot be
    unpacked safely are refused one by one (:attr:`Unpacked.refused_table`).
    """
    placement, into = placement or Placement(), into.absolute()
    record, way = record_of(volumes, into, data, reading, placement, sha256=sha256)
    with FileLock.wait(record.lock, reading.cancelled, f"the archive {volumes[0].name}"):
        if (before := record.finished(into)) is not None:
            return before
        if sha256 is not None:
            _compare(volumes, sha256)
        record.forget()
        about = {"volumes": [path.name for path in volumes], **way}
        with Staging(into) as staging, record.files() as files:
            run = _Extraction(into, staging, placement, reading, files)
            run.read(volumes)
            run.resolve_links()
            run.place()
        return record.finish(run.refused, about, run.files, run.kept, run.size)


def record_of(
    volumes: Sequence[Path], into: Path, data: DataRoot, reading: Reading, placement: Placement, *, sha256: str | None
) -> tuple[Record, dict[str, Any]]:
    """The record of such an extraction, and what its result depends on besides the volumes. Raises as :func:`extract`."""
    root, into = data.root.absolute(), into.absolute()
    if root not in into.parents or ".." in into.parts or data.private.absolute() in (into, *into.parents):
        raise UserError(f"{into} is not a folder of a data set below {root}: archives are unpacked there only.")
    way = {
        "into": into.relative_to(root).as_posix(), **placement.as_json(),
        "nested": list(reading.nested), "sha256": sha256, "largest": reading.limits.member,
    }  # fmt: skip
    return Record.of(data, volumes, **way), way


def _compare(volumes: Sequence[Path], sha256: str) -> None:
    with Joined(volumes) as joined:
        found = joined.sha256()
    if found != sha256.lower():
        raise FetchFailed(Reason.CORRUPT, f"{volumes[0].name} has the sha256 {found}, not {sha256}: download it again")


@dataclass
class _Extraction:
    """The work of one extraction."""

    into: Path
    staging: Staging
    placement: Placement
    reading: Reading
    table: FilesTable
    refused: list[Refusal] = field(default_factory=list)
    files: int = 0
    kept: int = 0
    size: int = 0
    names: Names = field(default_factory=Names)
    links: list[tuple[Member, list[str]]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Paths where another file lies."""
    folder: list[str] | None = None
    is_below_a_file: bool = False
    is_new_folder: bool = False
    """Of ``folder``, the last one that was looked at."""

    def refuse(self, member: str, reason: Reason, evidence: str) -> None:
        """Add a row to the table of what was refused."""
        self.refused.append(Refusal(member, reason, one_line(evidence)))
        most = self.reading.limits.rejected
        if len(self.refused) > most:
            raise FetchFailed(
                Reason.CORRUPT,
                f"more than {most} of its members cannot be unpacked safely: {evidence} ({member[-100:]!r})",
            )

    def read(self, volumes: Sequence[Path]) -> None:
        """Unpack all members into the staging folder, to the archive's end."""
        with disk_errors(self.into):
            self._read(volumes)

    def _read(self, volumes: Sequence[Path]) -> None:
        for member in members_of(volumes, self.reading):
            if member.kind is not Kind.FOLDER and not self.placement.leaves_out(member.name):
                self._take(member)

    def _take(self, member: Member) -> None:
        if member.kind in (Kind.OTHER, Kind.REFERENCE):
            return self.refuse(member.name, Reason.BAD_ROW, f"a {member.kind.value}")
        if member.is_too_large:
            most = self.reading.limits.member
            return self.refuse(member.name, Reason.CORRUPT, f"its {member.size} bytes are more than {most}")
        try:
            parts = self.placement.parts(member.name)
        except Refused as why:
            return self.refuse(member.name, Reason.BAD_ID, str(why))
        seen = self.names.add(parts)
        if seen is not Seen.NEW:
            return self.refuse(member.name, Reason.DUPLICATE, f"the archive holds {seen.value} already")
        if self._is_below_a_file(parts[:-1]):
            return self.refuse(member.name, Reason.DUPLICATE, "a file lies where the archive has a folder; it stays")
        if member.kind is not Kind.FILE:
            self.links.append((member, parts))
            return None
        return self._write(member, parts)

    def _is_taken(self, member: Member, path: str) -> None:
        self.taken.add(path)
        self.refuse(member.name, Reason.DUPLICATE, "another file lies in its place; it stays")

    def _is_below_a_file(self, folder: list[str]) -> bool:
        """Whether something that is no folder lies where the archive has one."""
        if folder != self.folder:
            self.folder = folder
            places = (self.into.joinpath(*folder[:depth]) for depth in range(1, len(folder) + 1))
            self.is_below_a_file = any(os.path.lexists(place) and not place.is_dir() for place in places)
            self.is_new_folder = not self.into.joinpath(*folder).is_dir()
        return self.is_below_a_file

    def _write(self, member: Member, parts: list[str]) -> None:
        path = "/".join(parts)
        there = f"{self.into}/{path}"
        if not self.is_new_folder and os.path.lexists(there):
            if not _has_bytes(there, member.blocks()):
                return self._is_taken(member, path)
            self.kept += 1
            return self._note(path, os.stat(there).st_size)
        try:
            descriptor = self.staging.create(parts)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            return self.refuse(member.name, Reason.DUPLICATE, "the archive holds a file and a folder of this name")
        size = 0
        try:
            for block in member.blocks():
                size += len(block)
                self._append(descriptor, block)
        finally:
            os.close(descriptor)
        return self._note(path, size)

    def _append(self, descriptor: int, block: bytes) -> None:
        try:
            written = os.write(descriptor, block)
            while written < len(block):
                written += os.write(descriptor, block[written:])
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise  # read says what to do
            raise MachineError(f"{self.into} cannot be written to ({error.strerror}).") from error

    def _note(self, path: str, size: int) -> None:
        self.files += 1
        self.size += size
        self.table.add(path, size)

    def resolve_links(self) -> None:
        """Make links to files of the archive hard links; refuse all others. A link may lead to a link that comes later."""
        left = self.links
        while left:
            still = [(member, parts) for member, parts in left if not self._link(member, parts)]
            if len(still) == len(left):
                break
            left = still
        for member, _ in left:
            self.refuse(
                member.name, Reason.BAD_ROW, f"a {member.kind.value} to {member.link[-200:]!r}, no file of the archive"
            )

    def _link(self, member: Member, parts: list[str]) -> bool:
        try:
            target = self.placement.parts(_target(member))
        except Refused:
            return False
        source = self.staging.path.joinpath(*target)
        if not source.is_file():
            source = self.into.joinpath(*target)
            is_kept = "/".join(target) not in self.taken and self.names.holds(target)
            if not is_kept or source.is_symlink() or not source.is_file():
                return False
        there, staged = self.into.joinpath(*parts), self.staging.path.joinpath(*parts)
        if os.path.lexists(there):
            if there.is_file() and filecmp.cmp(source, there, shallow=False):
                self.kept += 1
                self._note("/".join(parts), source.stat().st_size)
            else:
                self._is_taken(member, "/".join(parts))
            return True
        try:
            staged.parent.mkdir(parents=True, exist_ok=True)
            _same_file(source, staged)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            self.refuse(member.name, Reason.DUPLICATE, "the archive holds a file and a folder of this name")
            return True
        self._note("/".join(parts), source.stat().st_size)
        return True

    def place(self) -> None:
        """Flush the staging folder once, then rename: whole folders where there is none of the name, else file by file."""
        with disk_errors(self.into):
            sync_file_system(self.staging.path)
            self._place(self.staging.path, self.into)
            sync_file_system(self.into)

    def _place(self, staged: Path, target: Path) -> None:
        with os.scandir(staged) as entries:
            found = list(entries)
        for entry in found:
            to = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                if os.path.lexists(to) or not _renamed(entry.path, to):
                    self._into_folder(Path(entry.path), to)
            else:
                self._place_file(Path(entry.path), to)

    def _into_folder(self, staged: Path, to: Path) -> None:
        if to.is_dir():
            self._place(staged, to)
            return
        raise UserError(f"{to} is a file where the archive has a folder: move it away, then run this again.")

    def _place_file(self, staged: Path, to: Path) -> None:
        try:
            place_new(staged, to)
        except FileExistsError:  # it came while the archive was read
            if not (to.is_file() and filecmp.cmp(staged, to, shallow=False)):
                raise UserError(
                    f"{to} was written while its archive was unpacked: move it away, then run this again."
                ) from None


def _target(member: Member) -> str:
    """The path in the archive that a link leads to; symbolic links lead from their own folder. Raises :class:`Refused`."""
    if member.kind is Kind.HARD_LINK:
        return member.link
    if member.link.startswith("/"):
        raise Refused("an absolute path")
    path: list[str] = member.name.split("/")[:-1]
    for part in member.link.split("/"):
        if part == ".." and not path:
            raise Refused("'..' in its path")
        if part == "..":
            path.pop()
        elif part not in ("", "."):
            path.append(part)
    return "/".join(path)


def _renamed(folder: str, to: Path) -> bool:
    try:
        Path(folder).rename(to)
    except OSError:
        if not os.path.lexists(to):
            raise
        return False
    return True


def _same_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with disk_errors(target), open(source, "rb") as from_, open(target, "xb") as to:
            shutil.copyfileobj(from_, to, 1 << 20)


def _has_bytes(path: str, blocks: Iterator[bytes]) -> bool:
    """Whether the file holds exactly these bytes."""
    try:
        handle = open(path, "rb")  # noqa: SIM115 — only the opening is guarded
    except OSError:  # a folder, a broken link, or a file of somebody else
        return False
    with handle:
        return all(handle.read(len(block)) == block for block in blocks) and not handle.read(1)
