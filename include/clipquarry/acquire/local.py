"""Local source: clips and whole videos in a folder of the user. The folder is only read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any, Literal, NamedTuple

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.clip_tree import ClipTree, Holding
from clipquarry.acquire.listing import Listing
from clipquarry.acquire.template import Template
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, inside, link_or_copy, temporary_beside
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.reasons import Reason

Content = Literal["clip", "video"]

_CLIP_FORMS = (
    "{clip}", "{class}/{clip}", "{label}/{clip}", "{split}/{clip}", "{split}/{class}/{clip}", "{split}/{label}/{clip}",
    "videos_{split}/{class}/{clip}", "videos_{split}/{label}/{clip}",
)  # fmt: skip
_VIDEO_FORMS = ("{id}", "{split}/{id}")
_FILE_FORMS = ("{clip}", "{split}/{clip}", "videos/{clip}", "videos_{split}/{clip}")
_RANKS = {suffix: rank for rank, suffix in enumerate(VIDEO_SUFFIXES)}
_IN_NAME = frozenset({"clip", "id", "start", "end"})


class _Form(NamedTuple):
    """One layout: where a file may lie, below the source's folder."""

    folder: Template
    name: Template
    content: Content
    suffix: str
    """The suffix that the name's template gives (``.mp4``); empty where it gives none."""
    is_shared: bool
    """The folder holds the files of many clips, so that its path can be cached."""

    @classmethod
    def of(cls, text: str, content: Content) -> _Form:
        folder, _, name = text.rpartition("/")
        suffix = "" if name.endswith("}") else PurePosixPath(name).suffix
        return cls(Template(folder), Template(name), content, suffix, not Template(folder).names & _IN_NAME)


class LocalSource:
    """A folder of clips in any of the usual layouts, or of whole videos named by their id.

    ``path`` is a folder, or a template that names one file below it (``/data/k400/{class}/{clip}.mp4``). A template is the
    only layout tried, and its file holds what ``content`` says. A name may have any video suffix, in any case; the suffix
    that the template gives is preferred. Where a folder's ``content`` is video, longer clips ``{id}_{start:06d}_{end:06d}``
    that hold the wanted one count too, in folders of any name. The file found is hard-linked into scratch (copied across file systems). The file
    in the folder is never moved, changed or deleted. ``whole_files``: the clip's name is a file name with its extension,
    and only that file is looked up; the case of the extension does not matter. ``split_names``: the folder's names of our
    splits; our own names are tried too. ``listing``: shared by sources that look up everything in one pass. ``root``: ``path`` is below it,
    and its folder may be absent: runs make it. ``suffixes``: those of files besides videos'. ``only_videos``: a folder whose content is video
    holds no clips, so that a clip ``2`` of the video ``1`` is not taken to be ``2.mp4``.
    """

    def __init__(
        self, id_: str, path: str, content: Content, *, whole_files: bool = False,
        split_names: Mapping[str, str] | None = None, listing: Listing | None = None, root: Path | None = None,
        suffixes: Sequence[str] = (), only_videos: bool = False,
    ) -> None:  # fmt: skip
        self._id, self._split_names, self._whole_files = id_, split_names or {}, whole_files
        self._listing = listing or Listing()
        self._ranks = _RANKS | {suffix: len(_RANKS) + rank for rank, suffix in enumerate(suffixes)}
        folder, hole, rest = path.partition("{")
        if hole and not path.count("{{"):
            folder, _, name = folder.rpartition("/")
            self._forms: tuple[_Form, ...] = (_Form.of(name + hole + rest, content),)
        elif whole_files:
            folder = path.replace("{{", "{").replace("}}", "}")
            self._forms = tuple(_Form.of(form, content) for form in _FILE_FORMS)
        else:
            folder = path.replace("{{", "{").replace("}}", "}")
            clips: tuple[_Form, ...] = tuple(_Form.of(form, "clip") for form in _CLIP_FORMS)
            if only_videos and content == "video":
                clips = ()
            self._forms = (*clips, *(_Form.of(form, "video") for form in _VIDEO_FORMS))
        self._folder = Path(folder or "/") if root is None else root / folder
        if root is None and not self._folder.is_dir():
            raise UserError(
                f"Source '{id_}' names the folder {self._folder}, which is not there: mount it, or unset its variable."
            )
        self._shared: dict[tuple[str, str, str | None], list[tuple[_Form, str | None, str]]] = {}
        holds = content == "video" and len(self._forms) > 1 and not whole_files
        self._tree = ClipTree(self._folder, snapshot=self._listing.is_snapshot) if holds else None

    @property
    def id(self) -> str:
        return self._id

    def may_have(self, want: ClipRequest) -> bool:
        """Whether a file of such a name exists there. Its content is not checked."""
        return next(self._candidates(want), None) is not None or bool(self._holding(want))

    def _holding(self, want: ClipRequest) -> list[Holding]:
        """Longer clips that hold the wanted one, the best first."""
        if self._tree is None:
            return []
        found = self._tree.holding(want.video_id, want.start, want.end)
        return sorted(found, key=lambda one: one.preference)

    def _files(self, want: ClipRequest) -> Iterator[tuple[Path, Content, Holding | None]]:
        """Files that may hold the clip, the best first: those of its name, then longer clips."""
        for path, content in self._candidates(want):
            if path.is_file():
                yield path, content, None
        for held in self._holding(want):
            if held.path.is_file():
                yield held.path, "video", held

    def _candidates(self, want: ClipRequest) -> Iterator[tuple[Path, Content]]:
        """Files that may hold the clip, the preferred layout first."""
        for form, folder, split in self._places(want):
            one = want if split == want.split else replace(want, split=split)
            place = self._place(form, one) if folder is None else folder
            if place is not None:
                for name in self._names(form, place, one):
                    yield Path(place, name), form.content

    def _places(self, want: ClipRequest) -> list[tuple[_Form, str | None, str]]:
        """Each layout with its folder (None: it depends on the clip) and the name of the split, for a split and class."""
        key = (want.split, want.class_dir, want.label)
        found = self._shared.get(key)
        if found is None:
            found = []
            for form in self._forms:
                for split in dict.fromkeys((self._split_names.get(want.split, want.split), want.split)):
                    folder = self._place(form, replace(want, split=split)) if form.is_shared else None
                    if not form.is_shared or (folder is not None and not self._listing.never_has(folder)):
                        found.append((form, folder, split))
            if len(self._shared) > 1 << 16:  # only a hostile table has so many: a data set has some thousands
                self._shared.clear()
            self._shared[key] = found
        return found

    def _place(self, form: _Form, want: ClipRequest) -> str | None:
        try:
            below = form.folder.fill(want, str)
            return str(inside(self._folder, below) if below else self._folder)
        except UserError:  # an empty or hostile value: this layout names no file
            return None

    def _names(self, form: _Form, folder: str, want: ClipRequest) -> list[str]:
        """Names in a folder that fit the layout, the best first."""
        name = form.name.fill(want, str)
        if not name or "/" in name or "\\" in name or "\x00" in name or name in (".", ".."):
            return []
        given = PurePosixPath(name).suffix if self._whole_files else form.suffix
        stem = name.removesuffix(given)
        names = self._listing.names(folder, stem)
        if not names:
            return names
        ranked = []
        for found in names:
            suffix = found[len(stem) :].lower()
            if found == name:
                rank = -2
            elif given and suffix == given.lower():
                rank = -1
            elif not self._whole_files and suffix in self._ranks and (not given or given.lower() in self._ranks):
                rank = self._ranks[suffix]
            else:
                continue
            ranked.append((rank, found))
        return [found for _, found in sorted(ranked)]

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """See :class:`clipquarry.acquire.answer.Source`."""
        begun = time.monotonic()
        empty = ""
        for path, content, held in self._files(want):
            real = path.resolve()
            if real.stat().st_size == 0:
                empty = empty or f"{path.relative_to(self._folder)} is empty (0 bytes)"
                continue
            origin = _identity(real)
            target = temporary_beside(scratch / f"local{path.suffix.lower()}")
            with disk_errors(target):
                link_or_copy(real, target)
            return Fetched(
                path=target,
                content=content,
                offset=float(want.start) if content == "clip" else float(held.start if held else 0),
                until=float(held.end) if held else None,
                bytes=real.stat().st_size,
                seconds=time.monotonic() - begun,
                evidence=f"{path.relative_to(self._folder)} in the folder of source '{self._id}'",
                origin=origin,
            )
        if empty:
            raise FetchFailed(Reason.NOT_A_VIDEO, empty)
        raise FetchFailed(Reason.NOT_FOUND, f"neither {want.clip_id} nor {want.video_id} is in {self._folder}")

    def has_changed(self, want: ClipRequest, facts: Mapping[str, Any]) -> bool:
        """Whether another file lies there now than the one that was taken, of which these are the noted facts."""
        if not (before := facts.get("origin")):
            return False
        with suppress(OSError):  # it goes at this moment
            now = next((_identity(path.resolve()) for path, *_ in self._files(want)), before)
            return bool(now != before)
        return False


def _identity(path: Path) -> str:
    """Size and time, without the path: the folder may be mounted elsewhere next time."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"
