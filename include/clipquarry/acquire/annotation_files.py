"""Annotation files of data sets that have many (AVA, AVA-Kinetics): each is kept when it is there, else obtained, else
one sentence for a person.

A file is known by its place below the data set's folder. Which of the spec's annotation sources may have it follows from
what the source says of itself:

=======================  ===============================================================================================
http, one file           ``into`` names the file; ``{split}`` in it is taken into the ``url`` (through ``split_names``)
http, an ``archive``     every file of the folder ``archive.into``, by its name, in whatever folder of the archive it is
local                    a folder with files of these names, flat or as below the data set's folder
manual                   all; it says what a person must do
=======================  ===============================================================================================

``{version}`` in ``url``, ``urls``, ``path`` and ``into`` is the version of the annotations; ``variants`` are the versions that
a source has, and ``files`` patterns of the names that it has, where that is not all of the above.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Event

from clipquarry.acquire.answer import NotHad, Want
from clipquarry.acquire.archive import ArchiveLimits, members
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloader, Limits, page_like
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.official import SOON, Obtained, check_sum, csv_problem, put_in_place, refuse_odd
from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import disk_errors, sha256_of, temporary_beside
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

_HEAD = 1 << 16
_LIMITS = ArchiveLimits(member=4 << 30, total=32 << 30)
_MAY_BE_EMPTY = "excluded_timestamps"
"""Nothing may be excluded."""


@dataclass(frozen=True)
class FileWanted:
    """A file by its path below the data set's folder (``annotations/ava_train_v2.2.csv``).

    An ``optional`` one may be absent, and no archive is fetched for its sake alone.
    """

    path: str
    optional: bool = False

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def file_problem(file: Path, name: str) -> str | None:
    """Why a file cannot be the annotation file ``name``, judged by its first bytes (a pickle's last), or None."""
    with open(file, "rb") as handle:
        head = handle.read(_HEAD)
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - 1))
        last = handle.read(1)
    if not head.strip():
        return None if _MAY_BE_EMPTY in name and size <= _HEAD else "it is empty"
    if page := page_like(head):
        return f"it is a web page or JSON ({page})"
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".pkl":
        return None if last == b"." else "it does not end as a pickle does"
    if suffix == ".csv":
        return csv_problem(file)
    if b"\x00" in head:
        return f"it is not a text file: it begins with {head[:16]!r}"
    if suffix == ".pbtxt" and not (b"{" in head and b"name" in head):
        return f"it is not a list of actions: it begins with {head[:40]!r}"
    return None


@dataclass
class _Asked:
    """One annotation source; an archive is fetched at most once for all files."""

    source: Source
    version: str
    wanted: Sequence[FileWanted]
    work: Path
    downloader: Downloader
    cancelled: Event
    environ: Mapping[str, str]
    _unpacked: dict[str, dict[str, Path] | NotHad] = field(default_factory=dict)

    def get(self, one: FileWanted) -> Path | None:
        """The file, in scratch; None when this is not the source of such a file. Raises NotHad."""
        split = self._split(one)
        if split is None or (one.optional and self.source.archive is not None):
            return None  # optional files of an archive come along with a needed one
        source = self.source
        if unset := unset_variables(" ".join([*source.all_urls, source.path or ""]), self.environ):
            raise NotHad(Reason.NO_SOURCE, f"switched off: the variable {unset[0]} is not set")
        if source.kind == "manual":
            raise NotHad(Reason.NO_SOURCE, source.howto or "a person must place it")
        if source.kind == "local":
            return self._local(one, split)
        last = NotHad(Reason.NO_SOURCE, "it names no url")
        for url in source.all_urls:
            try:
                return self._http(self._filled(url, split), one)
            except NotHad as error:
                last = error
        raise last

    def _split(self, one: FileWanted) -> str | None:
        """What ``{split}`` means for this file (often nothing); None when the source does not have it."""
        source = self.source
        if source.variants and self.version not in source.variants:
            return None
        if source.files and not any(fnmatchcase(one.name, self._versioned(pattern)) for pattern in source.files):
            return None
        if source.kind in ("local", "manual"):
            return self._named(source.into, one) if source.into else ""
        if source.kind != "http":
            return None
        if source.archive is None:
            return self._named(source.into, one) if source.into else None
        return "" if str(PurePosixPath(one.path).parent) == self._versioned(source.archive.into) else None

    def _named(self, into: str, one: FileWanted) -> str | None:
        """The split for which ``into`` is the path of this file."""
        text = re.escape(self._versioned(into)).replace(re.escape("{split}"), "(?P<split>[a-z0-9_]+)", 1)
        match = re.fullmatch(text.replace(re.escape("{split}"), "(?P=split)"), one.path)
        return None if match is None else (match.groupdict().get("split") or "")

    def _versioned(self, text: str) -> str:
        return text.replace("{version}", self.version)

    def _filled(self, text: str, split: str) -> str:
        template = Template(expand_environment(self._versioned(text), self.environ))
        return template.fill(Want("", 0, 0, split=self.source.split_names.get(split, split)), str)

    def come_along(self) -> Iterator[tuple[FileWanted, Path]]:
        """The optional files of the archives that were fetched, each once."""
        for unpacked in self._unpacked.values():
            if not isinstance(unpacked, NotHad):
                for one in self.wanted:
                    if one.optional and one.name in unpacked and self._split(one) is not None:
                        yield one, unpacked.pop(one.name)

    def _local(self, one: FileWanted, split: str) -> Path:
        place = Path(self._filled(self.source.path or "", split))
        candidates = [place / one.name, place / one.path] if place.is_dir() else [place]
        file = next((path for path in candidates if path.is_file()), None)
        if file is None or (not place.is_dir() and not self.source.into and file.name != one.name):
            raise NotHad(Reason.NOT_FOUND, f"{candidates[0]} is not there")
        copy = temporary_beside(self.work / one.name)
        with disk_errors(copy):
            shutil.copyfile(file, copy)
        return copy

    def _http(self, url: str, one: FileWanted) -> Path:
        if self.source.archive is None:
            suffix = PurePosixPath(one.name).suffix
            file = self.downloader.download(url, self.work, suffix, self.cancelled, pages=True).path
            check_sum(file, self.source.sha256, one.name)
            return file
        if url not in self._unpacked:
            try:
                self._unpacked[url] = self._archive(url)
            except NotHad as error:
                self._unpacked[url] = error
        unpacked = self._unpacked[url]
        if isinstance(unpacked, NotHad):
            raise unpacked
        if one.name not in unpacked:
            raise NotHad(Reason.NOT_FOUND, f"the archive holds no {one.name}")
        return unpacked.pop(one.name)

    def _archive(self, url: str) -> dict[str, Path]:
        """The wanted members, in scratch, by the names that they are wanted under. Of two of one name the first counts."""
        assert self.source.archive is not None
        names = {one.name: one.name for one in self.wanted if self._split(one) is not None}
        names |= {old: new for old, new in self.source.archive.rename.items() if new in names}
        file = self.downloader.download(url, self.work, ".archive", self.cancelled, pages=True).path
        check_sum(file, self.source.sha256, PurePosixPath(url).name)
        found: dict[str, Path] = {}
        for member in members(
            str(file), lambda name: name in names and names[name] not in found, self.work, self.downloader, self.cancelled,
            limits=_LIMITS,
        ):  # fmt: skip
            found[names[member.stem + member.suffix]] = member.path
        file.unlink(missing_ok=True)
        return found


def obtain_files(
    spec: DatasetSpec,
    data: DataRoot,
    wanted: Sequence[FileWanted],
    *,
    version: str | None = None,
    environ: Mapping[str, str] = os.environ,
    downloader: Downloader | None = None,
    cancelled: Event | None = None,
) -> list[Obtained]:
    """The ``wanted`` files in place, in their order; ``part`` is the path. Optional ones that cannot be had are left out.

    A file that is there is kept. Otherwise the spec's annotation sources are asked in order; a file appears whole or not
    at all, and downloads of some size are resumed by a later call. ``version``: default, the spec's default variant.
    Raises UserError (RetryLater after a passing trouble) with one sentence that says what to place where by hand, after
    everything else was obtained; UserError too for a file that is there and cannot be what it is called.
    """
    version = version or spec.default_variant or ""
    cancelled = cancelled or Event()
    places = {one: data.dataset(spec.root, one.path) for one in dict.fromkeys(wanted)}
    found = {one: kept for one, place in places.items() if (kept := _kept(one, place)) is not None}
    left = [one for one in places if one not in found]
    if not left:
        return [found[one] for one in places]
    answers: dict[FileWanted, list[tuple[str, NotHad]]] = {}
    with SourceCache(data.scratch, 0).video(f"annotations-{spec.name}", cancelled) as work:
        asked = [
            _Asked(source, version, left, work,
                   downloader or Downloader(Limits(attempts=source.attempts, read=source.timeout_s)), cancelled, environ)
            for source in spec.annotation_sources
        ]  # fmt: skip
        for one in sorted(left, key=lambda each: each.optional):
            if one not in found and (kept := _kept(one, places[one])) is not None:  # while we waited
                found[one] = kept
            if one not in found:
                answers[one] = []
                found |= _obtain(one, places, asked, answers[one])
    missing = [one for one in left if one not in found and not one.optional]
    if missing:
        raise _cannot_be_had(spec, [(places[one], one, answers[one]) for one in missing])
    return [found[one] for one in places if one in found]


def _kept(one: FileWanted, place: Path) -> Obtained | None:
    if not place.is_file():
        refuse_odd(place)
        return None
    if problem := file_problem(place, one.name):
        raise UserError(f"{place} cannot be used: {problem}; delete it, or put the right one in its place.")
    return Obtained(one.path, place, "kept", sha256_of(place), place.stat().st_size)


def _obtain(
    one: FileWanted, places: Mapping[FileWanted, Path], asked: Sequence[_Asked], answers: list[tuple[str, NotHad]]
) -> dict[FileWanted, Obtained]:
    """The file, and what came along with it; nothing, and the answers, when no source has it."""
    for source in asked:
        try:
            with reasons(Reason.TOOL_FAILED):
                file = source.get(one)
                if file is None:
                    continue
                if problem := file_problem(file, one.name):
                    raise NotHad(Reason.CORRUPT, f"what came cannot be used: {problem}")
        except NotHad as error:
            answers.append((source.source.id, error))
            continue
        # The needed file last: were it there before a kill, nobody would fetch the archive for the others again.
        arrived = [*source.come_along(), (one, file)]
        return {
            each: _place(each, path, places[each], source.source.id)
            for each, path in arrived
            if file_problem(path, each.name) is None and not (each.optional and places[each].exists())
        }
    return {}


def _place(one: FileWanted, file: Path, place: Path, source: str) -> Obtained:
    put_in_place(file, place)
    return Obtained(one.path, place, source, sha256_of(place), place.stat().st_size)


def _cannot_be_had(
    spec: DatasetSpec, missing: Sequence[tuple[Path, FileWanted, list[tuple[str, NotHad]]]]
) -> UserError | RetryLater:
    place, first, answers = missing[0]
    why = "; ".join(f"{name}: {error}" for name, error in answers) or "the data set's YAML names no source of it"
    sentence = f"The annotation file {first.name} of {spec.name} could not be had ({why}). Place it by hand as {place}"
    if len(missing) > 1:
        sentence += f" (and {', '.join(one.path for _, one, _ in missing[1:])} likewise)"
    soon = any(error.reason in SOON for _, _, all_answers in missing for _, error in all_answers)
    return (RetryLater if soon else UserError)(f"{sentence}, then run this again.")
