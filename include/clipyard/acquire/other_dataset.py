"""Clips of another data set that lie on disk already: the part of a clip that is wanted is cut from them.

AVA-Kinetics annotates seconds of the clips of Kinetics-700; whoever has those need not ask the net. The other data set's
files are only read.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np

from clipyard.acquire.answer import Fetched, NotHad, Want
from clipyard.acquire.http import VIDEO_SUFFIXES
from clipyard.acquire.template import Template
from clipyard.errors import UserError
from clipyard.files import disk_errors, inside, link_or_copy, temporary_beside
from clipyard.ids import normalise_label
from clipyard.reasons import Reason

_UNLABELLED = "test"
"""The class folder of clips whose csv has no labels."""
_FOLDERS = 2048
"""Folders whose names are remembered: more than the classes of Kinetics-700 in its three splits."""


class _Clip(NamedTuple):
    """A file that should hold ``start`` to ``end`` (seconds of the original video)."""

    start: int
    end: int
    path: Path

    @property
    def preference(self) -> tuple[int, int, bytes]:
        """The longest clip first, then the one that begins first, then by path: the same on every machine."""
        return self.start - self.end, self.start, os.fsencode(self.path)


class _Folder:
    """The names in one folder, sorted: some ten bytes each, because a folder without classes holds 650,000."""

    def __init__(self, path: Path) -> None:
        self._stamp = path.stat().st_mtime_ns
        with os.scandir(path) as entries:
            names = [os.fsencode(entry.name) for entry in entries if b"_" in os.fsencode(entry.name)]
        self._names = np.sort(np.array(names or [b""]))

    def is_current(self, path: Path) -> bool:
        return path.stat().st_mtime_ns == self._stamp

    def beginning_with(self, prefix: str) -> Iterator[str]:
        start = prefix.encode()
        for name in self._names[int(np.searchsorted(self._names, start)) :]:
            if not bytes(name).startswith(start):
                return
            yield os.fsdecode(bytes(name))


class DatasetSource:
    """A data set in our layout: ``{folder}/{class}/{id}_{start:06d}_{end:06d}.*``, or the same without classes.

    ``path`` is the folder of the clips, with ``{split}`` (``kinetics700/videos_{split}``), below ``data`` when it is
    relative. The class folder is that of the want's label. Clips of one folder are told by their names, so a folder that
    is not there is no error: it has none of them. ``split_names``: what the other data set calls our splits.
    """

    def __init__(
        self, id_: str, path: str, data: Path | None = None, split_names: Mapping[str, str] | None = None
    ) -> None:
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
        self._known: OrderedDict[Path, _Folder] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        return self._id

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
        named = replace(want, split=self._split_names.get(want.split, want.split))
        found = []
        for name in (normalise_label(want.label) if want.label else _UNLABELLED, ""):
            try:
                folder = self._template.fill(named, str)
                found.append(inside(self._root, folder, *([name] if name else [])))
            except UserError:  # an empty or hostile split or label names no folder
                continue
        return found

    def _fitting(self, want: Want) -> Iterator[_Clip]:
        form = re.compile(rf"{re.escape(want.video_id)}_(\d{{6,}})_(\d{{6,}})(\.[A-Za-z0-9]+)", re.ASCII)
        for folder in self._folders(want):
            for name in self._names(folder, f"{want.video_id}_"):
                match = form.fullmatch(name)
                if match is None or match[3].lower() not in VIDEO_SUFFIXES:
                    continue
                start, end = int(match[1]), int(match[2])
                if start <= want.start and want.end <= end:
                    yield _Clip(start, end, folder / name)

    def _names(self, path: Path, prefix: str) -> list[str]:
        """Names in a folder that begin so; the folder is read again when something came or went there."""
        try:
            with self._lock:
                known = self._known.get(path)
                if known is None or not known.is_current(path):
                    known = self._known[path] = _Folder(path)
                self._known.move_to_end(path)
                while len(self._known) > _FOLDERS:
                    self._known.popitem(last=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return list(known.beginning_with(prefix))
