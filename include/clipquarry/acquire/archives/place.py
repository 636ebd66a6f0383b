"""The bytes of a file at an address or a path, as one stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.download import Downloader
from clipquarry.acquire.stream import HttpStream
from clipquarry.reasons import Reason


def is_remote(place: str) -> bool:
    """Whether ``place`` is an http or https address; else it is a path."""
    return urlsplit(place).scheme in ("http", "https")


@contextmanager
def opened(place: str, downloader: Downloader, cancelled: Event) -> Iterator[io.BufferedReader[Any]]:
    """A stream over an address or a path. An address is resumed after a broken connection; nothing of it is kept on disk.

    Raises :class:`FetchFailed`, NOT_FOUND for a path that cannot be opened.
    """
    if is_remote(place):
        with io.BufferedReader(HttpStream(downloader, place, cancelled), 1 << 20) as stream:
            yield stream
        return
    try:
        handle = open(place, "rb")  # noqa: SIM115 — only the opening is guarded
    except OSError as error:
        raise FetchFailed(Reason.NOT_FOUND, f"{place}: {error.strerror}") from error
    with handle:
        yield handle
