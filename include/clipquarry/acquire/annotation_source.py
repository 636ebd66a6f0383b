"""One source of annotation files: which files it holds, and how they come from it.

A file is identified by its path below the data set's folder, and by its split where it has one. The source's keys say which
files it holds:

=======================  ===============================================================================================
http, one file           ``into`` names the file; its ``{split}`` also fills the ``url`` (through ``split_names``). Without
                         ``into``: the file of each split
http, an ``archive``     every file of the folder ``archive.into``, matched by name in any folder of the archive
dataset                  the file ``path`` below the data root, which another data set has there; ``into`` as for http
local                    a folder with files of these names, flat or as below the data set's folder; one file, as for http;
                         an ``archive``, as for http. A path that begins with neither ``/`` nor ``$`` is below the data root
manual                   all; its ``howto`` says what a person must do. With an ``archive``: the archive whose name is one of
                         ``files``, which a person placed in the data set's folder
=======================  ===============================================================================================

``{version}`` in ``url``, ``urls``, ``path``, ``into`` and ``files`` is the version of the annotations. ``variants`` lists the
versions that a source has. ``files`` holds patterns of the names that it has, where that is not all of the above.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event

from clipquarry.acquire.annotation_content import file_problem
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.obtain import name_of, placed_in
from clipquarry.acquire.archives.wanted import members
from clipquarry.acquire.download import Downloader
from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.datasets.model import Source
from clipquarry.files import disk_errors, inside, sha256_of, temporary_beside
from clipquarry.reasons import Reason

_LIMITS = ArchiveLimits(member=4 << 30, total=32 << 30)


@dataclass(frozen=True)
class FileWanted:
    """An annotation file, by its path below the data set's folder (``annotations/ava_train_v2.2.csv``).

    An ``optional`` file may be absent. No archive is downloaded for optional files alone. ``separator`` and ``may_be_empty``:
    see :func:`~clipquarry.acquire.annotation_content.file_problem`.
    """

    path: str
    split: str = ""
    optional: bool = False
    separator: str = ","
    may_be_empty: bool = False

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def label(self) -> str:
        """What logs and ``catalog.json`` call it: its split, else its path."""
        return self.split or self.path

    def problem(self, file: Path) -> str | None:
        """Why ``file`` cannot be this file, or None."""
        return file_problem(file, self.name, separator=self.separator, may_be_empty=self.may_be_empty)


@dataclass
class AnnotationSource:
    """One annotation source of a data set; each archive is downloaded at most once for all ``wanted`` files."""

    source: Source
    version: str
    wanted: Sequence[FileWanted]
    work: Path
    downloader: Downloader
    cancelled: Event
    environ: Mapping[str, str]
    placed: Sequence[Path] = ()
    """Folders in which a person may have placed an archive, under the name of its address. They are only read."""
    data: Path | None = None
    """The data root, below which other data sets lie."""
    _unpacked: dict[str, dict[str, Path] | FetchFailed] = field(default_factory=dict)

    def get(self, one: FileWanted) -> Path | None:
        """The file, in scratch; None when this source does not hold such a file. Raises FetchFailed."""
        split = self._split(one)
        if split is None or (one.optional and self.source.archive is not None):
            return None  # the optional files of an archive are taken when a needed file is downloaded
        source = self.source
        if unset := unset_variables(" ".join([*source.all_urls, source.path or ""]), self.environ):
            raise FetchFailed(Reason.NO_SOURCE, f"switched off: the variable {unset[0]} is not set")
        if source.kind == "manual":
            if (placed := self._placed_archive()) is not None:
                return self._member(str(placed), one)
            raise FetchFailed(Reason.NO_SOURCE, source.howto or "a person must place it")
        if source.kind not in ("http", "local", "dataset"):
            raise FetchFailed(Reason.NO_SOURCE, f"annotations cannot be fetched from a source of kind '{source.kind}'")
        last = FetchFailed(Reason.NO_SOURCE, "it names no url")
        for template in source.all_urls if source.kind == "http" else [source.path or ""]:
            try:
                place = self._filled(template, split)
                if source.kind == "dataset" or source.is_below_data:
                    place = str(inside(self.data or Path(), place))
                if source.archive is not None:
                    return self._member(place, one)
                file = self._download(place, one.name) if source.kind == "http" else self._local(Path(place), one)
                self._check_sum(file, one.name, one.path, one.split)
                return file
            except FetchFailed as error:
                last = error
        raise last

    @property
    def _names_volumes(self) -> bool:
        """Whether ``files`` are names of archives that a person places, not of files in them."""
        return self.source.kind == "manual" and self.source.archive is not None

    def _placed_archive(self) -> Path | None:
        """The archive that a person placed. Raises FetchFailed where it is in several files."""
        if not self._names_volumes:
            return None
        found = next((some for folder in self.placed if (some := placed_in(folder, self.source.files))), [])
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:3])
            raise FetchFailed(
                Reason.CORRUPT, f"{len(found)} files may be the archive ({names}): leave one of them there"
            )
        return found[0] if found else None

    def archive_names(self, one: FileWanted) -> list[str]:
        """File names of the archives that hold the file, and that a person may place."""
        split = self._split(one)
        if split is not None and self._names_volumes:
            return list(self.source.files)
        if split is None or self.source.kind != "http" or self.source.archive is None:
            return []
        return [
            name_of(self._filled(url, split)) for url in self.source.all_urls if not unset_variables(url, self.environ)
        ]

    def optional_files(self) -> Iterator[tuple[FileWanted, Path]]:
        """The optional files of the archives that were read, each once. Those that cannot be used are left out."""
        for unpacked in self._unpacked.values():
            if not isinstance(unpacked, FetchFailed):
                for one in self.wanted:
                    if one.optional and one.name in unpacked and self._split(one) is not None:
                        file = unpacked.pop(one.name)
                        if one.problem(file) is None:
                            yield one, file

    def _split(self, one: FileWanted) -> str | None:
        """The value of ``{split}`` for this file (often empty); None when the source does not have the file."""
        source = self.source
        if source.variants and self.version not in source.variants:
            return None
        if (
            source.files
            and not self._names_volumes
            and not any(fnmatchcase(one.name, self._versioned(pattern)) for pattern in source.files)
        ):
            return None
        if source.archive is not None:
            inside = str(PurePosixPath(one.path).parent) == str(PurePosixPath(self._versioned(source.archive.into)))
            return one.split if inside else None
        if source.into:
            return self._named(source.into, one)
        return None if source.kind == "http" and not one.split else one.split

    def _named(self, into: str, one: FileWanted) -> str | None:
        """The split for which ``into`` is the path of this file."""
        text = re.escape(self._versioned(into)).replace(re.escape("{split}"), "(?P<split>[a-z0-9_]+)", 1)
        match = re.fullmatch(text.replace(re.escape("{split}"), "(?P=split)"), one.path)
        return None if match is None else (match.groupdict().get("split") or one.split)

    def _versioned(self, text: str) -> str:
        return text.replace("{version}", self.version)

    def _filled(self, text: str, split: str) -> str:
        template = Template(expand_environment(self._versioned(text), self.environ))
        return template.fill(ClipRequest("", 0, 0, split=self.source.split_names.get(split, split)), str)

    def _download(self, url: str, name: str) -> Path:
        return self.downloader.download(url, self.work, PurePosixPath(name).suffix, self.cancelled, pages=True).path

    def _local(self, place: Path, one: FileWanted) -> Path:
        candidates = [place / one.name, place / one.path] if place.is_dir() else [place]
        file = next((path for path in candidates if path.is_file()), None)
        if file is None:
            raise FetchFailed(Reason.NOT_FOUND, f"{candidates[0]} is not there")
        named = place.is_dir() or self.source.into or "{split}" in (self.source.path or "")
        if not named and file.name != one.name:
            raise FetchFailed(
                Reason.NOT_FOUND, f"{file} is not called {one.name}: name the file by the source's 'into'"
            )
        copy = temporary_beside(self.work / one.name)
        with disk_errors(copy):
            shutil.copyfile(file, copy)
        return copy

    def _member(self, place: str, one: FileWanted) -> Path:
        """The file out of the archive at ``place`` (url or path)."""
        if place not in self._unpacked:
            try:
                self._unpacked[place] = self._unpack(place)
            except FetchFailed as error:
                self._unpacked[place] = error
        unpacked = self._unpacked[place]
        if isinstance(unpacked, FetchFailed):
            raise unpacked
        if one.name not in unpacked:
            raise FetchFailed(Reason.NOT_FOUND, f"the archive holds no {self._name_inside(one.name)}")
        file = unpacked.pop(one.name)
        if isinstance(self.source.sha256, dict):  # a single sum is that of the archive
            self._check_sum(file, one.name, one.path, one.split)
        return file

    def _unpack(self, place: str) -> dict[str, Path]:
        """The wanted members, in scratch, by their wanted names. Of two members with one name the first is taken."""
        name = name_of(place)
        lies = next((path for folder in self.placed if name and (path := folder / name).is_file()), None)
        remote = self.source.kind == "http" and lies is None
        file = self._download(place, "x.archive") if remote else lies or Path(place)
        if file.is_file():
            self._check_sum(file, name, PurePosixPath(place).name)
        names = self._member_names()
        found: dict[str, Path] = {}

        def is_new(name: str) -> bool:
            return (wanted := names.get(_normal(name))) is not None and wanted not in found

        for member in members(str(file), is_new, self.work, self.downloader, self.cancelled, limits=_LIMITS):
            found[names[_normal(member.stem + member.suffix)]] = member.path
        if remote:
            file.unlink(missing_ok=True)
        return found

    def _member_names(self) -> dict[str, str]:
        """Name in the archive, in the normal form C and with a lower-case suffix as ``members`` has it, to the wanted name. ``rename``
        says more than the name.
        """
        assert self.source.archive is not None
        rename = self.source.archive.rename
        wanted = {one.name for one in self.wanted if self._split(one) is not None}
        names = {name: name for name in wanted - set(rename.values())}
        names |= {old: new for old, new in rename.items() if new in wanted}
        paths = {PurePosixPath(old): new for old, new in names.items()}
        return {_normal(path.stem + path.suffix.lower()): new for path, new in paths.items()}

    def _name_inside(self, name: str) -> str:
        """The name that a file has in the archive; the first, where ``rename`` gives several."""
        assert self.source.archive is not None
        return next((old for old, new in self.source.archive.rename.items() if new == name), name)

    def _check_sum(self, file: Path, *names: str) -> None:
        """Raise FetchFailed unless the file has the sum that ``sha256`` gives: the only one, or that of the first of ``names`` in it."""
        sums = self.source.sha256
        if isinstance(sums, dict):
            sums = next((sums[name] for name in names if name in sums), None)
        if sums and (found := sha256_of(file)) != sums.lower():
            raise FetchFailed(Reason.CORRUPT, f"its sha256 is {found}, the data set's YAML says {sums}")


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
