"""The official annotation files of a data set: kept when they are there, else fetched, else a sentence for a person."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event

from clipquarry.acquire.answer import NotHad, Want
from clipquarry.acquire.archive import unpack_small
from clipquarry.acquire.download import Downloader, Limits, page_like
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import disk_errors, inside, publish, sha256_of, temporary_beside
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

SOON = frozenset({Reason.NO_NETWORK, Reason.HTTP_429, Reason.HTTP_5XX, Reason.TRANSPORT, Reason.TRUNCATED})
"""Answers after which asking again soon may help: they are about the moment, not about the input."""
_HEAD = 1 << 16


@dataclass(frozen=True)
class Obtained:
    """An annotation file that is in its place."""

    part: str
    path: Path
    source: str
    """``kept`` when it was there already, else the source's id."""
    sha256: str
    bytes: int


class _OneSource:
    """One annotation source; an archive is fetched at most once for all parts."""

    def __init__(
        self, source: Source, spec: DatasetSpec, scratch: Path, downloader: Downloader, cancelled: Event
    ) -> None:
        self.source, self._spec, self._scratch = source, spec, scratch
        self._downloader, self._cancelled = downloader, cancelled
        self._unpacked: dict[str, dict[str, Path] | NotHad] = {}

    def get(self, part: str, environ: Mapping[str, str]) -> Path:
        """A file in scratch. Raises NotHad."""
        unset = unset_variables(" ".join([*self.source.all_urls, self.source.path or ""]), environ)
        if unset:
            raise NotHad(Reason.NO_SOURCE, f"switched off: the variable {unset[0]} is not set")
        name = PurePosixPath(self._spec.parts[part]).name
        if self.source.kind == "local":
            return self._local(expand_environment(self.source.path or "", environ), part, name)
        if self.source.kind == "manual":
            raise NotHad(Reason.NO_SOURCE, self.source.howto or "a person must place it")
        if self.source.kind != "http":
            raise NotHad(Reason.NO_SOURCE, f"annotations cannot be fetched from a source of kind '{self.source.kind}'")
        last = NotHad(Reason.NO_SOURCE, "it names no url")
        for url in self.source.all_urls:
            try:
                return self._http(expand_environment(url, environ), part, name)
            except NotHad as error:
                last = error
        raise last

    def _local(self, path: str, part: str, name: str) -> Path:
        filled = Path(Template(path).fill(Want("", 0, 0, split=part), str))
        file = filled / name if filled.is_dir() else filled
        if not file.is_file():
            raise NotHad(Reason.NOT_FOUND, f"{file} is not there")
        copy = temporary_beside(self._scratch / name)
        with disk_errors(copy):
            shutil.copyfile(file, copy)
        return copy

    def _http(self, template: str, part: str, name: str) -> Path:
        url = Template(template).fill(Want("", 0, 0, split=part), str)
        if self.source.archive is None:
            file = self._downloader.download(url, self._scratch, ".csv", self._cancelled, pages=True).path
            check_sum(file, self.source.sha256, part, name)
            return file
        if url not in self._unpacked:
            try:
                self._unpacked[url] = self._archive(url)
            except NotHad as error:
                self._unpacked[url] = error
        unpacked = self._unpacked[url]
        if isinstance(unpacked, NotHad):
            raise unpacked
        if name not in unpacked:
            raise NotHad(Reason.NOT_FOUND, f"the archive holds no {name}")
        return unpacked[name]

    def _archive(self, url: str) -> dict[str, Path]:
        assert self.source.archive is not None
        file = self._downloader.download(url, self._scratch, ".archive", self._cancelled, pages=True).path
        check_sum(file, self.source.sha256, "", PurePosixPath(url).name)
        return unpack_small(file, self.source.archive.rename, self._scratch, self._downloader, self._cancelled)


def check_sum(file: Path, wanted: Mapping[str, str] | str | None, *names: str) -> None:
    """Raise NotHad unless the file has the sum that a source's ``sha256`` gives it, by the first of ``names`` in it."""
    given = (
        wanted if isinstance(wanted, str) else next((wanted[n] for n in names if n in wanted), None) if wanted else None
    )
    if given and (found := sha256_of(file)) != given.lower():
        raise NotHad(Reason.CORRUPT, f"its sha256 is {found}, the data set's YAML says {given}")


def csv_problem(file: Path) -> str | None:
    """Why a file cannot be an annotation csv, judged by its first line, or None. Rows are the catalog's business."""
    with open(file, "rb") as handle:
        head = handle.read(_HEAD)
    if not head.strip():
        return "it is empty"
    if page := page_like(head):
        return f"it is a web page or JSON ({page})"
    first = head.lstrip(b"\xef\xbb\xbf").splitlines()[0]
    if b"," not in first or b"\x00" in head:
        return f"its first line is not that of a csv: {first[:60].decode('utf-8', 'replace')!r}"
    return None


def obtain_annotations(
    spec: DatasetSpec,
    data: DataRoot,
    *,
    parts: Iterable[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    downloader: Downloader | None = None,
    cancelled: Event | None = None,
) -> list[Obtained]:
    """The annotation file of each of ``parts`` (default: all of the spec), in place.

    A file that is there is kept, whatever its rows. Otherwise the spec's annotation sources are asked in order; a
    file appears whole or not at all. Raises UserError with the path at which a person may place the file and each
    source's reason; RetryLater, in the same words, when the trouble may pass (no network, 429, 5xx, a broken
    connection).
    """
    cancelled = cancelled or Event()
    with _scratch(data) as scratch:
        asked = [
            _OneSource(
                s, spec, scratch, downloader or Downloader(Limits(read=s.timeout_s, attempts=s.attempts)), cancelled
            )
            for s in spec.annotation_sources
        ]
        return [_obtain(part, spec, data, asked, environ) for part in (spec.parts if parts is None else parts)]


def _obtain(
    part: str, spec: DatasetSpec, data: DataRoot, asked: list[_OneSource], environ: Mapping[str, str]
) -> Obtained:
    if part not in spec.parts:
        raise UserError(f"The data set {spec.name} has no part '{part}'; it has {', '.join(spec.parts)}.")
    target = data.dataset(spec.root, spec.parts[part])
    if target.is_file():
        if problem := csv_problem(target):
            raise UserError(
                f"{target} is not an annotation csv: {problem}; delete it, or put the right one in its place."
            )
        return Obtained(part, target, "kept", sha256_of(target), target.stat().st_size)
    refuse_odd(target)
    answers: list[tuple[str, NotHad]] = []
    for one in asked:
        try:
            with reasons(Reason.TOOL_FAILED):
                file = one.get(part, environ)
                if problem := csv_problem(file):
                    raise NotHad(Reason.CORRUPT, f"what came is not a csv: {problem}")
        except NotHad as error:
            answers.append((one.source.id, error))
            continue
        put_in_place(file, target)
        return Obtained(part, target, one.source.id, sha256_of(target), target.stat().st_size)
    why = "; ".join(f"{name}: {error}" for name, error in answers) or "the data set's YAML names no annotation source"
    sentence = (
        f"The annotation file of {spec.name}, part '{part}', could not be had ({why}). "
        f"Place it by hand as {target}, then run this again."
    )
    raise (RetryLater if any(error.reason in SOON for _, error in answers) else UserError)(sentence)


def refuse_odd(target: Path) -> None:
    """UserError where something lies in a file's place that is no file: what a person put there is not replaced."""
    if os.path.lexists(target):
        what = "a link that leads nowhere" if target.is_symlink() else "no file"
        raise UserError(f"{target} is {what}: mount the disk that it leads to, or move it away, then run this again.")


def put_in_place(file: Path, target: Path) -> None:
    """Move a finished file to its target, whole or not at all; the two may be on different file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(target):
        beside = temporary_beside(target)
        try:
            shutil.move(file, beside)
            publish(beside, target)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def _scratch(data: DataRoot) -> Iterator[Path]:
    folder = inside(data.scratch, "annotations", uuid.uuid4().hex)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
