"""From a data set's YAML to the sources that are asked, in order; and which are off, and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipyard.acquire.answer import Source
from clipyard.acquire.breaker import Breaker
from clipyard.acquire.budget import GUEST_PER_HOUR, PAUSE, Budget
from clipyard.acquire.download import Downloader, Limits
from clipyard.acquire.hosts import Hosts
from clipyard.acquire.http import HttpSource
from clipyard.acquire.local import LocalSource
from clipyard.acquire.template import expand_environment, unset_variables
from clipyard.acquire.youtube import URL, YouTubeOptions, YouTubeSource
from clipyard.datasets.model import Source as Definition
from clipyard.errors import UserError


@dataclass(frozen=True)
class Egress:
    """One way out to YouTube and what may be spent on it. ``folder`` is ``DataRoot.egress(name)``."""

    folder: Path
    pause: float = PAUSE
    per_hour: int | None = GUEST_PER_HOUR
    cookies: Path | None = None
    cool_down_factor: float = 1.0
    ffmpeg: Path | None = None
    youtube: YouTubeOptions = field(default_factory=YouTubeOptions)

    @property
    def breaker(self) -> Breaker:
        return Breaker(self.folder, factor=self.cool_down_factor)

    @property
    def budget(self) -> Budget:
        return Budget(self.folder, pause=self.pause, per_hour=self.per_hour)


@dataclass(frozen=True)
class Asked:
    """A source that is switched on."""

    source: Source
    content: Literal["clip", "video"]
    """What it holds: a ``video`` source is asked once for all windows of a video."""
    authoritative: bool = False
    """What it says of a video is the last word (YouTube); a mirror's 404 says only that the mirror lacks it."""
    remote: bool = True

    @property
    def id(self) -> str:
        return self.source.id


@dataclass(frozen=True)
class Sources:
    """What is asked, in order, and the ids of what is not, each with one sentence."""

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
) -> Sources:
    """The item sources of ``definitions``; archives of many clips are left to the ``unpack`` step.

    ``order``: ids to ask, in order (empty: all, as given). ``overrides``: id to address (a folder for ``local``, a
    url template for ``http``), in place of the YAML's. Raises UserError for an unknown id, a wrong template or a
    folder that is not there.
    """
    items = {d.id: d for d in definitions if d.provides == "items"}
    for name in [*order, *(overrides or {})]:
        if name not in items:
            raise UserError(f"There is no source '{name}'; the data set has {', '.join(items) or 'none'}.")
    hosts = Hosts()
    asked: list[Asked] = []
    off: dict[str, str] = {name: "not chosen for this run" for name in items if order and name not in order}
    for name in order or items:
        definition = items[name]
        address = (overrides or {}).get(name)
        made = _make(definition, address, egress, environ, hosts, max_attempts)
        if isinstance(made, str):
            off[name] = made
        else:
            asked.append(made)
    return Sources(tuple(asked), off)


def _make(
    definition: Definition,
    address: str | None,
    egress: Egress,
    environ: Mapping[str, str],
    hosts: Hosts,
    max_attempts: int | None,
) -> Asked | str:
    content = definition.content or "clip"
    if definition.kind == "youtube":
        url = address or definition.url or URL
        if unset := unset_variables(url, environ):
            return f"the variable {unset[0]} is not set"
        return Asked(_youtube(definition.id, expand_environment(url, environ), egress), "video", authoritative=True)
    if definition.kind not in ("http", "local"):
        return f"clips cannot be fetched from a source of kind '{definition.kind}'"
    text = address or (definition.path if definition.kind == "local" else next(iter(definition.all_urls), None))
    if not text:
        return "it names archives of many clips: the unpack step reads them"
    if address is None:
        if unset := unset_variables(text, environ):
            return f"the variable {unset[0]} is not set"
        text = expand_environment(text, environ)
    if definition.kind == "local":
        return Asked(LocalSource(definition.id, text, content), "clip", remote=False)
    limits = Limits(attempts=max_attempts or definition.attempts, read=definition.timeout_s)
    return Asked(HttpSource(definition.id, text, content, Downloader(limits, hosts=hosts)), content)


def _youtube(id_: str, url: str, egress: Egress) -> YouTubeSource:
    return YouTubeSource(
        egress.youtube,
        id=id_,
        url_template=url,
        breaker=egress.breaker,
        budget=egress.budget,
        cookies=egress.cookies,
        ffmpeg=egress.ffmpeg,
    )
