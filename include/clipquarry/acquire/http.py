"""HTTP source: a mirror of clips or whole videos whose address is a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Literal
from urllib.parse import quote, urlsplit

from clipquarry.acquire.answer import ClipRequest, Fetched
from clipquarry.acquire.download import Downloader
from clipquarry.acquire.template import Template
from clipquarry.errors import UserError
from clipquarry.ids import VIDEO_SUFFIXES


def host_of(url: str) -> str:
    """Host and port, without a login."""
    return urlsplit(url).netloc.rpartition("@")[2]


class HttpSource:
    """Source of one file per clip (``content="clip"``) or per source video (``content="video"``).

    ``url`` is a template (:mod:`clipquarry.acquire.template`). Every value is percent-encoded, so that a hostile label
    stays one path segment. ``split_names``: this server's names of our splits. ``suffixes``: those of files besides videos'.
    """

    def __init__(
        self, id_: str, url: str, content: Literal["clip", "video"], downloader: Downloader,
        split_names: Mapping[str, str] | None = None, suffixes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._id, self.content, self._downloader = id_, content, downloader
        self._split_names, self._suffixes = split_names or {}, (*VIDEO_SUFFIXES, *suffixes)
        self._template = Template(url)
        if urlsplit(url).scheme not in ("http", "https") or not host_of(url):
            raise UserError(f"The url of source '{id_}' must begin with http:// or https:// and name a host.")

    @property
    def id(self) -> str:
        return self._id

    def url(self, want: ClipRequest) -> str:
        """The address of ``want`` on this server."""
        named = replace(want, split=self._split_names.get(want.split, want.split))
        return self._template.fill(named, lambda value: quote(value, safe=""))

    def fetch(self, want: ClipRequest, scratch: Path, cancelled: Event) -> Fetched:
        """See :class:`clipquarry.acquire.answer.Source`."""
        url = self.url(want)
        suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
        done = self._downloader.download(url, scratch, suffix if suffix in self._suffixes else ".mp4", cancelled)
        kind = done.content_type.partition(";")[0] or "no content type"
        return Fetched(
            path=done.path,
            content=self.content,
            offset=float(want.start) if self.content == "clip" else 0.0,
            bytes=done.bytes,
            seconds=done.seconds,
            evidence=f"{host_of(url)}, {kind}, {done.bytes} bytes",
        )
