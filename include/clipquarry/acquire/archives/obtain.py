"""An archive of a data set, from where it lies or from its address, unpacked into the layout.

A volume is used where a person or an earlier run left it: in the data set's folder (the reference's scripts leave it there),
or in a folder of the user. Otherwise it is downloaded. Volumes of an archive without an address are found by patterns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.extract import Placement, extract, record_of
from clipquarry.acquire.archives.place import is_remote
from clipquarry.acquire.archives.reader import Reading
from clipquarry.acquire.archives.record import Record, Unpacked, together
from clipquarry.acquire.archives.volumes import check_declared, check_volume, in_order
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.datasets.model import Archive
from clipquarry.errors import UserError
from clipquarry.files import (
    disk_errors,
    inside,
    is_unfinished,
    link_or_copy,
    publish_new,
    sha256_of,
    sweep_unfinished,
    temporary_beside,
)
from clipquarry.ids import id_problem
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.store import content_key

_DAMAGED = (Reason.TRUNCATED, Reason.CORRUPT, Reason.TOOL_FAILED)


@dataclass(frozen=True)
class ArchiveWanted:
    """An archive, and where its members go."""

    source: str
    """Id of the source."""
    root: str
    """The data set's folder, below the data root."""
    archive: Archive
    urls: tuple[str, ...] = ()
    """Addresses of the volumes: http, or paths."""
    patterns: tuple[str, ...] = ()
    """Names of volumes that a person places, where there is no address."""
    folders: tuple[str, ...] = ()
    """Folders of the user in which a volume may lie. They are only read."""
    sha256: dict[str, str] | str | None = None
    """Of all volumes joined, or of each by its name."""
    limits: Limits = field(default_factory=Limits)

    @property
    def names(self) -> list[str]:
        """File names of the volumes, or their patterns."""
        return [name_of(url) for url in self.urls] or list(self.patterns)

    def placed(self, data: DataRoot) -> list[Path]:
        """The volumes that fit a pattern, in their order, from the first folder that has any."""
        for folder in (data.dataset(self.root), *map(Path, self.folders)):
            if found := placed_in(folder, self.patterns):
                return found
        return []


def placed_in(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The volumes in a folder that fit a pattern, in their order, without what programs have not finished. A pattern may name a
    folder there.
    """
    fitting = [
        path
        for below in folders_in(folder, patterns)
        for beside in (_entries(below),)
        for name, path in sorted(beside.items())
        if any(fnmatchcase(path.relative_to(folder).as_posix(), one) for one in patterns)
        and not is_unfinished(name, beside)
    ]
    volumes = [path for path in fitting if path.is_file()]
    return in_order(volumes) if len(volumes) > 1 else volumes


def folders_in(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The folders in which volumes of these patterns lie: the folder itself, or those there that patterns name."""
    return list(dict.fromkeys(folder / pattern.rpartition("/")[0] for pattern in patterns))


def _entries(folder: Path) -> dict[str, Path]:
    try:
        return {path.name: path for path in folder.iterdir()}
    except OSError:
        return {}


def name_of(url: str) -> str:
    """The file name at the end of an address or a path; a fragment, which is sent to no server, says it where the path does not."""
    parts = urlsplit(url)
    return PurePosixPath(unquote(parts.fragment or parts.path)).name


def password_of(wanted: ArchiveWanted) -> SecretStr | None:
    """The password from the environment. Raises :class:`UserError` where the archive needs one that is not set."""
    name = wanted.archive.password_env
    if name is None:
        return None
    if not (found := os.environ.get(name)):
        raise UserError(
            f"The archive of source '{wanted.source}' is encrypted, and the variable {name} with its password is not set: "
            "set it in the environment of the workers."
        )
    return SecretStr(found)


def obtain(wanted: ArchiveWanted, data: DataRoot, cancelled: Event) -> Unpacked:
    """Find or download the volumes, and unpack them. Raises :class:`FetchFailed` as
    :func:`~clipquarry.acquire.archives.extract.extract` does, and where a volume is nowhere; UserError without a password.
    """
    key = content_key(root=wanted.root, names=wanted.names)
    with SourceCache(data.scratch, 0).video(f"archive-{key}", cancelled, what="an archive") as work:
        volumes, names = _volumes(wanted, data, work, cancelled)
        check_declared(volumes, names, wanted.archive)
        reading = Reading(work, password=password_of(wanted), cancelled=cancelled)
        if wanted.archive.each:
            done = _each(volumes, wanted, data, reading, cancelled)
        else:
            done = _unpacked(volumes, wanted, data, reading, cancelled)
        for volume in volumes:
            if data.archives in volume.parents:  # ours, and not to be kept
                volume.unlink(missing_ok=True)
    return done


def _unpacked(
    volumes: list[Path], wanted: ArchiveWanted, data: DataRoot, reading: Reading, cancelled: Event
) -> Unpacked:
    """The archive that these volumes make, unpacked. Raises as :func:`obtain`."""
    try:
        return extract(volumes, *_way(wanted, data, reading), sha256=_whole(wanted))
    except FetchFailed as error:
        # With a password it may be the password that is wrong.
        if error.reason in _DAMAGED and not cancelled.is_set() and wanted.archive.password_env is None:
            _record(volumes, wanted, data, reading).note_unreadable()
        raise


def _each(volumes: list[Path], wanted: ArchiveWanted, data: DataRoot, reading: Reading, cancelled: Event) -> Unpacked:
    """Every volume unpacked, each all or nothing, so that a kill costs one at most. Raises what was wrong with the first damaged one,
    once the others are unpacked.
    """
    done: list[Unpacked] = []
    problems: list[FetchFailed] = []
    for volume in volumes:
        try:
            done.append(_unpacked([volume], wanted, data, reading, cancelled))
        except FetchFailed as error:
            if cancelled.is_set():
                raise
            problems.append(FetchFailed(error.reason, f"{volume.name}: {error.evidence}"))
    if problems:
        more = f" ({len(problems)} of {len(volumes)} volumes are damaged)" if len(problems) > 1 else ""
        raise FetchFailed(problems[0].reason, f"{problems[0].evidence}{more}")
    return together(_record(volumes, wanted, data, reading), done)


def _way(wanted: ArchiveWanted, data: DataRoot, reading: Reading) -> tuple[Path, DataRoot, Reading, Placement]:
    """Where and how it is unpacked, as :func:`~clipquarry.acquire.archives.extract.extract` takes it."""
    archive = wanted.archive
    reading = replace(reading, nested=tuple(archive.nested))
    placement = Placement(archive.flatten, archive.strip_top, archive.leave_out)
    into = data.dataset(wanted.root) if archive.into == "." else data.dataset(wanted.root, archive.into)
    return into, data, reading, placement


def _record(volumes: list[Path], wanted: ArchiveWanted, data: DataRoot, reading: Reading) -> Record:
    return record_of(volumes, *_way(wanted, data, reading), sha256=_whole(wanted))[0]


def _whole(wanted: ArchiveWanted) -> str | None:
    return wanted.sha256 if isinstance(wanted.sha256, str) else None


def _volumes(wanted: ArchiveWanted, data: DataRoot, work: Path, cancelled: Event) -> tuple[list[Path], list[str]]:
    """The volumes in their order, and their names."""
    if not wanted.urls:
        if not (found := wanted.placed(data)):
            raise FetchFailed(Reason.NOT_FOUND, f"no {' or '.join(wanted.patterns)} is there")
        for path in found:
            _check_sum(path, path.name, wanted)
        return found, [path.name for path in found]
    found = [_volume(url, wanted, data, work, cancelled) for url in wanted.urls]
    return _in_order(found, wanted)


def _in_order(found: list[Path], wanted: ArchiveWanted) -> tuple[list[Path], list[str]]:
    """The volumes of the addresses in the order of their numbers, and the names that the addresses give them."""
    names = dict(zip(found, map(name_of, wanted.urls), strict=True))
    volumes = in_order(found) if len(found) > 1 else found
    return volumes, [names[path] for path in volumes]


def _volume(url: str, wanted: ArchiveWanted, data: DataRoot, work: Path, cancelled: Event) -> Path:
    """The volume of this address: where a person or an earlier run left it, else downloaded."""
    name, places = name_of(url), _places(url, wanted, data)
    for path in places:
        if path.is_file():
            _check_sum(path, name, wanted)
            return path
    if not is_remote(url):
        raise FetchFailed(Reason.NOT_FOUND, f"{url} is not there")
    placed, ours = places[0], places[-1]
    got = Downloader(wanted.limits).download(url, work, ".volume", cancelled, pages=True)
    check_volume(got.path)  # a page that asks for a login must not lie there as the archive
    _check_sum(got.path, name, wanted)
    target = placed if wanted.archive.keep else ours
    sweep_unfinished(target.parent, depth=0)
    beside = temporary_beside(target)
    try:
        with disk_errors(target):
            link_or_copy(got.path, beside)  # the layout may lie on another file system
            publish_new(beside, target)
    except FileExistsError:  # a person placed it meanwhile: theirs stays
        _check_sum(target, name, wanted)
    finally:
        beside.unlink(missing_ok=True)
    got.path.unlink(missing_ok=True)
    return target


def _places(url: str, wanted: ArchiveWanted, data: DataRoot) -> list[Path]:
    """Where the volume of this address may lie: first where a person places it, last where an earlier run left it."""
    name = name_of(url)
    if problem := id_problem(name):
        raise UserError(
            f"The address {url[:100]!r} of source '{wanted.source}' names no file: its last part {problem}."
        )
    ours = inside(data.archives, f"{content_key(root=wanted.root, url=url)}-{name}")
    folders = [Path(folder) / name for folder in wanted.folders]
    return [data.dataset(wanted.root, name), *folders, *([] if is_remote(url) else [Path(url)]), ours]


def is_placed(wanted: ArchiveWanted, data: DataRoot) -> bool:
    """Whether any volume of an archive without an address lies there; what is wrong with them, the step says."""
    try:
        return bool(wanted.placed(data))
    except FetchFailed:
        return True


def has_come(wanted: ArchiveWanted, data: DataRoot) -> bool:
    """Whether the whole archive lies there, and was never read as it is now (by names, sizes and times)."""
    try:
        if wanted.urls:
            places = [[path for path in _places(url, wanted, data) if path.is_file()] for url in wanted.urls]
            volumes = _in_order([found[0] for found in places], wanted)[0] if all(places) else []
        else:
            volumes = wanted.placed(data)
        if not volumes:
            return False
        archives = [[volume] for volume in volumes] if wanted.archive.each else [volumes]
        reading = Reading(data.scratch)
        return not all(_record(one, wanted, data, reading).was_tried for one in archives)
    except (FetchFailed, UserError, OSError):  # the step says what is wrong
        return False


def _check_sum(path: Path, name: str, wanted: ArchiveWanted) -> None:
    sum_ = wanted.sha256.get(name) if isinstance(wanted.sha256, dict) else None
    if sum_ and (found := sha256_of(path)) != sum_.lower():
        raise FetchFailed(Reason.CORRUPT, f"{path} has the sha256 {found}, the data set's YAML says {sum_}")
