"""Lists of archive volumes: text files with one address or path a line (CVDF's ``k400_val_path.txt``)."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event

from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.place import is_remote, opened
from clipquarry.acquire.download import Downloader, page_like
from clipquarry.errors import UserError
from clipquarry.reasons import Reason

_LIST_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


def list_volumes(place: str, downloader: Downloader, cancelled: Event) -> list[str]:
    """The archive volumes that the list at ``place`` names, urls or paths.

    Relative paths are below the list's own folder. A list over http may name http and https addresses only; the caller
    fetches its volumes under the limits of the host that served the list
    (:meth:`clipquarry.acquire.connection.Reach.led_by`). Raises :class:`FetchFailed`, and UserError for a line that is
    neither a url nor a path.
    """
    with opened(place, downloader, cancelled) as stream:
        text = stream.read(_LIST_BYTES + 1)
    if len(text) > _LIST_BYTES or page_like(text[:512]):
        raise FetchFailed(Reason.CORRUPT, f"{place} is not a list of archive volumes: it begins with {text[:40]!r}")
    volumes = []
    # Lists are written by hand on all systems: allow a byte order mark, blanks at line ends, and any line ending.
    for number, line in enumerate(_LINE_END.split(text.decode("utf-8-sig", "replace")), 1):
        volume = line.strip()
        if not volume:
            continue
        web = is_remote(volume)
        if not web and (is_remote(place) or "://" in volume or "\x00" in volume):
            raise UserError(f"{place}, line {number}: {volume[:100]!r} is not an http address.")
        volumes.append(volume.replace(" ", "%20") if web else str(Path(place).parent / volume))
    return volumes
