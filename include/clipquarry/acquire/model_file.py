"""The weights of a network: fetched once by address and sha256, kept by that sum, and checked each time they are asked for."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path, PurePosixPath
from threading import Event
from urllib.parse import unquote, urlsplit

from clipquarry.acquire.answer import NotHad
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.official import SOON
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import disk_errors, publish, sha256_of, temporary_beside

MAX_BYTES = 16 << 30

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,180}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPENMMLAB = re.compile(r"-([0-9a-f]{8})\.pth")
"""OpenMMLab's file names end in the first 8 digits of their sha256."""


def obtain_model(
    url: str,
    sha256: str | None,
    folder: Path,
    *,
    downloader: Downloader | None = None,
    cancelled: Event | None = None,
) -> Path:
    """The file at ``url``, as ``{folder}/{first 16 digits of its sha256}-{file name}``.

    Without a ``sha256``, the 8 digits at the end of an OpenMMLab file name are what its sum must begin with; any other name needs
    one. A file that lies there and fits is kept, a damaged one is fetched again. It appears whole or not at all; whoever asks at the same
    time waits. Raises UserError (wrong sum, no such file, with the path at which a person may place it), RetryLater for a passing
    trouble of the server.
    """
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if urlsplit(url).scheme not in ("http", "https") or not _NAME.fullmatch(name):
        raise UserError(f"{url!r} is no address of a model file: write https://host/folder/file.pth.")
    begin = _wanted(name, sha256)
    cancelled = cancelled or Event()
    with SourceCache(folder, 0).video(hashlib.sha256(url.encode()).hexdigest()[:16], cancelled) as work:
        for kept in sorted(folder.glob(f"{begin[:16]}*-{name}")):
            if sha256_of(kept).startswith(begin):
                return kept
        return _fetched(
            url, name, begin, folder, work, downloader or Downloader(Limits(max_bytes=MAX_BYTES)), cancelled
        )


def _wanted(name: str, sha256: str | None) -> str:
    """What the sum must begin with: all of it, or OpenMMLab's 8 digits."""
    if sha256:
        if not _SHA256.fullmatch(sha256.lower()):
            raise UserError(f"The sha256 of {name} is '{sha256}'; it must be 64 hexadecimal digits.")
        return sha256.lower()
    found = _OPENMMLAB.search(name)
    if found is None or found.end() != len(name):
        raise UserError(f"The model file {name} needs a sha256: what would be fetched could not be checked.")
    return found[1]


def _fetched(
    url: str, name: str, begin: str, folder: Path, work: Path, downloader: Downloader, cancelled: Event
) -> Path:
    try:
        file = downloader.download(url, work, ".model", cancelled).path
    except NotHad as error:
        by_hand = folder / f"{begin[:16]}-{name}"
        raise (RetryLater if error.reason in SOON else UserError)(
            f"The model {url} could not be fetched ({error.reason}: {error}). Place it by hand as {by_hand}, then run this again."
        ) from None
    found = sha256_of(file)
    if not found.startswith(begin):
        file.unlink()
        wanted = begin if len(begin) == 64 else f"one that begins with {begin}"
        raise UserError(f"{url} is not the model that was meant: its sha256 is {found}, wanted is {wanted}.")
    target = folder / f"{found[:16]}-{name}"
    beside = temporary_beside(target)
    try:
        with disk_errors(target):
            shutil.move(file, beside)
            publish(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target
