"""Clips and whole videos that lie in a folder already. The folder is only read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Literal

from clipyard.acquire.answer import Fetched, NotHad, Want
from clipyard.acquire.http import VIDEO_SUFFIXES
from clipyard.acquire.template import Template
from clipyard.errors import UserError
from clipyard.files import disk_errors, inside, link_or_copy, temporary_beside
from clipyard.reasons import Reason

Content = Literal["clip", "video"]

_CLIP_FORMS = (
    "{clip}", "{class}/{clip}", "{label}/{clip}", "{split}/{clip}", "{split}/{class}/{clip}", "{split}/{label}/{clip}",
    "videos_{split}/{class}/{clip}", "videos_{split}/{label}/{clip}",
)  # fmt: skip
_VIDEO_FORMS = ("{id}", "{split}/{id}")
_FILE_FORMS = ("{clip}", "{split}/{clip}", "videos/{clip}", "videos_{split}/{clip}")


class LocalSource:
    """A folder of clips in any of the usual layouts, or of whole videos named by their id.

    ``path`` is a folder, or a template that names one file below it (``/data/k400/{class}/{clip}.mp4``), which then
    is the only form tried and holds what ``content`` says. What is found is hard-linked into scratch (copied across
    file systems): the file in the folder is never moved, changed or deleted. ``whole_files``: the clip's name is a
    file name with its extension, and exactly that file is looked for. ``split_names``: what the folder calls our
    splits; our own names are tried too.
    """

    def __init__(
        self, id_: str, path: str, content: Content, *, whole_files: bool = False,
        split_names: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._id, self._split_names = id_, split_names or {}
        folder, hole, rest = path.partition("{")
        if hole and not path.count("{{"):
            folder, _, name = folder.rpartition("/")
            self._forms: tuple[tuple[Template, Content], ...] = ((Template(name + hole + rest), content),)
            self._suffixes: tuple[str, ...] = ("",)
        elif whole_files:
            folder = path.replace("{{", "{").replace("}}", "}")
            self._forms, self._suffixes = tuple((Template(form), content) for form in _FILE_FORMS), ("",)
        else:
            folder = path.replace("{{", "{").replace("}}", "}")
            clips: tuple[tuple[Template, Content], ...] = tuple((Template(form), "clip") for form in _CLIP_FORMS)
            self._forms = (*clips, *((Template(form), "video") for form in _VIDEO_FORMS))
            self._suffixes = VIDEO_SUFFIXES
        self._folder = Path(folder or "/")
        if not self._folder.is_dir():
            raise UserError(
                f"Source '{id_}' names the folder {self._folder}, which is not there: mount it, or unset its variable."
            )

    @property
    def id(self) -> str:
        return self._id

    def _candidates(self, want: Want) -> Iterator[tuple[Path, Content]]:
        named = replace(want, split=self._split_names.get(want.split, want.split))
        for template, content in self._forms:
            for suffix in self._suffixes:
                for one in dict.fromkeys((named, want)):
                    try:
                        yield inside(self._folder, template.fill(one, str) + suffix), content
                    except UserError:  # an empty or hostile value: this form names no file
                        continue

    def fetch(self, want: Want, scratch: Path, cancelled: Event) -> Fetched:
        """See :class:`clipyard.acquire.answer.Source`."""
        begun = time.monotonic()
        for path, content in self._candidates(want):
            if not path.is_file():
                continue
            real = path.resolve()
            if real.stat().st_size == 0:
                raise NotHad(Reason.NOT_A_VIDEO, f"{path.relative_to(self._folder)} is empty (0 bytes)")
            target = temporary_beside(scratch / f"local{path.suffix}")
            with disk_errors(target):
                link_or_copy(real, target)
            return Fetched(
                path=target,
                content=content,
                offset=float(want.start) if content == "clip" else 0.0,
                bytes=real.stat().st_size,
                seconds=time.monotonic() - begun,
                evidence=f"{path.relative_to(self._folder)} in the folder of source '{self._id}'",
            )
        raise NotHad(Reason.NOT_FOUND, f"neither {want.clip_id} nor {want.video_id} is in {self._folder}")
