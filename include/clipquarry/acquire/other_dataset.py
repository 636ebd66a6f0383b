"""Data set source: takes clips from another data set on disk, either the clip itself or a longer one that holds it.

AVA-Kinetics annotates seconds of the clips of Kinetics-700. Where those are on disk, nothing is downloaded. The other
data set's files are only read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.clip_tree import ClipTree
from clipquarry.acquire.listing import Listing
from clipquarry.acquire.template import Template
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, inside, link_or_copy, temporary_beside
from clipquarry.ids import VIDEO_SUFFIXES, normalise_label, stems
from clipquarry.reasons import Reason

_WINDOW = re.compile(r"(\d{6,})_(\d{6,})(\.[A-Za-z0-9]+)", re.ASCII)
"""The rest of a clip's name after the video's id and ``_``."""
_TIMES = re.compile(r"_\d{6,}_\d{6,}\Z", re.ASCII)
_UNLABELLED = "test"
"""The class folder of clips whose csv has no labels."""


_SPLITS = 100
"""Folders of splits that are searched at most: only a hostile table has more."""


class _Clip(NamedTuple):
    """A file that should hold ``start`` to ``end`` (seconds of the original video). ``content``: as in ``Fetched``."""

    start: int | float
    end: int | float
    path: Path
    content: Literal["clip", "video"]

    @property
    def preference(self) -> tuple[bool, float, float, bytes]:
        """Sort key: the very clip first, then the longest, then the one that begins first, then by path. It is equal on all machines."""
        return self.content != "clip", self.start - self.end, self.start, os.fsencode(self.path)


def _clip(want: ClipRequest, start: int, end: int, path: Path) -> _Clip:
    return _Clip(start, end, path, "clip" if (start, end) == (want.start, want.end) else "video")


class DatasetSource:
    """A data set in our layout: ``{folder}/{class}/{clip}.*``, or the same without classes.

    Where its clips are named ``{id}_{start:06d}_{end:06d}``, the one with the wanted window is taken whole, else the wanted
    clip is cut from one that holds its window. Where clips have other names, the clip with the wanted name is taken whole.

    ``path`` is the folder of the clips, with ``{split}`` (``kinetics700/videos_{split}``), below ``data`` when it is
    relative. The class folder is that of the request's label; without a label all are searched. A missing folder is not an error: it holds none of the
    clips. ``split_names`` and ``class_names``: the other data set's names of our splits and classes.

    ``in_splits``: the other data set's splits that are searched for every clip, whatever its split, in the folders of all classes.
    """

    def __init__(
        self, id_: str, path: str, data: Path | None = None, split_names: Mapping[str, str] | None = None,
        listing: Listing | None = None, class_names: Mapping[str, str] | None = None,
        in_splits: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._id, self._split_names, self._class_names = id_, split_names or {}, class_names or {}
        root, hole, rest = path.partition("{")
        if hole and not path.count("{{"):
            root, _, name = root.rpartition("/")
            self._template = Template(f"{name}{hole}{rest}")
            if self._template.names - {"split"}:
                raise UserError(f"The path {path!r} of source '{id_}' may hold {{split}} only.")
        else:
            root, _, name = path.replace("{{", "{").replace("}}", "}").rstrip("/").rpartition("/")
            self._template = Template(name.replace("{", "{{").replace("}", "}}"))
        self._root = (data or Path()) / (root or ("/" if path.startswith("/") else "."))
        self._listing = listing or Listing()
        self._in_splits = in_splits
        self._places: dict[tuple[str, str | None], list[Path]] = {}
        self._trees: dict[Path, ClipTree] = {}

    @property
    def id(self) -> str:
        return self._id

    def may_have(self, want: ClipRequest) -> bool:
        """Whether a file that should hold the window exists there. Its content is not checked."""
        return next(self._fitting(want), None) is not None

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """The clip that holds ``want.start`` to ``want.end`` whole, as a hard link (or a copy) in ``scratch``.

        ``offset`` is the clip's own start. Of several that fit, the one with the very window is taken, then the longest, then
        the one that starts first, then by path. Raises :class:`FetchFailed`: NOT_FOUND, or NOT_A_VIDEO when all that fit are empty files.
        """
        begun = time.monotonic()
        empty = ""
        for clip in sorted(self._fitting(want), key=lambda one: one.preference):
            real = clip.path.resolve()
            if not real.is_file():
                continue
            size = real.stat().st_size
            if size == 0:
                empty = f"{clip.path} is empty (0 bytes)"
                continue
            target = temporary_beside(scratch / f"dataset{clip.path.suffix}")
            with disk_errors(target):
                link_or_copy(real, target)
            is_named = clip.content == "clip" and next(stems(clip.path.name), None) == want.clip_id
            what = "the clip of this name" if is_named else f"{clip.start}-{clip.end} s of the video"
            evidence = f"{what} in {clip.path.relative_to(self._root)}"
            until = float(clip.end) if clip.content == "video" else None
            return Fetched(
                target, clip.content, float(clip.start), size, time.monotonic() - begun, evidence, until=until
            )
        if empty:
            raise FetchFailed(Reason.NOT_A_VIDEO, empty)
        what = f"no clip of {want.video_id} that holds {want.start}-{want.end} s"
        raise FetchFailed(
            Reason.NOT_FOUND, f"{what} lies in {', '.join(map(str, self._folders(want))) or 'any folder'}"
        )

    def _folders(self, want: ClipRequest) -> list[Path]:
        """Folders where the clip may lie: that of its class, and that of the split."""
        if self._in_splits:
            wanted = (replace(want, split=split) for split in self._in_splits)
            return [inside(self._root, self._template.fill(one, str)) for one in wanted]
        if (known := self._places.get((want.split, want.label))) is not None:
            return known
        named = replace(want, split=self._split_names.get(want.split, want.split))
        found = []
        theirs = self._class_names.get(want.label, want.label) if want.label else ""
        for name in (normalise_label(theirs) if theirs else _UNLABELLED, ""):
            try:
                folder = self._template.fill(named, str)
                found.append(inside(self._root, folder, *([name] if name else [])))
            except UserError:  # an empty or hostile split or label names no folder
                continue
        if len(self._places) > 1 << 16:  # only a hostile table has so many: a data set has some thousands
            self._places.clear()
        self._places[want.split, want.label] = found
        return found

    def _tree(self, folder: Path) -> ClipTree:
        """The clips below a split's folder; there are as many trees as splits."""
        if folder not in self._trees and len(self._trees) < _SPLITS:
            self._trees[folder] = ClipTree(folder, snapshot=self._listing.is_snapshot)
        return self._trees.get(folder) or ClipTree(folder / "none")

    def _fitting(self, want: ClipRequest) -> Iterator[_Clip]:
        prefix = f"{want.video_id}_"
        folders = self._folders(want)
        for whole in folders if self._in_splits else folders[-1:] if not want.label else []:
            for held in self._tree(whole).holding(want.video_id, want.start, want.end):
                yield _clip(want, held.start, held.end, held.path)
        for folder in folders if not self._in_splits else []:
            for name in self._listing.names(str(folder), prefix):
                match = _WINDOW.fullmatch(name, len(prefix))
                if match is None or match[3].lower() not in VIDEO_SUFFIXES:
                    continue
                start, end = int(match[1]), int(match[2])
                if start <= want.start and want.end <= end:
                    yield _clip(want, start, end, folder / name)
            if _TIMES.search(want.clip_id):
                continue  # a name of this form was looked up above
            for name in self._listing.names(str(folder), f"{want.clip_id}.") if want.clip_id else ():
                if next(stems(name), None) == want.clip_id:
                    yield _Clip(want.start, want.end, folder / name, "clip")
