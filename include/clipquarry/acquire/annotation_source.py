"""One source of annotation files: which files it holds, and how they come from it.

A file is identified by its path below the data set's folder, and by its split where it has one. The source's keys say which
files it holds:

=======================  ===============================================================================================
http, one file           ``into`` names the file; its ``{split}`` also fills the ``url`` (through ``split_names``). Without
                         ``into``: the file of each split
http, an ``archive``     every file of the folder ``archive.into``, matched by name in any folder of the archive
local                    a folder with files of these names, flat or as below the data set's folder; one file, as for http;
                         an ``archive``, as for http
manual                   all; its ``howto`` says what a person must do
=======================  ===============================================================================================

``{version}`` in ``url``, ``urls``, ``path``, ``into`` and ``files`` is the version of the annotations. ``variants`` lists the
versions that a source has. ``files`` holds patterns of the names that it has, where that is not all of the above.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import urlsplit

from clipquarry.acquire.annotation_content import file_problem
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.archive import ArchiveLimits, members
from clipquarry.acquire.download import Downloader
from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.datasets.model import Source
from clipquarry.files import disk_errors, sha256_of, temporary_beside
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
            raise FetchFailed(Reason.NO_SOURCE, source.howto or "a person must place it")
        if source.kind not in ("http", "local"):
            raise FetchFailed(Reason.NO_SOURCE, f"annotations cannot be fetched from a source of kind '{source.kind}'")
        last = FetchFailed(Reason.NO_SOURCE, "it names no url")
        for template in source.all_urls if source.kind == "http" else [source.path or ""]:
            try:
                place = self._filled(template, split)
                if source.archive is not None:
                    return self._member(place, one)
                file = self._local(Path(place), one) if source.kind == "local" else self._download(place, one.name)
                self._check_sum(file, one.name, one.path, one.split)
                return file
            except FetchFailed as error:
                last = error
        raise last

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
        if source.files and not any(fnmatchcase(one.name, self._versioned(pattern)) for pattern in source.files):
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
        remote = self.source.kind == "http"
        file = self._download(place, "x.archive") if remote else Path(place)
        if file.is_file():
            self._check_sum(file, PurePosixPath(urlsplit(place).path).name, PurePosixPath(place).name)
        names = self._member_names()
        found: dict[str, Path] = {}
        for member in members(
            str(file), lambda name: name in names and names[name] not in found, self.work, self.downloader, self.cancelled,
            limits=_LIMITS,
        ):  # fmt: skip
            found[names[member.stem + member.suffix]] = member.path
        if remote:
            file.unlink(missing_ok=True)
        return found

    def _member_names(self) -> dict[str, str]:
        """Name in the archive, with a lower-case suffix as ``members`` has it, to the wanted name. ``rename`` says more than the name."""
        assert self.source.archive is not None
        rename = self.source.archive.rename
        wanted = {one.name for one in self.wanted if self._split(one) is not None}
        names = {name: name for name in wanted - set(rename.values())}
        names |= {old: new for old, new in rename.items() if new in wanted}
        paths = {PurePosixPath(old): new for old, new in names.items()}
        return {path.stem + path.suffix.lower(): new for path, new in paths.items()}

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
