"""Data set source: takes clips from another data set on disk, either the clip itself or a longer one that holds it.

AVA-Kinetics annotates seconds of the clips of Kinetics-700. Where those are on disk, nothing is downloaded. The other
data set's files are only read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
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


class _Clip(NamedTuple):
    """A file that should hold ``start`` to ``end`` (seconds of the original video). ``content``: as in ``Fetched``."""

    start: int | float
    end: int | float
    path: Path
    content: Literal["clip", "video"]

    @property
    def preference(self) -> tuple[float, float, bytes]:
        """Sort key: the longest clip first, then the one that begins first, then by path. It is equal on all machines."""
        return self.start - self.end, self.start, os.fsencode(self.path)


class DatasetSource:
    """A data set in our layout: ``{folder}/{class}/{clip}.*``, or the same without classes.

    Where its clips are named ``{id}_{start:06d}_{end:06d}``, the wanted clip is cut from one that holds its window. Where
    clips have other names, the clip with the wanted name is taken whole.

    ``path`` is the folder of the clips, with ``{split}`` (``kinetics700/videos_{split}``), below ``data`` when it is
    relative. The class folder is that of the request's label. A missing folder is not an error: it holds none of the
    clips. ``split_names``: the other data set's names of our splits.
    """

    def __init__(
        self, id_: str, path: str, data: Path | None = None, split_names: Mapping[str, str] | None = None,
        listing: Listing | None = None,
    ) -> None:  # fmt: skip
        self._id, self._split_names = id_, split_names or {}
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
        self._places: dict[tuple[str, str | None], list[Path]] = {}

    @property
    def id(self) -> str:
        return self._id

    def may_have(self, want: ClipRequest) -> bool:
        """Whether a file that should hold the window exists there. Its content is not checked."""
        return next(self._fitting(want), None) is not None

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """The clip that holds ``want.start`` to ``want.end`` whole, as a hard link (or a copy) in ``scratch``.

        ``offset`` is the clip's own start. Of several that fit, the longest is taken, then the one that starts first, then
        by path. Raises :class:`FetchFailed`: NOT_FOUND, or NOT_A_VIDEO when all that fit are empty files.
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
            what = f"{clip.start}-{clip.end} s of the video" if clip.content == "video" else "the clip of this name"
            evidence = f"{what} in {clip.path.relative_to(self._root)}"
            return Fetched(target, clip.content, float(clip.start), size, time.monotonic() - begun, evidence)
        if empty:
            raise FetchFailed(Reason.NOT_A_VIDEO, empty)
        what = f"no clip of {want.video_id} that holds {want.start}-{want.end} s"
        raise FetchFailed(
            Reason.NOT_FOUND, f"{what} lies in {', '.join(map(str, self._folders(want))) or 'any folder'}"
        )

    def _folders(self, want: ClipRequest) -> list[Path]:
        """Folders where the clip may lie: that of its class, and that of the split."""
        if (known := self._places.get((want.split, want.label))) is not None:
            return known
        named = replace(want, split=self._split_names.get(want.split, want.split))
        found = []
        for name in (normalise_label(want.label) if want.label else _UNLABELLED, ""):
            try:
                folder = self._template.fill(named, str)
                found.append(inside(self._root, folder, *([name] if name else [])))
            except UserError:  # an empty or hostile split or label names no folder
                continue
        if len(self._places) > 1 << 16:  # only a hostile table has so many: a data set has some thousands
            self._places.clear()
        self._places[want.split, want.label] = found
        return found

    def _fitting(self, want: ClipRequest) -> Iterator[_Clip]:
        prefix = f"{want.video_id}_"
        for folder in self._folders(want):
            for name in self._listing.names(str(folder), prefix):
                match = _WINDOW.fullmatch(name, len(prefix))
                if match is None or match[3].lower() not in VIDEO_SUFFIXES:
                    continue
                start, end = int(match[1]), int(match[2])
                if start <= want.start and want.end <= end:
                    yield _Clip(start, end, folder / name, "video")
            if _TIMES.search(want.clip_id):
                continue  # a name of this form was looked up above
            for name in self._listing.names(str(folder), f"{want.clip_id}.") if want.clip_id else ():
                if next(stems(name), None) == want.clip_id:
                    yield _Clip(want.start, want.end, folder / name, "clip")
