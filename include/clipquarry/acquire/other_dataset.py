"""Clips of another data set that lie on disk already: the part of a clip that is wanted is cut from them.

AVA-Kinetics annotates seconds of the clips of Kinetics-700; whoever has those need not ask the net. The other data set's
files are only read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import NamedTuple

from clipquarry.acquire.answer import Fetched, NotHad, Want
from clipquarry.acquire.http import VIDEO_SUFFIXES
from clipquarry.acquire.listing import Listing
from clipquarry.acquire.template import Template
from clipquarry.errors import UserError
from clipquarry.files import disk_errors, inside, link_or_copy, temporary_beside
from clipquarry.ids import normalise_label
from clipquarry.reasons import Reason

_WINDOW = re.compile(r"(\d{6,})_(\d{6,})(\.[A-Za-z0-9]+)", re.ASCII)
"""What follows a video's id and ``_`` in the name of a clip."""
_UNLABELLED = "test"
"""The class folder of clips whose csv has no labels."""


class _Clip(NamedTuple):
    """A file that should hold ``start`` to ``end`` (seconds of the original video)."""

    start: int
    end: int
    path: Path

    @property
    def preference(self) -> tuple[int, int, bytes]:
        """The longest clip first, then the one that begins first, then by path: the same on every machine."""
        return self.start - self.end, self.start, os.fsencode(self.path)


class DatasetSource:
    """A data set in our layout: ``{folder}/{class}/{id}_{start:06d}_{end:06d}.*``, or the same without classes.

    ``path`` is the folder of the clips, with ``{split}`` (``kinetics700/videos_{split}``), below ``data`` when it is
    relative. The class folder is that of the want's label. Clips of one folder are told by their names, so a folder that
    is not there is no error: it has none of them. ``split_names``: what the other data set calls our splits.
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

    def may_have(self, want: Want) -> bool:
        """Whether a file that should hold the window lies there; nothing is said about what it holds."""
        return next(self._fitting(want), None) is not None

    def fetch(self, want: Want, scratch: Path, cancelled: Event) -> Fetched:
        """The clip that holds ``want.start`` to ``want.end`` whole, as a hard link (or a copy) in ``scratch``.

        ``offset`` is the clip's own start. Several fit: the longest, then the one that starts first, then by path. Raises
        :class:`NotHad`: NOT_FOUND, or NOT_A_VIDEO when all that fit are empty files.
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
            evidence = f"{clip.start}-{clip.end} s of the video in {clip.path.relative_to(self._root)}"
            return Fetched(target, "video", float(clip.start), size, time.monotonic() - begun, evidence)
        if empty:
            raise NotHad(Reason.NOT_A_VIDEO, empty)
        what = f"no clip of {want.video_id} that holds {want.start}-{want.end} s"
        raise NotHad(Reason.NOT_FOUND, f"{what} lies in {', '.join(map(str, self._folders(want))) or 'any folder'}")

    def _folders(self, want: Want) -> list[Path]:
        """Where the clip may lie: the folder of its class, or the split's own."""
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
        if len(self._places) > 1 << 16:  # hostile tables only: a data set has some thousands
            self._places.clear()
        self._places[want.split, want.label] = found
        return found

    def _fitting(self, want: Want) -> Iterator[_Clip]:
        prefix = f"{want.video_id}_"
        for folder in self._folders(want):
            for name in self._listing.names(str(folder), prefix):
                match = _WINDOW.fullmatch(name, len(prefix))
                if match is None or match[3].lower() not in VIDEO_SUFFIXES:
                    continue
                start, end = int(match[1]), int(match[2])
                if start <= want.start and want.end <= end:
                    yield _Clip(start, end, folder / name)
