"""Local source of items that are folders of frames: a folder of such folders, which is only read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Event

from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.named_files import known_folder, read_named
from clipquarry.acquire.template import Template
from clipquarry.errors import UserError
from clipquarry.files import inside
from clipquarry.frame_names import frame_number
from clipquarry.reasons import Reason

_FORMS = (
    "{class}/{clip}", "{split}/{class}/{clip}", "rawframes/{class}/{clip}", "rawframes_{split}/{class}/{clip}",
    "{clip}", "{split}/{clip}", "rawframes/{clip}", "rawframes_{split}/{clip}",
)  # fmt: skip


class FrameFolders:
    """``path`` is a folder of frame folders in any of the usual layouts, or a template of one (``/data/{class}/{clip}``).

    A folder counts that holds a frame of ``pattern``. ``named``: a table with ``class_dir``, ``clip_id`` and ``file``, the
    folder of the item below ``path``; then no layout is tried. ``split_names``: the folder's names of our splits.
    """

    def __init__(
        self, id_: str, path: str, pattern: str, *, split_names: Mapping[str, str] | None = None, named: Path | None = None
    ) -> None:  # fmt: skip
        self._id, self._pattern, self._split_names, self._named = id_, pattern, split_names or {}, named
        folder, hole, rest = path.partition("{")
        if hole:
            folder, _, name = folder.rpartition("/")
            self._forms: tuple[Template, ...] = (Template(name + hole + rest),)
        else:
            self._forms = tuple(map(Template, _FORMS))
        self._folder = known_folder(id_, Path(folder or "/"))

    @property
    def id(self) -> str:
        return self._id

    @cached_property
    def _files(self) -> dict[tuple[str, str], str]:
        assert self._named is not None
        return read_named(self._named)

    def find(self, want: ClipRequest) -> Path | None:
        """The item's folder, or None. Its frames are not checked."""
        return next((path for path in self._candidates(want) if self._has_frames(path)), None)

    def may_have(self, want: ClipRequest) -> bool:
        """Whether there is a folder with a frame in it."""
        return self.find(want) is not None

    def _candidates(self, want: ClipRequest) -> Iterator[Path]:
        if self._named is not None:
            file = self._files.get((want.class_dir, want.clip_id))
            if file is not None:
                yield inside(self._folder, file)
            return
        for form in self._forms:
            for split in dict.fromkeys((self._split_names.get(want.split, want.split), want.split)):
                try:
                    yield inside(self._folder, form.fill(replace(want, split=split), str))
                except UserError:  # an empty or hostile value: this layout names no folder
                    continue

    def _has_frames(self, path: Path) -> bool:
        try:
            with os.scandir(path) as entries:
                return any(frame_number(entry.name, self._pattern) is not None for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """As :class:`clipquarry.acquire.answer.Source`, but nothing is put into ``scratch``: the path is that of the folder."""
        begun = time.monotonic()
        try:
            path = self.find(want)
        except OSError as error:
            raise FetchFailed(Reason.CORRUPT, f"{error.filename or self._folder}: {error.strerror}") from error
        if path is None:
            raise FetchFailed(Reason.NOT_FOUND, f"{want.clip_id} is not in {self._folder}, or has no frame {self._pattern}")  # fmt: skip
        told = f"{path.relative_to(self._folder)} in the folder of source '{self._id}'"
        return Fetched(path.resolve(), "clip", 0.0, 0, time.monotonic() - begun, told)
