"""Builds a data set's sources from its YAML, in order, and states which are off and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Literal

from clipquarry.acquire.answer import ClipRequest, Fetched, Source
from clipquarry.acquire.breaker import ROW, Breaker
from clipquarry.acquire.budget import GUEST_PER_HOUR, PAUSE, Budget
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.frame_folders import FrameFolders
from clipquarry.acquire.guard import reasons
from clipquarry.acquire.hosts import Hosts
from clipquarry.acquire.http import HttpSource
from clipquarry.acquire.listing import Listing
from clipquarry.acquire.local import LocalSource
from clipquarry.acquire.named_files import NamedFiles
from clipquarry.acquire.other_dataset import DatasetSource
from clipquarry.acquire.shared_answers import SharedAnswers
from clipquarry.acquire.template import expand_environment, unset_variables
from clipquarry.acquire.youtube import CANARY, URL, YouTubeOptions, YouTubeSource
from clipquarry.datasets.model import Source as Definition
from clipquarry.errors import UserError
from clipquarry.ids import is_youtube_id
from clipquarry.reasons import Reason


@dataclass(frozen=True)
class Egress:
    """One network path to YouTube, with its limits. ``folder`` is ``DataRoot.egress(name)``."""

    folder: Path
    pause: float = PAUSE
    per_hour: int | None = GUEST_PER_HOUR
    cookies: Path | None = None
    cool_down_factor: float = 1.0
    row: int = ROW
    """Requests in a row without bytes after which the breaker opens."""
    canary: str | None = None
    """Id of a known-good video; empty: none; None: :data:`clipquarry.acquire.youtube.CANARY` for the real YouTube."""
    plugins: tuple[str, ...] = ()
    extractor_args: tuple[str, ...] = ()
    ffmpeg: Path | None = None
    youtube: YouTubeOptions = field(default_factory=YouTubeOptions)
    answers: SharedAnswers | None = None
    """What runs of other data sets heard about videos."""

    @property
    def breaker(self) -> Breaker:
        return self.breaker_for(None)

    def breaker_for(self, canary: str | None) -> Breaker:
        return Breaker(
            self.folder, factor=self.cool_down_factor, row=self.row, canary=bool(canary), tool=version("yt-dlp")
        )

    @property
    def budget(self) -> Budget:
        return Budget(self.folder, pause=self.pause, per_hour=self.per_hour)


@dataclass(frozen=True)
class Asked:
    """A source that is switched on."""

    source: Source
    content: Literal["clip", "video"]
    """What the source holds: a ``video`` source gets one request for all windows of a video."""
    authoritative: bool = False
    """Its answer about a video is final (YouTube). A mirror's 404 says only that the mirror lacks the video."""
    remote: bool = True

    @property
    def id(self) -> str:
        return self.source.id

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """See :class:`clipquarry.acquire.answer.Source`. Any exception becomes FetchFailed, so that other sources are tried."""
        with reasons(Reason.TOOL_FAILED, f"source {self.id}"):
            return self.source.fetch(want, scratch, cancelled)


@dataclass(frozen=True)
class Sources:
    """The sources in use, in order, and the ids of the others, each with one sentence why it is off."""

    asked: tuple[Asked, ...]
    off: Mapping[str, str]

    @property
    def has_youtube(self) -> bool:
        return any(isinstance(one.source, YouTubeSource) for one in self.asked)


def make_sources(
    definitions: Sequence[Definition],
    egress: Egress,
    *,
    order: Sequence[str] = (),
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    max_attempts: int | None = None,
    max_bytes: int | None = None,
    data: Path | None = None,
    whole_files: bool = False,
    listing: Listing | None = None,
    named: Path | None = None,
    frames: str | None = None,
    suffixes: Sequence[str] = (),
    own_names: bool = False,
) -> Sources:
    """The item sources of ``definitions``; archives of many clips are left to the ``unpack`` step.

    ``order``: ids of the sources to use, in order (empty: all, as given). ``overrides``: id to address (a folder for
    ``local``, a url template for ``http``), in place of the YAML's. ``max_bytes``: limit of one file over http. ``data``:
    the data root, below which the folders of other data sets are. ``whole_files``: an item is one file, identified by its
    name with extension. ``named``: the table of the files of local sources (:mod:`clipquarry.acquire.named_files`). ``frames``: items are folders of frames
    with this pattern, which only local sources give. ``listing``: a shared cache of folder listings, for one pass over everything. ``suffixes``: those of items'
    files besides videos'. ``own_names``: a clip's name does not tell its window, so that a video may have the same name. Raises UserError for
    an unknown id, a wrong template or a folder that does not exist.
    """
    items = {d.id: d for d in definitions if d.provides == "items"}
    for name in [*order, *(overrides or {})]:
        if name not in items:
            raise UserError(f"There is no source '{name}'; the data set has {', '.join(items) or 'none'}.")
    maker = _Maker(
        egress,
        environ,
        Hosts(),
        max_attempts,
        max_bytes or Limits().max_bytes,
        data,
        whole_files,
        listing,
        named,
        frames,
        tuple(suffixes),
        own_names,
    )
    asked: list[Asked] = []
    off: dict[str, str] = {name: "not chosen for this run" for name in items if order and name not in order}
    for name in order or items:
        made = maker.make(items[name], (overrides or {}).get(name))
        if isinstance(made, str):
            off[name] = made
        else:
            asked.append(made)
    return Sources(tuple(asked), off)


@dataclass(frozen=True)
class _Maker:
    egress: Egress
    environ: Mapping[str, str]
    hosts: Hosts
    max_attempts: int | None
    max_bytes: int
    data: Path | None
    whole_files: bool
    listing: Listing | None
    named: Path | None
    frames: str | None
    suffixes: tuple[str, ...]
    own_names: bool

    def make(self, definition: Definition, address: str | None) -> Asked | str:
        """The source, or one sentence why it is off. ``address`` replaces the definition's."""
        kind = definition.kind
        content: Literal["clip", "video"] = "video" if definition.content == "video" else "clip"
        if self.whole_files and kind not in ("http", "local"):
            return f"whole files cannot be fetched from a source of kind '{kind}'"
        if kind not in ("http", "local", "youtube", "dataset"):
            return f"clips cannot be fetched from a source of kind '{kind}'"
        text = address or (definition.path if kind in ("local", "dataset") else next(iter(definition.all_urls), None))
        if definition.archive is not None and definition.has_files and not address:
            return "it is an archive, which the extract step unpacks"
        if not text and kind != "youtube":
            if kind == "dataset":
                return f"no path is set for the clips of '{definition.dataset}'"
            return "it names archives of many clips: the unpack step reads them"
        text = text or URL
        if address is None or kind == "youtube":
            if unset := unset_variables(text, self.environ):
                return f"the variable {unset[0]} is not set"
            text = expand_environment(text, self.environ)
        if kind == "youtube":
            return Asked(_youtube(definition.id, text, self.egress), "video", authoritative=True)
        names = definition.split_names
        if self.frames is not None:
            if kind != "local":
                return "folders of frames come from folders and archives"
            return Asked(
                FrameFolders(definition.id, text, self.frames, split_names=names, named=self.named),
                "clip",
                remote=False,
            )
        if kind == "dataset":
            return Asked(
                DatasetSource(
                    definition.id, text, self.data, names, self.listing, definition.class_names, definition.in_splits
                ),
                "clip",
                remote=False,
            )
        if kind == "local" and self.named is not None:
            return Asked(NamedFiles(definition.id, text, self.named), "clip", remote=False)
        if kind == "local":
            root = self.data if address is None and definition.is_below_data else None
            local = LocalSource(
                definition.id,
                text,
                content,
                whole_files=self.whole_files,
                split_names=names,
                listing=self.listing,
                root=root,
                suffixes=self.suffixes,
                only_videos=self.own_names,
            )
            return Asked(local, "clip", remote=False)
        limits = Limits(
            attempts=self.max_attempts or definition.attempts,
            read=definition.timeout_s,
            max_bytes=self.max_bytes,
            verify=definition.verify_certificate,
        )
        return Asked(
            HttpSource(definition.id, text, content, Downloader(limits, hosts=self.hosts), names, self.suffixes),
            content,
        )


def _youtube(id_: str, url: str, egress: Egress) -> YouTubeSource:
    if egress.canary and not is_youtube_id(egress.canary):
        raise UserError(f"The canary is {egress.canary[:40]!r}; CLIPQUARRY_CANARY must be a YouTube id, or empty.")
    canary = egress.canary if egress.canary is not None else CANARY if url == URL else None
    return YouTubeSource(
        egress.youtube,
        id=id_,
        url_template=url,
        breaker=egress.breaker_for(canary),
        budget=egress.budget,
        answers=egress.answers,
        canary=canary or None,
        plugins=egress.plugins,
        extractor_args=egress.extractor_args,
        cookies=egress.cookies,
        ffmpeg=egress.ffmpeg,
    )
